"""Sum traced operators of one lane into rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from profiler.types import OperatorRow, OpTiming, OpTimings


@dataclass
class _Total:
    first: OpTiming
    calls: int = 0
    sum_ns: int = 0
    sum_bytes: int = 0


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
            total.calls += 1
            total.sum_ns += op.duration_ns
            total.sum_bytes += op.output_bytes
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
