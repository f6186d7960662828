"""Time of graph nodes, for colouring a graph: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from profiler.explanation import Explanation
from profiler.types import OperatorRow


class NodeHeat(Struct, frozen=True, kw_only=True):
    """`time_ns` of the operator or region that does this node's work, together with `nodes` - 1
    others. For a difference it may be negative.
    """

    time_ns: float
    nodes: int = 1


def operator_heat(rows: Sequence[OperatorRow], scale: float = 1.0) -> dict[str, NodeHeat]:
    """Each node that an operator covers, with that operator's time; several add up."""
    sums: dict[str, float] = {}
    covered: dict[str, int] = {}
    for row in rows:
        for name in row.source_nodes:
            sums[name] = sums.get(name, 0.0) + row.mean_ns * scale
            covered[name] = max(covered.get(name, 0), len(row.source_nodes))
    return {name: NodeHeat(time_ns=time, nodes=covered[name]) for name, time in sums.items()}


def lane_heat(found: Explanation, lane: int) -> dict[str, NodeHeat]:
    """Timed, of one lane. Where its operators know no nodes, their region's nodes have its time."""
    rows = [row for region in found.regions for row in region.operators[lane]]
    if any(row.source_nodes for row in rows):
        return operator_heat(rows, found.figures[lane].scale)
    return {
        name: NodeHeat(time_ns=region.timed_ns[lane], nodes=len(region.nodes))
        for region in found.regions
        if region.operators[lane]
        for name in region.nodes
    }


def difference_heat(found: Explanation) -> dict[str, NodeHeat]:
    """What the candidate takes more than the baseline, of the region that a node is in."""
    return {
        name: NodeHeat(time_ns=region.difference_ns, nodes=len(region.nodes))
        for region in found.regions
        for name in region.nodes
    }
