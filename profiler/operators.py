"""Sum traced operators of one lane into rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from profiler.op_kinds import GLUE, kind_of
from profiler.types import ModelGraph, OperatorRow, OpTiming, OpTimings


@dataclass
class _Total:
    first: OpTiming
    calls: int = 0
    sum_ns: int = 0
    sum_bytes: int = 0
    threads: int = 0
    wait_ns: int = 0


@dataclass
class Outside:
    """Sums of the time in which no operator ran: before the first, between two, after the last."""

    before_ns: int = 0
    between_ns: int = 0
    after_ns: int = 0

    def add(self, latency_ns: int, ops: Sequence[OpTiming]) -> None:
        """One iteration. Operators may run side by side, in any order."""
        busy_until = None
        for op in sorted(ops, key=lambda op: op.start_ns):
            if busy_until is None:
                self.before_ns += op.start_ns
                busy_until = op.start_ns
            self.between_ns += max(0, op.start_ns - busy_until)
            busy_until = max(busy_until, op.start_ns + op.duration_ns)
        if busy_until is not None:
            self.after_ns += max(0, latency_ns - busy_until)


@dataclass
class OperatorTotals:
    """Grows trace by trace, so that a live table needs no second pass over old traces."""

    iterations: int = 0
    sum_ns: int = 0
    outside: Outside = field(default_factory=Outside)
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
            total.threads = max(total.threads, op.threads)
            total.wait_ns += op.wait_ns
            self.sum_ns += op.duration_ns
        by_iteration: dict[int, list[OpTiming]] = defaultdict(list)
        for op in trace.ops:
            by_iteration[op.iteration].append(op)
        for iteration, latency_ns in enumerate(trace.traced_latencies_ns):
            self.outside.add(latency_ns, by_iteration[iteration])

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
                input_bytes=total.first.input_bytes,
                weights_bytes=total.first.weights_bytes,
                threads=total.threads,
                wait_ns=total.wait_ns / iterations,
            )
            for total in self._by_operator.values()
        ]
        return sorted(rows, key=lambda row: -row.mean_ns)


def with_modules(rows: Sequence[OperatorRow], graph: ModelGraph) -> list[OperatorRow]:
    """Rows that tell no module, with the path that the nodes they stand for have in common."""
    nodes = {node.name: node for node in graph.nodes}
    found = []
    for row in rows:
        own = [nodes[name] for name in row.source_nodes if name in nodes]
        computing = [node for node in own if kind_of(node.op_type) not in GLUE] or own
        scope = row.scope or common_path([node.scope for node in computing])
        found.append(msgspec.structs.replace(row, scope=scope))
    return found


def common_path(scopes: Sequence[str]) -> str:
    """`a.b.c` and `a.b.d` -> `a.b`."""
    paths = [scope.split(".") if scope else [] for scope in scopes]
    shared: list[str] = []
    for steps in zip(*paths, strict=False):
        if len(set(steps)) > 1:
            break
        shared.append(steps[0])
    return ".".join(shared)
