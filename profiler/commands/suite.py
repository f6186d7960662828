"""`dualscope suite`: well-known models on every lane here, and what an article claims."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from profiler.console import ProgressLine
from profiler.console_run import stop_on_interrupt
from profiler.errors import CancelledError, EngineError
from profiler.jobs import capabilities
from profiler.quantities import seconds
from profiler.suite.catalogue import CATALOGUE, chosen
from profiler.suite.models import check_library
from profiler.suite.planning import suite_plan
from profiler.suite.records import EntryFinished, EntryStarted, SuitePlan
from profiler.suite.run import run_suite
from profiler.suite.state import Suite
from profiler.suite.suite_file import JSON
from profiler.suite.table import FORMATS, text
from profiler.sweep.table import duration_text
from profiler.types import EngineFailed, PointState, Progress


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "suite", help="measure well-known models, and judge what an article claims"
    )
    parser.add_argument(
        "--quick", action="store_true", help="under 4 minutes on 2 cores, without torch.compile"
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help=f"only this one; may be repeated: {', '.join(model.key for model in CATALOGUE)}",
    )
    parser.add_argument(
        "--budget",
        type=seconds,
        metavar="TIME",
        help="for the whole suite, such as 30min (default: 14min; with --quick: 228s)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"sessions, {JSON} and suite.md; a folder that holds a stopped suite is gone on with "
        "(default: named by time, in the current folder)",
    )
    parser.add_argument("--json", action="store_true", help=f"print what {JSON} holds")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises PlanError, SessionFileError."""
    check_library()
    models = chosen(arguments.model)
    folder = arguments.output or Path(time.strftime("suite-%Y%m%d-%H%M%S"))
    with stop_on_interrupt() as cancelled:
        here = capabilities(cancelled=cancelled)
        plan = suite_plan(models, here, quick=arguments.quick, budget_s=arguments.budget)
        suite = _measure(plan, folder, cancelled)
    _write(suite, folder, arguments)
    if cancelled():
        sys.stderr.write(f"go on with the same command and: --output {folder}\n")
        return CancelledError.exit_code
    return 0 if suite.rows() else EngineError.exit_code


def _measure(plan: SuitePlan, folder: Path, cancelled: Callable[[], bool]) -> Suite:
    suite, progress = Suite(), ProgressLine()
    progress.note(
        f"{len(plan.entries)} models, at most {duration_text(plan.budget_s)}; into {folder}"
    )
    for note in plan.left_out:
        progress.note(note)
    for event in run_suite(plan, folder, cancelled=cancelled):
        suite.apply(event)
        match event:
            case EntryStarted():
                keys = [entry.key for entry in plan.entries]
                place = f"{keys.index(event.key) + 1} of {len(keys)}"
                progress.note(f"{event.key} ({place}), measured for {event.time_limit_s:.0f} s")
            case EngineFailed():
                progress.note(f"  lane {event.label} failed: {event.message}")
            case EntryFinished(result=result) if result.state is PointState.FAILED:
                progress.note(f"  {result.key} not measured: {result.reason}")
            case EntryFinished(result=result):
                progress.note(f"  {result.key} {result.state.value} in {result.wall_s:.0f} s")
            case Progress():
                progress.show(event)
    return suite


def _write(suite: Suite, folder: Path, arguments: argparse.Namespace) -> None:
    """The table on standard output, unless JSON goes there."""
    printed = (folder / JSON).read_text(encoding="utf-8") if arguments.json else text(suite)
    sys.stdout.write(f"{printed}\n")
    sys.stderr.write(f"suite: {folder}\n")
    if arguments.csv:
        FORMATS["csv"].write(suite, arguments.csv)
        sys.stderr.write(f"table: {arguments.csv}\n")
