"""Look inside of the models of a session that is over: lanes are launched again, to be compared."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from profiler import consent
from profiler.errors import EngineError, PlanError
from profiler.lane_group import LaneGroup
from profiler.run_context import RunContext
from profiler.session import Session
from profiler.session_writer import SessionWriter
from profiler.types import EngineFailed, Event, Progress, RunPlan, ValuesCompared
from profiler.value_walk import walk_values


def locate_first_difference(
    session: Session,
    candidates: Sequence[str] = (),
    *,
    trust: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Progress, and a ValuesCompared for each candidate against the session's baseline.

    Without candidates: all lanes that were traced. Raises PlanError for lanes that can't be
    compared, what `consent.renewed` raises for a model file that changed or needs consent,
    EngineError when a lane fails, CancelledError. Nothing is timed.
    """
    baseline = session.baseline()
    chosen = candidates or [n for n in session.labels() if n != baseline and session.traces.get(n)]
    plan = _plan(session, [baseline, *chosen])
    plan = consent.renewed(plan, trust=trust, cancelled=cancelled)
    with tempfile.TemporaryDirectory(prefix="dualscope-", ignore_cleanup_errors=True) as folder:
        group = LaneGroup(RunContext(plan, Path(folder), cancelled, time.monotonic))
        try:
            for event in group.load():
                if isinstance(event, EngineFailed):
                    raise EngineError(f"{event.label} failed: {event.message}", event.hint)
                yield event
            for label in chosen:
                lanes = (group.lanes[baseline], group.lanes[label])
                operators = (session.lane_operators(baseline), session.lane_operators(label))
                yield from walk_values(lanes, operators, plan.tolerance)
        finally:
            group.close()


def _plan(session: Session, labels: Sequence[str]) -> RunPlan:
    """The session's plan with these lanes alone."""
    if session.plan is None or len(labels) < 2:
        raise PlanError(
            "There are no two lanes to compare.", "Measure the model with two lanes first."
        )
    for label in labels:
        if label not in session.labels():
            known = ", ".join(session.labels())
            raise PlanError(f"The session has no lane {label!r}.", f"It has: {known}.")
        if not session.traces.get(label):
            raise PlanError(
                f"The operators of {label} were not traced, so no values can be told apart.",
                "Profile it again.",
            )
    if len(set(labels)) < len(labels):
        raise PlanError(f"{labels[0]} is the baseline.", "Name another lane.")
    engines = tuple(spec for spec in session.plan.engines if spec.label in labels)
    return msgspec.structs.replace(session.plan, engines=engines, baseline=labels[0])


def record_first_difference(
    session: Session,
    path: Path | None,
    candidates: Sequence[str] = (),
    *,
    trust: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """As `locate_first_difference`, and what is found is added to the session's file.

    Yields what is kept and progress; the events of launching lanes belong to no run.
    """
    for event in locate_first_difference(session, candidates, trust=trust, cancelled=cancelled):
        if isinstance(event, ValuesCompared):
            if path is not None:
                with SessionWriter(path, more=True) as writer:
                    writer.append(event)
            yield event
        elif isinstance(event, Progress):
            yield event
