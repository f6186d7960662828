"""A sweep: what has been measured so far. `Sweep.apply(event)` is the only way that it grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from profiler.session import Session
from profiler.sweep.axes import labelled
from profiler.sweep.points import Point, order, points
from profiler.types import (
    Event,
    GraphDescribed,
    LogLine,
    OpTimings,
    PointFinished,
    PointStarted,
    PointState,
    RunFinished,
    SweepFinished,
    SweepPlan,
    SweepStarted,
)

# What a point's session leaves out here, since all points are in memory; its file has them.
LEFT_OUT = (OpTimings, GraphDescribed, LogLine)


@dataclass
class PointResult:
    """One point: its run, and how that ended. `state` is None while it goes on or was broken off.

    `refused`: lanes that couldn't take its values, with the reason.
    """

    point: Point
    refused: dict[str, str] = field(default_factory=dict)
    session: Session = field(default_factory=Session)
    state: PointState | None = None
    reason: str = ""
    # Figures that were worked out, of a point that is over: a window asks for them at each change.
    known: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def over(self) -> bool:
        """Whether it need not be measured again."""
        return self.state in (PointState.DONE, PointState.FAILED)

    def reasons(self) -> dict[str, str]:
        """Why lanes have no figures here, by label."""
        failed = {label: f.message for label, f in self.session.failures.items()}
        return {**self.refused, **failed}


@dataclass
class Sweep:
    """Everything known about a sweep; `results` by the point's index."""

    plan: SweepPlan | None = None
    version: str = ""
    started_ns: int = 0
    results: dict[int, PointResult] = field(default_factory=dict)
    current: int | None = None
    finished: SweepFinished | None = None

    def apply(self, event: Event) -> None:
        """Take one event in. A point that is begun again replaces what was known of it.

        Raises KeyError for a point that the plan doesn't have.
        """
        match event:
            case SweepStarted():
                self.plan, self.version = event.plan, event.dualscope_version
                self.started_ns = self.started_ns or event.time_ns
                self.current = self.finished = None
            case PointStarted():
                point = {p.index: p for p in self.points()}[event.index]
                self.results[event.index] = PointResult(point, refused=event.refused)
                self.current = event.index
            case PointFinished():
                result = self.results[event.index]
                result.state, result.reason = event.state, event.reason
                self.current = None
            case SweepFinished():
                self.finished = event
            case _ if self.current is not None and not isinstance(event, LEFT_OUT):
                self.results[self.current].session.apply(event)

    def points(self) -> list[Point]:
        """All points, in the grid's order."""
        return points(self.plan.axes) if self.plan else []

    def unfinished(self) -> list[Point]:
        """What is left to measure, in the sweep's order."""
        over = {index for index, result in self.results.items() if result.over}
        return [p for p in order(self.plan) if p.index not in over] if self.plan else []

    def done(self) -> list[PointResult]:
        """Points with figures, in the grid's order; one that was stopped counts."""
        found = [self.results[index] for index in sorted(self.results)]
        return [r for r in found if r.session.timed_rounds()]

    def labels(self) -> list[str]:
        """Lanes of the plan, in its order."""
        return [spec.label for spec in self.plan.plan.engines] if self.plan else []


def outcome(session: Session, refused: dict[str, str]) -> tuple[PointState, str]:
    """How a point's run ended, and why where it failed."""
    if isinstance(session.finished, RunFinished) and session.finished.reason == "stopped":
        return PointState.STOPPED, ""
    reasons = {**refused, **{label: str(f.message) for label, f in session.failures.items()}}
    if session.timed_rounds():
        return PointState.DONE, labelled(reasons)
    return PointState.FAILED, labelled(reasons) or "Nothing was measured."
