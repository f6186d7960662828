"""Times of graph nodes."""

from __future__ import annotations

from profiler.heat import NodeHeat, difference_heat, lane_heat, operator_heat
from profiler.types import ModelGraph, OpTiming
from tests.traced_lanes import explain, lane_trace, node, row

GRAPH = ModelGraph(nodes=(node("c", "Conv", "x"), node("r", "Relu", "c")))


def op(name: str, kind: str, duration: int, *nodes: str) -> OpTiming:
    return OpTiming(name=name, op_type=kind, start_ns=0, duration_ns=duration, source_nodes=nodes)


def test_a_fused_operator_gives_its_time_to_each_of_its_nodes() -> None:
    found = operator_heat([row("f", "Conv", 0, nodes=("c", "r"), traced_ns=10)], 2.0)
    assert found == {name: NodeHeat(amount=20, nodes=2) for name in "cr"}


def test_operators_of_one_node_add_up() -> None:
    rows = [
        row("a", "A", 0, nodes=("c",), traced_ns=1),
        row("b", "B", 1, nodes=("c",), traced_ns=2),
    ]
    assert operator_heat(rows) == {"c": NodeHeat(amount=3)}


def test_heat_of_lanes_and_of_their_difference() -> None:
    eager = [op("conv", "aten::conv2d", 70, "c"), op("relu", "aten::relu", 30, "r")]
    found = explain(
        lane_trace("eager", eager, GRAPH),
        lane_trace("ort", [op("f", "Conv", 40, "r", "c")], GRAPH),
    )
    assert lane_heat(found, 0) == {"c": NodeHeat(amount=70), "r": NodeHeat(amount=30)}
    assert lane_heat(found, 1)["c"] == NodeHeat(amount=40, nodes=2)
    assert difference_heat(found)["r"] == NodeHeat(amount=-60, nodes=2)
