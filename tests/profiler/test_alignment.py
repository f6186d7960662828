"""What belongs together in two lanes, on small made-up lanes."""

from __future__ import annotations

from profiler.alignment import LaneOperators, align
from profiler.types import GraphNode, ModelGraph
from tests.traced_lanes import names, node, row

CHAIN = ModelGraph(
    nodes=(
        node("c", "Conv", "x"),
        node("r", "Relu", "c"),
        node("s", "Shape", "r"),
        node("g", "Gather", "s"),
        node("v", "Reshape", "r", "g"),
        node("m", "MatMul", "v"),
    )
)
EAGER = LaneOperators(
    [
        row("conv", "aten::conv2d", 0, nodes=("c",)),
        row("relu", "aten::relu", 1, nodes=("r",)),
        row("view", "aten::reshape", 2, nodes=("v",)),
        row("matmul", "aten::matmul", 3, nodes=("m",)),
    ],
    CHAIN,
)


def test_a_fused_operator_stands_beside_all_that_it_does() -> None:
    fused = LaneOperators(
        [
            row("fused", "Conv", 0, nodes=("r", "c")),
            row("view", "Reshape", 2, nodes=("v",)),
            row("matmul", "MatMul", 3, nodes=("m",)),
        ],
        CHAIN,
    )
    assert names(align(EAGER, fused), (EAGER, fused)) == [
        ({"conv", "relu"}, {"fused"}),
        ({"view"}, {"view"}),
        ({"matmul"}, {"matmul"}),
    ]


def test_shape_arithmetic_goes_with_what_it_is_for() -> None:
    unfused = LaneOperators(
        [
            row("conv", "Conv", 0, nodes=("c",)),
            row("relu", "Relu", 1, nodes=("r",)),
            row("shape", "Shape", 2, nodes=("s",)),
            row("gather", "Gather", 3, nodes=("g",)),
            row("view", "Reshape", 4, nodes=("v",)),
            row("matmul", "MatMul", 5, nodes=("m",)),
        ],
        CHAIN,
    )
    found = names(align(EAGER, unfused), (EAGER, unfused))
    assert ({"view"}, {"shape", "gather", "view"}) in found
    assert len(found) == 4


def test_a_change_of_layout_goes_with_the_operator_that_it_prepares() -> None:
    graph = ModelGraph(nodes=CHAIN.nodes, beside={"reorder": "c"})
    blocked = LaneOperators(
        [
            row("reorder", "ReorderInput", 0),
            row("fused", "Conv", 1, nodes=("r", "c")),
            row("matmul", "MatMul", 3, nodes=("m", "v")),
        ],
        graph,
    )
    assert names(align(EAGER, blocked), (EAGER, blocked))[0] == (
        {"conv", "relu"},
        {"reorder", "fused"},
    )


def test_a_module_that_one_lane_has_alone_stays_apart() -> None:
    graph = ModelGraph(
        nodes=(
            node("a", "MatMul", "x", scope="first"),
            node("extra", "MatMul", "a", scope="extra"),
            node("b", "MatMul", "extra", scope="last"),
        )
    )
    small = LaneOperators(
        [
            row("1", "aten::linear", 0, scope="first"),
            row("3", "aten::linear", 1, scope="last"),
        ],
        ModelGraph(nodes=()),
    )
    large = LaneOperators(
        [
            row("a", "MatMul", 0, nodes=("a",)),
            row("extra", "MatMul", 1, nodes=("extra",)),
            row("b", "MatMul", 2, nodes=("b",)),
        ],
        graph,
    )
    assert names(align(small, large), (small, large)) == [
        ({"1"}, {"a"}),
        ({"3"}, {"b"}),
        (set(), {"extra"}),
    ]


