"""Sum traced operators of one lane into rows."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from profiler.op_kinds import GLUE, kind_of
from profiler.types import ModelGraph, OperatorRow, OpTiming, OpTimings
from profiler.work import work_of


@dataclass
class _Total:
    """One operator; what it took and waited is kept by iteration, in the order they came."""

    first: OpTiming
    calls: int = 0
    flops: float | None = 0.0
    moved_bytes: float | None = 0.0
    sum_bytes: int = 0
    threads: int = 0
    spent_ns: dict[int, int] = field(default_factory=dict)
    waited_ns: dict[int, int] = field(default_factory=dict)

    def add(self, op: OpTiming, iteration: int) -> None:
        """What isn't known of one call isn't known of the sum."""
        self.calls += 1
        self.sum_bytes += op.output_bytes
        self.threads = max(self.threads, op.threads)
        self.spent_ns[iteration] = self.spent_ns.get(iteration, 0) + op.duration_ns
        self.waited_ns[iteration] = self.waited_ns.get(iteration, 0) + op.wait_ns
        work = work_of(op.op_type, op.shapes)
        self.flops = _sum(self.flops, work.flops)
        self.moved_bytes = _sum(self.moved_bytes, work.moved_bytes)


class Outside(NamedTuple):
    """Time of a call in which no operator ran: before the first, between two, after the last."""

    before_ns: float = 0.0
    between_ns: float = 0.0
    after_ns: float = 0.0


def outside_of(latency_ns: int, ops: Sequence[OpTiming]) -> Outside:
    """Of one iteration. Operators may run side by side, in any order."""
    if not ops:
        return Outside(before_ns=latency_ns)
    ordered = sorted(ops, key=lambda op: op.start_ns)
    before = busy_until = ordered[0].start_ns
    between = 0
    for op in ordered:
        between += max(0, op.start_ns - busy_until)
        busy_until = max(busy_until, op.start_ns + op.duration_ns)
    return Outside(before, between, max(0, latency_ns - busy_until))


@dataclass
class OperatorTotals:
    """Grows trace by trace, so that a live table needs no second pass over old traces.

    Times are those of a typical traced iteration, each part by its own median: a call in which
    others took the CPU lengthens whichever operator it met, and would count in a mean.
    """

    iterations: int = 0
    _by_operator: dict[tuple[str, str], _Total] = field(default_factory=dict)
    _outside: list[Outside] = field(default_factory=list)
    # Time and wait of each operator, until another trace comes.
    _typical: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def add(self, trace: OpTimings, *, inner: bool = False) -> None:
        """Take in the operators of one traced round; with `inner`, those of nested graphs."""
        for op in trace.inner if inner else trace.ops:
            total = self._by_operator.setdefault((op.name, op.op_type), _Total(first=op))
            total.add(op, self.iterations + op.iteration)
        by_iteration: dict[int, list[OpTiming]] = defaultdict(list)
        for op in trace.ops:
            by_iteration[op.iteration].append(op)
        for iteration, latency_ns in enumerate(trace.traced_latencies_ns):
            self._outside.append(outside_of(latency_ns, by_iteration[iteration]))
        self.iterations += trace.iterations
        self._typical.clear()

    def outside(self) -> Outside:
        """Of a typical iteration."""
        if not self._outside:
            return Outside()
        return Outside(*(statistics.median(part) for part in zip(*self._outside, strict=True)))

    def traced_ns(self) -> float:
        """Of all operators in one iteration."""
        return sum(spent for spent, _ in self._times().values())

    def _times(self) -> dict[tuple[str, str], tuple[float, float]]:
        if not self._typical:
            for key, total in self._by_operator.items():
                parts = (total.spent_ns.values(), total.waited_ns.values())
                spent, waited = (_typical(values, self.iterations) for values in parts)
                self._typical[key] = (spent, waited)
        return self._typical

    def rows(self, label: str, whole_ns: float | None = None) -> list[OperatorRow]:
        """One row an operator, longest first.

        Shares are of `whole_ns`, time in one iteration; None for these operators' own.
        """
        iterations, times = max(self.iterations, 1), self._times()
        whole_ns = self.traced_ns() if whole_ns is None else whole_ns
        rows = [
            OperatorRow(
                label=label,
                name=total.first.name,
                op_type=total.first.op_type,
                calls=round(total.calls / iterations),
                traced_ns=times[key][0],
                share=times[key][0] / whole_ns if whole_ns else 0.0,
                flops=None if total.flops is None else total.flops / iterations,
                moved_bytes=None if total.moved_bytes is None else total.moved_bytes / iterations,
                source_nodes=total.first.source_nodes,
                scope=total.first.scope,
                shapes=total.first.shapes,
                provider=total.first.provider,
                start_ns=total.first.start_ns,
                output_bytes=round(total.sum_bytes / iterations),
                input_bytes=total.first.input_bytes,
                weights_bytes=total.first.weights_bytes,
                threads=total.threads,
                wait_ns=times[key][1],
            )
            for key, total in self._by_operator.items()
        ]
        return sorted(rows, key=lambda row: -row.traced_ns)


def _typical(values: Collection[int], iterations: int) -> float:
    """The median of the iterations that it ran in, times the share of those among all."""
    return statistics.median(values) * len(values) / max(iterations, 1)


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


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
