"""`dualscope profile`: measure a model's lanes and say which is faster."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from profiler.console import ProgressLine, summary
from profiler.errors import CancelledError, EngineError
from profiler.exporters import export, formats
from profiler.inputs import apply_overrides
from profiler.jobs import inspect_model
from profiler.lanes import parse_lane
from profiler.plan import default_plan
from profiler.recorder import record
from profiler.session import Session
from profiler.session_file import SUFFIX
from profiler.types import EngineFailed, RunPlan

UNITS_S = {"": 1.0, "s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("profile", help="measure a model's lanes")
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--lane",
        action="append",
        default=[],
        metavar="NAME=ENGINE[,key=value...]",
        help="an engine in one configuration; may be repeated (default: ort and torch-eager)",
    )
    parser.add_argument("--baseline", help="the lane that speedups refer to")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=DTYPE[DIMS]",
        help="an input's shape, or NAME=FILE.npy for its values; may be repeated",
    )
    parser.add_argument(
        "--time-limit",
        type=seconds,
        metavar="TIME",
        help="stop measuring after this, such as 90s or 2min (default: 60s)",
    )
    parser.add_argument(
        "--target",
        type=share,
        default=None,
        metavar="SHARE",
        help="width of the speedup's interval, over the speedup, at which to stop, such as 2%%",
    )
    parser.add_argument("--seed", type=seed, default=0, help="a whole number from 0")
    parser.add_argument("-o", "--output", type=Path, help=f"session file ({SUFFIX})")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - for standard output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the HTML report")
    parser.set_defaults(run=run)


def seconds(text: str) -> float:
    """`60s`, `500ms`, `2min`, or a plain number of seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
    if match is None or match[2] not in UNITS_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write for example 60s")
    return float(match[1]) * UNITS_S[match[2]]


def share(text: str) -> float:
    """`2%` or `0.02`."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write for example 2%") from None


def seed(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    with stop_on_interrupt() as stopped:
        plan = make_plan(arguments, stopped)
        path = arguments.output or default_path(arguments.model)
        session, progress = Session(), ProgressLine()
        for event in record(plan, path, cancelled=lambda: bool(stopped)):
            session.apply(event)
            progress.show(event)
            if isinstance(event, EngineFailed):
                progress.note(f"lane {event.label} failed: {event.message}")
                progress.note(f"hint: {event.hint}" if event.hint else "")
    write_results(session, path, arguments)
    if stopped:
        return CancelledError.exit_code
    measured = any(session.latency_stats(label) for label in session.labels())
    return 0 if measured else EngineError.exit_code


def make_plan(arguments: argparse.Namespace, stopped: list[int]) -> RunPlan:
    """Raises PlanError, InputError, ModelFileError before anything is measured."""
    engines = [parse_lane(text) for text in arguments.lane]
    sys.stderr.write(f"looking at {arguments.model}\n")
    info = inspect_model(arguments.model, cancelled=lambda: bool(stopped))
    for note in info.notes:
        sys.stderr.write(f"note: {note}\n")
    return default_plan(
        info,
        inputs=apply_overrides(info.inputs, arguments.input),
        engines=engines,
        baseline=arguments.baseline,
        time_limit_s=arguments.time_limit,
        target_width=arguments.target,
        seed=arguments.seed,
    )


def default_path(model: Path) -> Path:
    """Beside the caller, named by model and time."""
    return Path(f"{model.stem}-{time.strftime('%Y%m%d-%H%M%S')}{SUFFIX}")


def write_results(session: Session, path: Path, arguments: argparse.Namespace) -> None:
    """Summary on standard output, unless JSON goes there; then what may fail to be written."""
    if arguments.json == "-":
        sys.stdout.write(formats()["json"].render(session) + "\n")
    else:
        sys.stdout.write(summary(session) + "\n")
    sys.stderr.write(f"session: {path}\n")
    if arguments.json and arguments.json != "-":
        export(session, "json", Path(arguments.json))
    if arguments.html:
        export(session, "html", arguments.html)
        sys.stderr.write(f"report: {arguments.html}\n")


@contextmanager
def stop_on_interrupt() -> Iterator[list[int]]:
    """The list gets an entry at the first Ctrl-C; the second one is Python's own."""
    stopped: list[int] = []

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        stopped.append(number)
        sys.stderr.write("\nstopping; what was measured is kept\n")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, previous)
