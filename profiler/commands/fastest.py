"""`dualscope fastest`: search the options of each engine for the fastest configuration."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from profiler.commands import profile
from profiler.console import ProgressLine
from profiler.errors import CancelledError, EngineError
from profiler.jobs import capabilities, inspect_model
from profiler.model_options import add_model_options, factory_of
from profiler.search.planning import make_search_plan, parse_engines
from profiler.search.result import winner
from profiler.search.runner import record
from profiler.search.snippet import write_program
from profiler.session import Session
from profiler.session_schema import SUFFIX
from profiler.types import EngineFailed, Event, RaceFinished, RaceStarted, RunStarted, SearchPlan

UNITS_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
UNITS_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "fastest", help="find each engine's fastest configuration for a model"
    )
    parser.add_argument("model", type=Path)
    parser.add_argument(
        "--engines",
        default="",
        metavar="LIST",
        help="such as ort,torch-compile; torch is every way of PyTorch (default: all)",
    )
    parser.add_argument(
        "--budget",
        type=profile.seconds,
        default=120.0,
        metavar="TIME",
        help="for the whole search, such as 5min (default: 120s)",
    )
    parser.add_argument(
        "--max-memory", type=size, metavar="SIZE", help="of an engine's process, such as 500MiB"
    )
    parser.add_argument(
        "--max-p99", type=profile.seconds, metavar="TIME", help="of single calls, such as 20ms"
    )
    parser.add_argument(
        "--snippet-folder",
        type=Path,
        metavar="DIR",
        help="write a program that runs the winner, and the files that it needs",
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=DTYPE[DIMS]",
        help="an input's shape, NAME=uniform(0,255) or NAME=FILE.npy; may be repeated",
    )
    parser.add_argument("--data", type=Path, metavar="PATH", help="values for all inputs")
    add_model_options(parser)
    parser.add_argument("--seed", type=profile.seed, default=0, help="a whole number from 0")
    parser.add_argument("--rtol", type=profile.bound, help="relative tolerance of outputs")
    parser.add_argument(
        "--atol", type=profile.bound, help="absolute tolerance, over an output's root mean square"
    )
    parser.add_argument("--no-pin", action="store_true", help="let lanes use every CPU")
    parser.add_argument("-o", "--output", type=Path, help=f"session file ({SUFFIX})")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - for standard output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the HTML report")
    parser.set_defaults(run=run)


def size(text: str) -> int:
    """`500MiB`, `2GB`, or a plain number of bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", text)
    if match is None or match[2].lower() not in UNITS_BYTES:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write for example 500MiB")
    return int(float(match[1]) * UNITS_BYTES[match[2].lower()])


def run(arguments: argparse.Namespace) -> int:
    with profile.stop_on_interrupt() as stopped:

        def cancelled() -> bool:
            return bool(stopped)

        plan = make_plan(arguments, cancelled)
        path = arguments.output or profile.default_path(Path(plan.model.path))
        session, progress = Session(), ProgressLine()
        for event in record(plan, path, cancelled=cancelled):
            session.apply(event)
            progress.show(event)
            for note in notes(event):
                progress.note(note)
    profile.write_results(session, path, arguments)
    best = winner(session)
    if best is not None and arguments.snippet_folder:
        program = write_program(session, best, arguments.snippet_folder)
        sys.stderr.write(f"program: {program}\n")
    if stopped:
        return CancelledError.exit_code
    return 0 if best is not None else EngineError.exit_code


def make_plan(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> SearchPlan:
    """Raises PlanError, InputError, ModelFileError before anything is measured."""
    engines = parse_engines(arguments.engines)
    sys.stderr.write(f"looking at {arguments.model}\n")
    info = inspect_model(
        arguments.model,
        factory=factory_of(arguments),
        trust=arguments.trust,
        cancelled=cancelled,
    )
    for note in info.notes:
        sys.stderr.write(f"note: {note}\n")
    limit_s = arguments.max_p99
    return make_search_plan(
        info,
        capabilities(cancelled=cancelled),
        inputs=profile.chosen_inputs(info.inputs, arguments),
        engines=engines,
        budget_s=arguments.budget,
        max_memory_bytes=arguments.max_memory,
        max_p99_ns=None if limit_s is None else limit_s * 1e9,
        seed=arguments.seed,
        tolerance=profile.chosen_tolerance(arguments),
        pin=not arguments.no_pin,
    )


def notes(event: Event) -> list[str]:
    """What is worth a line of its own."""
    match event:
        case RaceStarted():
            return [f"race {event.race + 1}, {event.axis}: {len(event.arms)} configurations"]
        case RaceFinished():
            leader = event.leader or "none can be chosen"
            return [f"race {event.race + 1}: {leader} ({event.reason})"]
        case RunStarted():
            return ["measuring the leaders against the defaults, in new processes"]
        case EngineFailed():
            hint = [f"hint: {event.hint}"] if event.hint else []
            return [f"lane {event.label} failed: {event.message}", *hint]
    return []
