"""How well a lane's trace stands for its timed latency: pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from msgspec import Struct

from profiler.operators import Outside
from profiler.types import LatencyStats, OperatorRow, OpTimings

# Above this, what a trace says of small operators is what tracing itself costs.
MOST_TRACING_COST = 1.5
# Tracing costs a few µs an operator, under marks some 30: what is more than this is something else.
MOST_NS_AN_OPERATOR = 50_000
NOTHING = Outside()


class TraceFigures(Struct, frozen=True, kw_only=True):
    """Of one lane, in ns of one typical iteration: medians over the traced ones.

    `before_ns`, `between_ns` and `after_ns` tell when in a traced call no operator ran: before the
    first one (inputs checked, weights fetched), between two (dispatch), after the last.
    `coverage`: operators' sum over that sum and these; the rest is the engine's overhead.
    `tracing_cost`: traced latency over the timed p50, so 1.2 is 20 % slower. `scale` takes an
    operator's traced time to its part of the timed p50: as if tracing slowed all alike.
    `overhead_ns` is what is left of the timed p50.

    `rounds` were traced. `disturbance` says what disturbed the quietest of them, where all were;
    else it is "", and those that were disturbed have no part in these figures. `calls` counts
    operators; `alike`: whether timed calls come one at a time, as traced ones do.
    """

    operators_ns: float
    traced_ns: float
    timed_ns: float
    coverage: float
    tracing_cost: float
    scale: float
    overhead_ns: float
    before_ns: float = 0.0
    between_ns: float = 0.0
    after_ns: float = 0.0
    rounds: int = 1
    disturbance: str = ""
    calls: int = 0
    alike: bool = True

    @property
    def unlike_timed(self) -> bool:
        """Whether traced calls are faster, or slower by more, than tracing could make them."""
        if not self.alike or not self.tracing_cost:
            return False
        slower_ns = self.traced_ns - self.timed_ns
        too_slow = slower_ns > MOST_NS_AN_OPERATOR * max(self.calls, 1)
        return self.tracing_cost * MOST_TRACING_COST < 1 or (not self.believable and too_slow)

    @property
    def doubt(self) -> str:
        """Why the operator times may be wrong, in words; "" for no reason to think so."""
        if self.disturbance:
            least = f", the least of {self.rounds} traced rounds" if self.rounds > 1 else ""
            return f"operators were traced while {self.disturbance}{least}"
        if self.unlike_timed:
            more = ", more than tracing costs" if self.tracing_cost > 1 else ""
            return f"traced calls take {self.tracing_cost:.2f} times as long as timed ones{more}"
        return ""

    @property
    def against_timed(self) -> str:
        """The traced latency beside the timed one, in words."""
        return (
            f"traced calls take {self.traced_ns / 1e6:.4g} ms, timed ones "
            f"{self.timed_ns / 1e6:.4g} ms (p50)"
        )

    @property
    def believable(self) -> bool:
        """Where tracing slows a lane a lot, it is the smallest operators that seem to cost most."""
        return self.tracing_cost <= MOST_TRACING_COST

    @property
    def outside_ns(self) -> float:
        """Traced time in which no operator ran."""
        return self.before_ns + self.between_ns + self.after_ns

    def outside(self) -> str:
        """Where the engine's own time lies, in words."""
        whole_ns = self.operators_ns + self.outside_ns
        parts = (
            (self.before_ns, "before the first operator"),
            (self.between_ns, "between operators"),
            (self.after_ns, "after the last"),
        )
        return ", ".join(f"{time_ns / whole_ns:.1%} {when}" for time_ns, when in parts if whole_ns)


def trace_figures(
    traces: Sequence[OpTimings],
    rows: Sequence[OperatorRow],
    stats: LatencyStats | None,
    outside: Outside = NOTHING,
    *,
    rounds: int = 1,
    disturbance: str = "",
    alike: bool = True,
) -> TraceFigures | None:
    """None without a trace. Without a timed latency, the traced one stands for it.

    The last three are those of `TraceFigures`.
    """
    latencies = [latency for trace in traces for latency in trace.traced_latencies_ns]
    operators_ns = sum(row.traced_ns for row in rows)
    if not latencies or operators_ns <= 0:
        return None
    traced_ns = statistics.median(latencies)
    timed_ns = stats.p50_ns if stats else traced_ns
    # Not the latency: medians of parts add up to another sum, and operators may run side by side.
    coverage = operators_ns / (operators_ns + sum(outside))
    return TraceFigures(
        operators_ns=operators_ns,
        traced_ns=traced_ns,
        timed_ns=timed_ns,
        coverage=coverage,
        tracing_cost=traced_ns / timed_ns if timed_ns else 0.0,
        scale=timed_ns * coverage / operators_ns,
        overhead_ns=timed_ns * (1 - coverage),
        before_ns=outside.before_ns,
        between_ns=outside.between_ns,
        after_ns=outside.after_ns,
        rounds=rounds,
        disturbance=disturbance,
        calls=sum(row.calls for row in rows),
        alike=alike,
    )
