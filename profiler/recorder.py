"""A run with everything that is kept of it: engines' events and telemetry, into a session file."""

from __future__ import annotations

import functools
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

from profiler import supervisor
from profiler.plan import check_plan
from profiler.session_writer import SessionWriter
from profiler.telemetry import Telemetry
from profiler.types import Event, RunPlan, TelemetrySample


def record(plan: RunPlan, path: Path, *, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Run the plan and write the session file while it goes on; yields every event.

    Raises PlanError, SessionFileError.
    """
    check_plan(plan)
    samples: queue.SimpleQueue[TelemetrySample] = queue.SimpleQueue()
    with SessionWriter(path) as writer, Telemetry(samples.put):
        telemetry = functools.partial(drained, samples)
        for event in supervisor.run(plan, cancelled=cancelled, telemetry=telemetry):
            writer.append(event)
            yield event


def drained(samples: queue.SimpleQueue[TelemetrySample]) -> Iterator[TelemetrySample]:
    """Every sample that has come since the last call."""
    while True:
        try:
            yield samples.get_nowait()
        except queue.Empty:
            return
