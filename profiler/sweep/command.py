"""Sweeps on the command line: options of `dualscope profile`, progress, results."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from profiler import consent
from profiler.compare import counted
from profiler.console import ProgressLine
from profiler.errors import CancelledError, EngineError, PlanError, SessionFileError
from profiler.plan import with_time_limit
from profiler.sweep.axes import parse_axis
from profiler.sweep.exporters import FORMATS, export_sweep
from profiler.sweep.points import check_sweep, points
from profiler.sweep.runner import run_sweep
from profiler.sweep.state import Sweep
from profiler.sweep.sweep_file import read_sweep
from profiler.sweep.table import duration_text, progress_text, remaining_text, summary
from profiler.types import (
    EngineFailed,
    PointFinished,
    PointStarted,
    PointState,
    Progress,
    RunPlan,
    SweepPlan,
)

# At each point; a run on its own takes longer.
POINT_LIMIT_S = 20.0
# Options of a run that a sweep's file already has the answer to.
OF_THE_PLAN = ("model", "repeat", "lane", "baseline", "input", "data", "factory", "sweep", "output")


def add_sweep_options(parser: argparse.ArgumentParser) -> None:
    """What to vary, and what to go on with."""
    add_sweep_axes(parser, "batch=1,2,4, threads=1..4, precision=fp32,int8, callers=1..8x2")
    parser.add_argument(
        "--resume", type=Path, metavar="SWEEP", help="go on with a sweep that was stopped"
    )


def add_sweep_axes(parser: argparse.ArgumentParser, examples: str) -> None:
    """What to vary alone; `examples` of it."""
    parser.add_argument(
        "--sweep",
        action="append",
        default=[],
        metavar="AXIS=V1,V2,...",
        help=f"measure at each value: {examples}; may be repeated, for a grid. --time-limit is "
        "then that of a point (default: 20s)",
    )
    # For what measures single calls and generations.
    parser.set_defaults(resume=None)


def planned(plan: RunPlan, arguments: argparse.Namespace) -> SweepPlan:
    """The sweep that the arguments ask for. Raises PlanError, InputError."""
    plan = with_time_limit(plan, arguments.time_limit or POINT_LIMIT_S)
    axes = tuple(parse_axis(text, plan) for text in arguments.sweep)
    sweep = SweepPlan(plan=plan, axes=axes, seed=plan.seed)
    check_sweep(sweep)
    return sweep


def resumed(arguments: argparse.Namespace) -> tuple[SweepPlan, Sweep]:
    """The plan of a sweep's file, on the same model, and what is there. Raises ProfilerError."""
    if any(getattr(arguments, name) for name in OF_THE_PLAN):
        raise PlanError(
            "--resume goes on with the sweep's own model, lanes and axes, in its own file.",
            "Leave out MODEL, --lane, --input, --sweep and -o.",
        )
    before = read_sweep(arguments.resume)
    if before.plan is None:
        raise SessionFileError(f"{arguments.resume} holds no plan.", "Start the sweep anew.")
    plan = consent.renewed(before.plan.plan, trust=arguments.trust)
    return msgspec.structs.replace(before.plan, plan=plan), before


def sweep_and_write(
    sweep: SweepPlan,
    path: Path,
    arguments: argparse.Namespace,
    cancelled: Callable[[], bool],
    before: Sweep | None = None,
) -> int:
    """Run the sweep, print the table, write what was asked for. Returns the exit code."""
    state, progress = before or Sweep(), ProgressLine()
    limit_s = sweep.plan.stopping.time_limit_s
    left = len(state.unfinished()) if before else len(points(sweep.axes))
    progress.note(
        f"{counted(left, 'point')} of at most {limit_s:g} s each, and loading: "
        f"{duration_text(left * limit_s)} and more"
    )
    # The runner takes events into a state of its own.
    known = read_sweep(path) if before else None
    for event in run_sweep(sweep, path, cancelled=cancelled, before=known):
        state.apply(event)
        match event:
            case PointStarted(index=index, refused=refused):
                progress.note(remaining_text(state, index))
                for label, reason in refused.items():
                    progress.note(f"  lane {label} can't: {reason}")
            case EngineFailed():
                progress.note(f"  lane {event.label} failed: {event.message}")
            case PointFinished(state=PointState.FAILED):
                progress.note(f"  not measured: {event.reason}")
            case Progress():
                progress.show(event)
    write_sweep(state, path, arguments)
    if cancelled():
        sys.stderr.write(f"go on with: dualscope profile --resume {path}\n")
        return CancelledError.exit_code
    return 0 if state.done() else EngineError.exit_code


def write_sweep(state: Sweep, path: Path, arguments: argparse.Namespace) -> None:
    """Summary on standard output, unless JSON goes there; then the files that were asked for."""
    to_standard_output = arguments.json == "-"
    text = FORMATS["json"].render(state) if to_standard_output else summary(state)
    sys.stdout.write(text + "\n")
    sys.stderr.write(f"sweep: {path} ({progress_text(state)})\n")
    if arguments.json and not to_standard_output:
        export_sweep(state, "json", Path(arguments.json))
    if arguments.html:
        export_sweep(state, "html", arguments.html)
        sys.stderr.write(f"report: {arguments.html}\n")
