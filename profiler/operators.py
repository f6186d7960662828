"""Sum traced operators of one lane into rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from profiler.types import OperatorRow, OpTiming, OpTimings
from profiler.work import work_of


@dataclass
class _Total:
    first: OpTiming
    calls: int = 0
    sum_ns: int = 0
    flops: float | None = 0.0
    moved_bytes: float | None = 0.0
    sum_bytes: int = 0

    def add(self, op: OpTiming) -> None:
        """What isn't known of one call isn't known of the sum."""
        self.calls += 1
        self.sum_ns += op.duration_ns
        self.sum_bytes += op.output_bytes
        work = work_of(op.op_type, op.shapes)
        self.flops = _sum(self.flops, work.flops)
        self.moved_bytes = _sum(self.moved_bytes, work.moved_bytes)


@dataclass
class OperatorTotals:
    """Grows trace by trace, so that a live table needs no second pass over old traces."""

    iterations: int = 0
    sum_ns: int = 0
    _by_operator: dict[tuple[str, str], _Total] = field(default_factory=dict)

    def add(self, trace: OpTimings, *, inner: bool = False) -> None:
        """Take in the operators of one traced round; with `inner`, those of nested graphs."""
        self.iterations += trace.iterations
        for op in trace.inner if inner else trace.ops:
            key = (op.name, op.op_type)
            total = self._by_operator.get(key)
            if total is None:
                total = self._by_operator[key] = _Total(first=op)
            total.add(op)
            self.sum_ns += op.duration_ns

    def rows(self, label: str, whole_ns: int | None = None) -> list[OperatorRow]:
        """One row an operator, longest first. `mean_ns` is its time in one iteration.

        Shares are of `whole_ns`, the sum over all iterations; None for these operators' own.
        """
        iterations = max(self.iterations, 1)
        whole_ns = self.sum_ns if whole_ns is None else whole_ns
        rows = [
            OperatorRow(
                label=label,
                name=total.first.name,
                op_type=total.first.op_type,
                calls=round(total.calls / iterations),
                mean_ns=total.sum_ns / iterations,
                share=total.sum_ns / whole_ns if whole_ns else 0.0,
                flops=None if total.flops is None else total.flops / iterations,
                moved_bytes=None if total.moved_bytes is None else total.moved_bytes / iterations,
                source_nodes=total.first.source_nodes,
                scope=total.first.scope,
                shapes=total.first.shapes,
                provider=total.first.provider,
                start_ns=total.first.start_ns,
                output_bytes=round(total.sum_bytes / iterations),
            )
            for total in self._by_operator.values()
        ]
        return sorted(rows, key=lambda row: -row.mean_ns)


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
