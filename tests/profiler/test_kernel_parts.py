"""Kernels that do several things side by side."""

from __future__ import annotations

import pytest

from profiler.alignment import LaneOperators
from profiler.kernel_parts import divided
from profiler.types import KernelPart, ModelGraph
from tests.traced_lanes import explain, lane_trace, node, row

GRAPH = ModelGraph(
    nodes=(
        node("a", "Conv", "x", scope="first"),
        node("b", "Conv", "x", scope="second"),
        node("c", "Relu", "b", scope="second"),
    ),
    parts={
        "kernel": (
            KernelPart(nodes=("a",), share=0.75),
            KernelPart(nodes=("b", "c"), share=0.25),
        )
    },
)


def test_each_part_is_a_row_with_its_share_of_the_time() -> None:
    rows = [row("kernel", "graph_0_cpp_fused_0", 0, nodes=("a", "b", "c"), traced_ns=1000)]
    found = divided(LaneOperators(rows, GRAPH)).rows
    assert [(r.name, r.traced_ns, r.source_nodes, r.scope, r.estimated) for r in found] == [
        ("kernel [1/2]", 750, ("a",), "first", True),
        ("kernel [2/2]", 250, ("b", "c"), "second", True),
    ]


def test_other_operators_are_left_as_they_are() -> None:
    rows = [row("other", "aten::addmm", 0, nodes=("a",)), row("k", "graph_0_cpp_fused_1", 1)]
    assert divided(LaneOperators(rows, GRAPH)).rows == rows
    plain = LaneOperators(rows, ModelGraph(nodes=GRAPH.nodes))
    assert divided(plain) is plain


def test_the_parts_do_not_unite_what_the_other_lane_does_apart() -> None:
    """And what they take adds up to the kernel."""
    from profiler.types import OpTiming

    def op(name: str, *nodes: str, start_ns: int = 0) -> OpTiming:
        return OpTiming(
            name=name, op_type=name, start_ns=start_ns, duration_ns=1000, source_nodes=nodes
        )

    fused = lane_trace("fused", [op("kernel", "a", "b", "c")], GRAPH)
    apart = lane_trace(
        "apart", [op("one", "a"), op("two", "b", "c", start_ns=1)], ModelGraph(nodes=GRAPH.nodes)
    )
    found = explain(fused, apart)
    assert [region.traced_ns for region in found.regions] == [(750, 1000), (250, 1000)]
    assert found.coverage == (1.0, 1.0)
    assert sum(bar.difference_ns for bar in found.bars()) == pytest.approx(1000)
