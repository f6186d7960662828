"""A lane's traced rounds: which of them its operator times come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from profiler.noise import SLOW, mostly_disturbed
from profiler.operators import OperatorTotals, Outside
from profiler.trace_figures import TraceFigures, trace_figures
from profiler.types import LatencyStats, OperatorRow, OpTimings


@dataclass
class LaneTraces:
    """Grows trace by trace. `used` are those whose calls count.

    Once one was not disturbed, those that were take no part any more; nor do, of the rest, rounds
    of a slow machine, unless most were.
    """

    used: list[OpTimings] = field(default_factory=list)
    # Each traced round, and what disturbed it, "" for nothing.
    _all: list[tuple[OpTimings, str]] = field(default_factory=list)
    _slow: frozenset[int] = frozenset()
    _totals: OperatorTotals = field(default_factory=OperatorTotals)
    _inner: OperatorTotals = field(default_factory=OperatorTotals)

    def add(self, trace: OpTimings, disturbance: str) -> None:
        """Take in a traced round; `disturbance` says what disturbed it, "" for nothing."""
        self._all.append((trace, disturbance))
        self._use(self._chosen())

    def set_slow(self, rounds: frozenset[int]) -> None:
        """Say in which traced rounds the machine was slow (`noise.slow_rounds`)."""
        if rounds != self._slow:
            self._slow = rounds
            self._use(self._chosen())

    def _chosen(self) -> list[OpTimings]:
        calm = [trace for trace, reason in self._all if not reason]
        calm = calm or [trace for trace, _ in self._all]
        quick = [trace for trace in calm if trace.round not in self._slow]
        return calm if mostly_disturbed(len(calm) - len(quick), len(calm)) else quick

    def _use(self, chosen: Sequence[OpTimings]) -> None:
        before = self.used_rounds
        if tuple(trace.round for trace in chosen[: len(before)]) != before:
            self.used, self._totals, self._inner = [], OperatorTotals(), OperatorTotals()
        for trace in chosen[len(self.used) :]:
            self.used.append(trace)
            self._totals.add(trace)
            self._inner.add(trace, inner=True)

    @property
    def rounds(self) -> int:
        """How many there were, used or not."""
        return len(self._all)

    @property
    def used_rounds(self) -> tuple[int, ...]:
        """Indices of those that count."""
        return tuple(trace.round for trace in self.used)

    @property
    def all_disturbed(self) -> bool:
        """Whether there are traces, and none of a quiet machine."""
        return bool(self._all) and all(reason for _, reason in self._all)

    def set_aside(self) -> dict[int, str]:
        """Rounds that take no part, by index, and why."""
        used = self.used_rounds
        return {
            trace.round: reason or SLOW for trace, reason in self._all if trace.round not in used
        }

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
        return trace_figures(
            self.used,
            self.operators(label),
            stats,
            self._totals.outside() if self.used else Outside(),
            rounds=self.rounds,
            disturbance=self._least_disturbance() if self.all_disturbed else "",
            alike=alike,
        )

    def _least_disturbance(self) -> str:
        """Of the round from which others took least."""
        return min((max(t.foreign_cpu_share, t.steal_share), reason) for t, reason in self._all)[1]
