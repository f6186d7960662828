"""A suite: what has been measured so far. `Suite.apply(event)` is the only way that it grows."""

from __future__ import annotations

from dataclasses import dataclass, field

from profiler.suite.claims import judge
from profiler.suite.records import (
    Claim,
    Entry,
    EntryFinished,
    EntryResult,
    EntryStarted,
    Row,
    SuiteFinished,
    SuitePlan,
    SuitePrepared,
    SuiteStarted,
)
from profiler.types import Event, PointState


@dataclass
class Suite:
    """Everything known about a suite; `results` by the entry's key."""

    plan: SuitePlan | None = None
    environment: dict[str, str] = field(default_factory=dict)
    version: str = ""
    started_ns: int = 0
    prepared_s: float = 0.0
    results: dict[str, EntryResult] = field(default_factory=dict)
    current: EntryStarted | None = None
    finished: SuiteFinished | None = None

    def apply(self, event: Event) -> None:
        """Take one event in; those of the runs themselves are passed over."""
        match event:
            case SuiteStarted():
                self.plan, self.environment = event.plan, event.environment
                self.version = event.dualscope_version
                self.started_ns = event.time_ns
                self.current = self.finished = None
            case SuitePrepared():
                self.prepared_s += event.wall_s
            case EntryStarted():
                self.current = event
            case EntryFinished():
                self.results[event.result.key] = event.result
                self.current = None
            case SuiteFinished():
                self.finished = event

    def entries(self) -> tuple[Entry, ...]:
        """All runs, in their order."""
        return self.plan.entries if self.plan else ()

    def unfinished(self) -> list[Entry]:
        """What is left to measure."""
        return [entry for entry in self.entries() if not self._is_done(entry)]

    def rows(self) -> list[Row]:
        """The table's rows so far, in the plan's order; what was stopped counts."""
        found = [self.results[e.key] for e in self.entries() if e.key in self.results]
        return [row for result in found for row in result.rows]

    def claims(self) -> tuple[Claim, ...]:
        """Each claim, judged by what is there."""
        return judge(self.rows(), self.plan.left_out if self.plan else ())

    def wall_s(self) -> float:
        """How long all of it took, what was done before it was stopped included."""
        return self.prepared_s + sum(result.wall_s for result in self.results.values())

    def _is_done(self, entry: Entry) -> bool:
        result = self.results.get(entry.key)
        return result is not None and result.state is PointState.DONE
