"""How well a lane's trace stands for its timed latency: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from profiler.operators import Outside
from profiler.types import LatencyStats, OperatorRow, OpTimings


class TraceFigures(Struct, frozen=True, kw_only=True):
    """Of one lane, in ns of one iteration.

    `coverage`: operators' sum over traced latency, the rest is the engine's overhead.
    `tracing_cost`: traced latency over the timed p50, so 1.2 is 20 % slower. `scale` takes an
    operator's traced time to its part of the timed p50: as if tracing slowed all alike.
    `overhead_ns` is what is left of the timed p50. `before_ns`, `between_ns` and `after_ns` tell
    when in a traced call no operator ran: before the first one (inputs checked, weights fetched),
    between two (dispatch), after the last.
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

    def outside(self) -> str:
        """Where the engine's own time lies, in words."""
        parts = (
            (self.before_ns, "before the first operator"),
            (self.between_ns, "between operators"),
            (self.after_ns, "after the last"),
        )
        return ", ".join(
            f"{time_ns / self.traced_ns:.1%} {when}" for time_ns, when in parts if self.traced_ns
        )


def trace_figures(
    traces: Sequence[OpTimings],
    rows: Sequence[OperatorRow],
    stats: LatencyStats | None,
    outside: Outside | None = None,
) -> TraceFigures | None:
    """None without a trace. Without a timed latency, the traced one stands for it."""
    latencies = [latency for trace in traces for latency in trace.traced_latencies_ns]
    operators_ns = sum(row.mean_ns for row in rows)
    if not latencies or operators_ns <= 0:
        return None
    traced_ns = sum(latencies) / len(latencies)
    timed_ns = stats.p50_ns if stats else traced_ns
    # Operators that run side by side add up to more than the latency.
    whole_ns = max(traced_ns, operators_ns)
    scale = timed_ns / whole_ns
    return TraceFigures(
        operators_ns=operators_ns,
        traced_ns=traced_ns,
        timed_ns=timed_ns,
        coverage=operators_ns / traced_ns if traced_ns else 0.0,
        tracing_cost=traced_ns / timed_ns if timed_ns else 0.0,
        scale=scale,
        overhead_ns=timed_ns - operators_ns * scale,
        before_ns=outside.before_ns / len(latencies) if outside else 0.0,
        between_ns=outside.between_ns / len(latencies) if outside else 0.0,
        after_ns=outside.after_ns / len(latencies) if outside else 0.0,
    )
