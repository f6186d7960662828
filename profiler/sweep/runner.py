"""Runs a sweep point by point into its file; resumes at what is left."""

from __future__ import annotations

import functools
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from profiler import supervisor
from profiler.errors import ProfilerError
from profiler.jobs import capabilities
from profiler.plan import needs_capabilities
from profiler.recorder import drained
from profiler.session import Session
from profiler.sweep.axes import apply_value
from profiler.sweep.points import Point, check_sweep, point_plan
from profiler.sweep.state import Sweep, outcome
from profiler.sweep.sweep_file import SweepWriter
from profiler.telemetry import Telemetry
from profiler.types import (
    Capabilities,
    Event,
    OpTimings,
    PointFinished,
    PointStarted,
    PointState,
    RunPlan,
    SweepFinished,
    SweepPlan,
    SweepStarted,
    TelemetrySample,
)
from profiler.version import VERSION


def run_sweep(
    sweep: SweepPlan,
    path: Path,
    *,
    cancelled: Callable[[], bool],
    before: Sweep | None = None,
) -> Iterator[Event]:
    """Measure every point that isn't done yet, each as a run of its own, and yield every event.

    The file is written while it goes on. `before`: what the file holds already, when its sweep is
    resumed; else the file is new. A point that can't run is told with its reason, and the next one
    follows. Raises PlanError, InputError, SessionFileError.
    """
    check_sweep(sweep)
    here = capabilities(cancelled=cancelled) if _needs_capabilities(sweep) else None
    state = before or Sweep()
    samples: queue.SimpleQueue[TelemetrySample] = queue.SimpleQueue()
    with SweepWriter(path, resume=before is not None) as writer, Telemetry(samples.put):
        for event in _events(sweep, state, here, cancelled, samples):
            writer.append(event)
            yield event


def _events(
    sweep: SweepPlan,
    state: Sweep,
    here: Capabilities | None,
    cancelled: Callable[[], bool],
    samples: queue.SimpleQueue[TelemetrySample],
) -> Iterator[Event]:
    state.apply(SweepStarted(time_ns=time.time_ns(), plan=sweep, dualscope_version=VERSION))
    yield SweepStarted(time_ns=time.time_ns(), plan=sweep, dualscope_version=VERSION)
    for point in state.unfinished():
        if cancelled():
            break
        yield from _point(sweep, point, here, cancelled, samples)
    reason = "stopped" if cancelled() else "all points done"
    yield SweepFinished(time_ns=time.time_ns(), reason=reason)


def _point(
    sweep: SweepPlan,
    point: Point,
    here: Capabilities | None,
    cancelled: Callable[[], bool],
    samples: queue.SimpleQueue[TelemetrySample],
) -> Iterator[Event]:
    try:
        plan, refused = point_plan(sweep, point, here)
    except ProfilerError as error:
        yield PointStarted(time_ns=time.time_ns(), index=point.index)
        yield _finished(point, PointState.FAILED, str(error))
        return
    yield PointStarted(time_ns=time.time_ns(), index=point.index, refused=refused)
    session = Session()
    # What was sampled between the points belongs to none.
    list(drained(samples))
    telemetry = functools.partial(drained, samples)
    for event in supervisor.run(plan, cancelled=cancelled, telemetry=telemetry):
        if not isinstance(event, OpTimings):
            session.apply(event)
        yield event
    yield _finished(point, *outcome(session, refused))


def _finished(point: Point, state: PointState, reason: str) -> PointFinished:
    return PointFinished(time_ns=time.time_ns(), index=point.index, state=state, reason=reason)


def _needs_capabilities(sweep: SweepPlan) -> bool:
    """Whether a lane at some point asks for what not every machine has."""
    plans: list[RunPlan] = [sweep.plan]
    for axis in sweep.axes:
        plans += [apply_value(sweep.plan, axis.name, value)[0] for value in axis.values]
    return any(needs_capabilities(plan) for plan in plans)
