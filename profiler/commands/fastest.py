"""`dualscope fastest`: search the options of each engine for the fastest configuration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from profiler.console import ProgressLine
from profiler.console_run import default_path, looked_at, stop_on_interrupt, write_results
from profiler.errors import CancelledError, EngineError
from profiler.jobs import capabilities
from profiler.model_options import add_model_options
from profiler.quantities import seconds, size, whole
from profiler.run_options import (
    add_input_options,
    add_output_options,
    add_pin_option,
    add_tolerance_options,
    chosen_inputs,
    chosen_tolerance,
)
from profiler.search.planning import make_search_plan, parse_engines
from profiler.search.result import winner
from profiler.search.runner import record
from profiler.search.snippet import write_program
from profiler.session import Session
from profiler.types import EngineFailed, Event, RaceFinished, RaceStarted, RunStarted, SearchPlan


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
        type=seconds,
        default=120.0,
        metavar="TIME",
        help="for the whole search, such as 5min (default: 120s)",
    )
    parser.add_argument(
        "--max-memory", type=size, metavar="SIZE", help="of an engine's process, such as 500MiB"
    )
    parser.add_argument(
        "--max-p99", type=seconds, metavar="TIME", help="of single calls, such as 20ms"
    )
    parser.add_argument(
        "--snippet-folder",
        type=Path,
        metavar="DIR",
        help="write a program that runs the winner, and the files that it needs",
    )
    add_input_options(parser)
    add_model_options(parser)
    parser.add_argument("--seed", type=whole, default=0, help="a whole number from 0")
    add_tolerance_options(parser)
    add_pin_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    with stop_on_interrupt() as cancelled:
        plan = make_plan(arguments, cancelled)
        path = arguments.output or default_path(Path(plan.model.path))
        session, progress = Session(), ProgressLine()
        for event in record(plan, path, cancelled=cancelled):
            session.apply(event)
            progress.show(event)
            for note in notes(event):
                progress.note(note)
    write_results(session, path, arguments)
    best = winner(session)
    if best is not None and arguments.snippet_folder:
        program = write_program(session, best, arguments.snippet_folder)
        sys.stderr.write(f"program: {program}\n")
    if cancelled():
        return CancelledError.exit_code
    return 0 if best is not None else EngineError.exit_code


def make_plan(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> SearchPlan:
    """Raises PlanError, InputError, ModelFileError before anything is measured."""
    engines = parse_engines(arguments.engines)
    info = looked_at(arguments, cancelled)
    limit_s = arguments.max_p99
    return make_search_plan(
        info,
        capabilities(cancelled=cancelled),
        inputs=chosen_inputs(info.inputs, arguments),
        engines=engines,
        budget_s=arguments.budget,
        max_memory_bytes=arguments.max_memory,
        max_p99_ns=None if limit_s is None else limit_s * 1e9,
        seed=arguments.seed,
        tolerance=chosen_tolerance(arguments),
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
