"""`dualscope profile`: measure a model's lanes and say which is faster."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from profiler import consent
from profiler.console import ProgressLine, summary
from profiler.decision_options import add_decision_options, question_of
from profiler.errors import CancelledError, EngineError, PlanError
from profiler.exporters import export, formats
from profiler.inputs import apply_data, apply_overrides
from profiler.jobs import capabilities, inspect_model
from profiler.lanes import parse_lane
from profiler.model_options import add_model_options, factory_of
from profiler.noise import noise_rule
from profiler.placement import lane_cpus, usable_cores
from profiler.plan import check_capabilities, check_plan, default_plan, needs_capabilities
from profiler.recorder import record
from profiler.session import Session
from profiler.session_file import read_session
from profiler.session_schema import SUFFIX
from profiler.sweep.command import add_sweep_options, planned, resumed, sweep_and_write
from profiler.types import EngineFailed, InputSpec, Locate, RunPlan, Tolerance

UNITS_S = {"": 1.0, "s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("profile", help="measure a model's lanes")
    parser.add_argument("model", type=Path, nargs="?", help="not needed with --repeat")
    parser.add_argument(
        "--repeat",
        type=Path,
        metavar="SESSION",
        help="run the plan of a session again; the limits below may be changed",
    )
    parser.add_argument(
        "--lane",
        action="append",
        default=[],
        metavar="NAME=ENGINE[,key=value...]",
        help="an engine in one configuration; may be repeated (default: ort, "
        "and torch-script for TorchScript, torch-export for .pt2, else torch-eager)",
    )
    parser.add_argument("--baseline", help="the lane that speedups refer to")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=DTYPE[DIMS]",
        help="an input's shape, NAME=uniform(0,255) or NAME=FILE.npy; may be repeated",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="values for all inputs: .npz, .npy, ONNX test_data_set folder, Polygraphy .json",
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
    add_sweep_options(parser)
    add_model_options(parser)
    add_decision_options(parser)
    parser.add_argument("--seed", type=seed, default=None, help="a whole number from 0")
    parser.add_argument("--rtol", type=bound, help="relative tolerance of outputs")
    parser.add_argument(
        "--atol", type=bound, help="absolute tolerance, over the root mean square of an output"
    )
    parser.add_argument(
        "--locate",
        choices=[when.value for when in Locate],
        help="compare values inside of the model, to name the first layer that differs: when the "
        "outputs differ (default), always or never",
    )
    parser.add_argument(
        "--no-pin", action="store_true", help="let lanes use every CPU, also the window's"
    )
    parser.add_argument("-o", "--output", type=Path, help=f"session file ({SUFFIX})")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - for standard output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the HTML report")
    parser.set_defaults(run=run)


def seconds(text: str) -> float:
    """`60s`, `500ms`, `2min`, or a plain number of seconds; above 0."""
    if re.match(r"-\.?\d", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not positive; write for example 60s")
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


def bound(text: str) -> float:
    """A tolerance: a number from 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no tolerance; write for example 1e-3")
    return value


def run(arguments: argparse.Namespace) -> int:
    def plan(cancelled: Callable[[], bool]) -> RunPlan:
        return repeated_plan(arguments) if arguments.repeat else make_plan(arguments, cancelled)

    return (sweep if arguments.sweep or arguments.resume else run_plan)(arguments, plan)


def run_plan(arguments: argparse.Namespace, make: Callable[[Callable[[], bool]], RunPlan]) -> int:
    """Measure the plan that `make` gives, write what is asked for; returns the exit code."""
    with stop_on_interrupt() as stopped:

        def cancelled() -> bool:
            return bool(stopped)

        plan = asked(make(cancelled), arguments)
        if needs_capabilities(plan):
            check_capabilities(plan, capabilities(cancelled=cancelled))
        path = arguments.output or default_path(Path(plan.model.path))
        session, progress = Session(), ProgressLine()
        for event in record(plan, path, cancelled=cancelled):
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


