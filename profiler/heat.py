"""Time and memory of graph nodes, for colouring a graph: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from profiler.explanation import Explanation
from profiler.node_path import innermost
from profiler.types import OperatorRow


class NodeHeat(Struct, frozen=True, kw_only=True):
    """Of the operator or region that does this node's work, together with `nodes` - 1 others:
    `amount` is its time in ns, which may be negative for a difference, or its outputs in bytes.
    """

    amount: float
    nodes: int = 1


def operator_heat(rows: Sequence[OperatorRow], scale: float = 1.0) -> dict[str, NodeHeat]:
    """Each node that an operator covers, with that operator's time; several add up."""
    return _summed((row, row.traced_ns * scale) for row in rows)


def memory_heat(rows: Sequence[OperatorRow]) -> dict[str, NodeHeat]:
    """Each node with the size of what its operators give in one iteration, views included."""
    return _summed((row, float(row.output_bytes)) for row in rows if row.output_bytes)


def _summed(amounts: Iterable[tuple[OperatorRow, float]]) -> dict[str, NodeHeat]:
    sums: dict[str, float] = {}
    covered: dict[str, int] = {}
    for row, amount in amounts:
        # A function's node is there beside those inside of it, for their sum.
        inner = innermost(row.source_nodes)
        for name in row.source_nodes:
            sums[name] = sums.get(name, 0.0) + amount
            covered[name] = max(covered.get(name, 0), len(inner) if name in inner else 1)
    return {name: NodeHeat(amount=amount, nodes=covered[name]) for name, amount in sums.items()}


def lane_heat(
    found: Explanation, lane: int, inner: Sequence[OperatorRow] = ()
) -> dict[str, NodeHeat]:
    """Timed, of one lane. Where its operators know no nodes, their region's nodes have its time.

    `inner` are the lane's operators of nested graphs, for the nodes in these.
    """
    rows = [row for region in found.regions for row in region.operators[lane]]
    if any(row.source_nodes for row in rows):
        return operator_heat([*rows, *inner], found.figures[lane].scale)
    return {
        name: NodeHeat(amount=region.timed_ns[lane], nodes=len(region.nodes))
        for region in found.regions
        if region.operators[lane]
        for name in region.nodes
    }


def difference_heat(found: Explanation) -> dict[str, NodeHeat]:
    """What the candidate takes more than the baseline, of the region that a node is in."""
    return {
        name: NodeHeat(amount=region.difference_ns, nodes=len(region.nodes))
        for region in found.regions
        for name in region.nodes
    }
