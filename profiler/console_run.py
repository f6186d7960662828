"""What commands that measure share: look at the model, run until done or Ctrl-C, write results."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from profiler.console import ProgressLine, summary
from profiler.decision_options import question_of
from profiler.errors import CancelledError, EngineError
from profiler.exporters import export, formats
from profiler.jobs import capabilities, inspect_model
from profiler.model_options import factory_of
from profiler.plan import check_capabilities, needs_capabilities
from profiler.recorder import record
from profiler.session import Session
from profiler.session_schema import SUFFIX
from profiler.sweep.command import planned, resumed, sweep_and_write
from profiler.types import EngineFailed, ModelInfo, RunPlan

# Gets what tells whether the person asked to stop.
MakePlan = Callable[[Callable[[], bool]], RunPlan]


def looked_at(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> ModelInfo:
    """The model that was named, its notes told. Raises ModelFileError, CancelledError."""
    sys.stderr.write(f"looking at {arguments.model}\n")
    info = inspect_model(
        arguments.model,
        factory=factory_of(arguments),
        trust=arguments.trust,
        cancelled=cancelled,
    )
    for note in info.notes:
        sys.stderr.write(f"note: {note}\n")
    return info


def run_plan(arguments: argparse.Namespace, make: MakePlan) -> int:
    """Measure the plan that `make` gives, write what is asked for; returns the exit code."""
    with stop_on_interrupt() as cancelled:
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
    if cancelled():
        return CancelledError.exit_code
    measured = any(session.latency_stats(label) for label in session.labels())
    return 0 if measured else EngineError.exit_code


def sweep(arguments: argparse.Namespace, make: MakePlan) -> int:
    """Measure the plan that `make` gives at every point, or go on with the sweep of a file."""
    with stop_on_interrupt() as cancelled:
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
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Gives what tells whether there was a Ctrl-C. The second one is Python's own."""
    stopped = False

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        nonlocal stopped
        stopped = True
        sys.stderr.write("\nstopping; what was measured is kept\n")
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: stopped
    finally:
        signal.signal(signal.SIGINT, previous)