def sweep(arguments: argparse.Namespace, make: Callable[[Callable[[], bool]], RunPlan]) -> int:
    """Measure the plan that `make` gives at every point, or go on with the sweep of a file."""
    with stop_on_interrupt() as stopped:

        def cancelled() -> bool:
            return bool(stopped)

        if arguments.resume:
            found, before = resumed(arguments)
            found = msgspec.structs.replace(found, plan=asked(found.plan, arguments))
            return sweep_and_write(found, arguments.resume, arguments, cancelled, before)
        plan = asked(make(cancelled), arguments)
        path = arguments.output or default_path(Path(plan.model.path))
        return sweep_and_write(planned(plan, arguments), path, arguments, cancelled)


def asked(plan: RunPlan, arguments: argparse.Namespace) -> RunPlan:
    """The plan with the goal and prices that were told, where the command takes them."""
    if not hasattr(arguments, "goal"):
        return plan
    return msgspec.structs.replace(plan, question=question_of(arguments, plan.question))


def repeated_plan(arguments: argparse.Namespace) -> RunPlan:
    """The session's own plan, on the same files. Raises PlanError, SessionFileError."""
    given = ("model", "lane", "baseline", "input", "data", "factory")
    if any(getattr(arguments, name) for name in given):
        raise PlanError(
            "--repeat runs the session's own model, lanes and inputs.",
            "Leave out MODEL, --lane, --baseline and --input.",
        )
    plan = read_session(arguments.repeat).plan
    if plan is None:
        raise PlanError(f"{arguments.repeat} holds no plan.", "Choose another session.")
    plan = consent.renewed(plan, trust=arguments.trust)
    stopping = msgspec.structs.replace(
        plan.stopping,
        time_limit_s=arguments.time_limit or plan.stopping.time_limit_s,
        target_width=arguments.target or plan.stopping.target_width,
    )
    seed = plan.seed if arguments.seed is None else arguments.seed
    # What belongs to the machine is this machine's.
    repeated = msgspec.structs.replace(
        plan,
        stopping=stopping,
        seed=seed,
        noise=noise_rule(os.cpu_count() or 1),
        lane_cpus=() if arguments.no_pin else lane_cpus(usable_cores()),
        tolerance=chosen_tolerance(arguments) or plan.tolerance,
        locate=Locate(arguments.locate) if arguments.locate else plan.locate,
    )
    check_plan(repeated)
    return repeated


def make_plan(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> RunPlan:
    """Raises PlanError, InputError, ModelFileError before anything is measured."""
    if arguments.model is None:
        raise PlanError("Which model?", "Name a model file, or a session with --repeat.")
    engines = [parse_lane(text) for text in arguments.lane]
    sys.stderr.write(f"looking at {arguments.model}\n")
    info = inspect_model(
        arguments.model,
        factory=factory_of(arguments),
        trust=arguments.trust,
        cancelled=cancelled,
    )
    for note in info.notes:
        sys.stderr.write(f"note: {note}\n")
    plan = default_plan(
        info,
        inputs=chosen_inputs(info.inputs, arguments),
        engines=engines,
        baseline=arguments.baseline,
        time_limit_s=arguments.time_limit,
        target_width=arguments.target,
        seed=arguments.seed or 0,
        tolerance=chosen_tolerance(arguments),
        pin=not arguments.no_pin,
    )
    plan = msgspec.structs.replace(plan, locate=Locate(arguments.locate or Locate.DIFFER))
    return consent.renewed(plan, trust=arguments.trust)


def chosen_inputs(
    inputs: Sequence[InputSpec], arguments: argparse.Namespace
) -> tuple[InputSpec, ...]:
    """What was proposed, with the person's values and then their changes. Raises InputError."""
    given = apply_data(inputs, arguments.data) if arguments.data else inputs
    return apply_overrides(given, arguments.input)


def chosen_tolerance(arguments: argparse.Namespace) -> Tolerance | None:
    """None: by the outputs' precision. One bound alone leaves the other at 0."""
    if arguments.rtol is None and arguments.atol is None:
        return None
    return Tolerance(rtol=arguments.rtol or 0.0, atol=arguments.atol or 0.0)


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
