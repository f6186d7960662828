"""A lane's traced rounds: which of them its operator times come from."""

from __future__ import annotations

from dataclasses import dataclass, field

from profiler.operators import OperatorTotals, Outside
from profiler.trace_figures import TraceFigures, trace_figures
from profiler.types import LatencyStats, OperatorRow, OpTimings


@dataclass
class LaneTraces:
    """Grows trace by trace. Once one was not disturbed, those that were take no part any more.

    `used` are those whose calls count, `rounds` how many there were, and `disturbances` why each
    disturbed one was, with the share of the CPU that others took.
    """

    used: list[OpTimings] = field(default_factory=list)
    rounds: int = 0
    disturbances: list[tuple[float, str]] = field(default_factory=list)
    _totals: OperatorTotals = field(default_factory=OperatorTotals)
    _inner: OperatorTotals = field(default_factory=OperatorTotals)

    def add(self, trace: OpTimings, disturbance: str) -> None:
        """Take in a traced round; `disturbance` says what disturbed it, "" for nothing."""
        was_disturbed = self.all_disturbed
        self.rounds += 1
        if disturbance:
            share = max(trace.foreign_cpu_share, trace.steal_share)
            self.disturbances.append((share, disturbance))
            if self.used and not was_disturbed:
                return
        elif was_disturbed:
            self.used, self._totals, self._inner = [], OperatorTotals(), OperatorTotals()
        self.used.append(trace)
        self._totals.add(trace)
        self._inner.add(trace, inner=True)

    @property
    def all_disturbed(self) -> bool:
        """Whether there are traces, and none of a quiet machine."""
        return 0 < self.rounds == len(self.disturbances)

    def operators(self, label: str) -> list[OperatorRow]:
        """One row an operator, longest first."""
        return self._totals.rows(label)

    def inner_operators(self, label: str) -> list[OperatorRow]:
        """Of nested graphs; their shares are of the time of `operators`."""
        return self._inner.rows(label, self._totals.traced_ns()) if self.used else []

    def figures(
        self, label: str, stats: LatencyStats | None, *, alike: bool = True
    ) -> TraceFigures | None:
        """How well the traces stand for the timed latency; None without any.

        `alike`: whether timed calls are like the traced ones, one at a time.
        """
        quietest = min(self.disturbances, default=(0.0, ""))[1] if self.all_disturbed else ""
        return trace_figures(
            self.used,
            self.operators(label),
            stats,
            self._totals.outside() if self.used else Outside(),
            rounds=self.rounds,
            disturbance=quietest,
            alike=alike,
        )