def test_a_folded_batch_norm_stands_beside_its_convolution() -> None:
    folded = ModelGraph(
        nodes=(
            GraphNode(
                name="y",
                op_type="Conv",
                inputs=("x", "w"),
                outputs=("y",),
                scope="stem.norm",
                parameters=("stem.conv.weight",),
                target="aten::batch_norm",
                target_name="batch_norm",
            ),
        )
    )
    eager = LaneOperators(
        [
            row("stem.conv/aten::conv2d", "aten::conv2d", 0, scope="stem.conv"),
            row("stem.norm/aten::batch_norm", "aten::batch_norm", 1, scope="stem.norm"),
        ],
        ModelGraph(nodes=()),
    )
    ort = LaneOperators([row("conv", "Conv", 0, nodes=("y",))], folded)
    assert len(align(eager, ort)) == 1


def test_what_a_quantizer_wrote_lies_where_the_node_was() -> None:
    """Without a bias behind it, nothing in the int8 file tells the module."""

    def named(value: str, op_type: str, source: str, node_name: str, scope: str) -> GraphNode:
        return GraphNode(
            name=value,
            op_type=op_type,
            inputs=(source,),
            outputs=(value,),
            scope=scope,
            node_name=node_name,
        )

    plain = ModelGraph(
        nodes=(
            named("q", "MatMul", "x", "mm_1", "attention.q"),
            named("k", "MatMul", "x", "mm_2", "attention.k"),
            named("s", "Softmax", "q", "softmax", "attention"),
        )
    )
    int8 = ModelGraph(
        nodes=(
            named("qi", "MatMulInteger", "x", "mm_1_quant", "attention"),
            named("q", "Mul", "qi", "mm_1_quant_output_scale_mul", "attention"),
            named("ki", "MatMulInteger", "x", "mm_2_quant", "attention"),
            named("k", "Mul", "ki", "mm_2_quant_output_scale_mul", "attention"),
            named("s", "Softmax", "q", "softmax", "attention"),
        )
    )
    one, other = (
        LaneOperators(
            [row(n.name, n.op_type, i, nodes=(n.name,)) for i, n in enumerate(g.nodes)], g
        )
        for g in (plain, int8)
    )
    assert names(align(one, other), (one, other)) == [
        ({"q"}, {"qi", "q"}),
        ({"k"}, {"ki", "k"}),
        ({"s"}, {"s"}),
    ]


def test_tied_weights_do_not_tie_two_modules() -> None:
    def tied(name: str, op_type: str, source: str, scope: str) -> GraphNode:
        return GraphNode(
            name=name,
            op_type=op_type,
            inputs=(source, "wte.weight"),
            outputs=(name,),
            scope=scope,
            parameters=("wte.weight",),
        )

    graph = ModelGraph(nodes=(tied("e", "Gather", "x", "wte"), tied("l", "MatMul", "e", "head")))
    ort = LaneOperators(
        [row("e", "Gather", 0, nodes=("e",)), row("l", "MatMul", 1, nodes=("l",))], graph
    )
    eager = LaneOperators(
        [
            row("embedding", "aten::embedding", 0, scope="wte"),
            row("linear", "aten::linear", 1, scope="head"),
        ],
        ModelGraph(nodes=()),
    )
    assert names(align(eager, ort), (eager, ort)) == [({"embedding"}, {"e"}), ({"linear"}, {"l"})]


def test_lanes_without_anything_in_common_still_keep_every_operator() -> None:
    one = LaneOperators([row("a", "aten::lstm", 0, scope="m")], ModelGraph(nodes=()))
    other = LaneOperators([row("b", "Foo", 0, nodes=("gone",))], ModelGraph(nodes=()))
    parts = align(one, other)
    assert sum(len(part.rows[0]) for part in parts) == 1
    assert sum(len(part.rows[1]) for part in parts) == 1


def test_a_lane_without_operators() -> None:
    none = LaneOperators([], ModelGraph(nodes=()))
    parts = align(EAGER, none)
    assert sorted(index for part in parts for index in part.rows[0]) == [0, 1, 2, 3]
    assert not any(part.shared for part in parts)
