"""What a sweep tells between its runs."""

from __future__ import annotations

import enum

from msgspec import field

from profiler.types.events import Event
from profiler.types.plans import SweepPlan
from profiler.types.search_events import AnyEvent


class PointState(enum.StrEnum):
    """How a point ended; a stopped one is measured again when the sweep is resumed."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class SweepStarted(Event, frozen=True, kw_only=True):
    plan: SweepPlan
    dualscope_version: str


class PointStarted(Event, frozen=True, kw_only=True):
    """The run of one point follows, event by event. `refused`: lanes that can't take its values."""

    index: int
    refused: dict[str, str] = field(default_factory=dict)


class PointFinished(Event, frozen=True, kw_only=True):
    """`reason` says why it failed."""

    index: int
    state: PointState
    reason: str = ""


class SweepFinished(Event, frozen=True, kw_only=True):
    """`reason`: "all points done" or "stopped"."""

    reason: str


# A sweep tells those of its runs, too.
AnySweepEvent = AnyEvent | SweepStarted | PointStarted | PointFinished | SweepFinished
