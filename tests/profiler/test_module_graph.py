"""A graph's nodes with their modules: from notes, from names, from parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from profiler.model_file import identify
from profiler.module_graph import describe, describe_onnx
from profiler.types import GraphNode
from tests.model_zoo import onnx_mlp, pickled_sequential


def model(nodes: list[onnx.NodeProto], weights: tuple[str, ...] = ()) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros((2, 2), np.float32), name) for name in weights],
    )
    return helper.make_model(graph)


def noted(node: onnx.NodeProto, scopes: str, call: str = "") -> onnx.NodeProto:
    for key, value in (("name_scopes", scopes), ("fx_node", call)):
        entry = node.metadata_props.add()
        entry.key, entry.value = f"pkg.torch.onnx.{key}", value
    return node


def described(graph: onnx.ModelProto) -> dict[str, GraphNode]:
    return {node.name: node for node in describe_onnx(graph).nodes}


def test_the_exporters_notes() -> None:
    call = "%linear_1 : [num_users=1] = call_function[target=torch.ops.aten.linear.default](args)"
    node = noted(
        helper.make_node("Gemm", ["x", "w"], ["y"], name="n"),
        "['', 'enc', 'enc.0', 'linear']",
        call,
    )
    found = described(model([node], ("w",)))["y"]
    assert (found.scope, found.target, found.target_name) == ("enc.0", "aten::linear", "linear_1")
    assert (found.parameters, found.node_name) == (("w",), "n")


def test_notes_that_are_no_list_are_passed_over() -> None:
    node = noted(helper.make_node("Exp", ["x"], ["y"]), "__import__('os').abort()")
    assert described(model([node]))["y"].scope == ""


def test_a_node_without_notes_belongs_to_what_is_around_it() -> None:
    nodes = [
        noted(helper.make_node("Exp", ["x"], ["a"]), "['', 'h', 'h.0', 'exp']"),
        helper.make_node("Neg", ["a"], ["b"]),
        noted(helper.make_node("Exp", ["b"], ["c"]), "['', 'h', 'h.1', 'exp']"),
    ]
    assert described(model(nodes))["b"].scope == "h"


def test_paths_in_node_names() -> None:
    node = helper.make_node("MatMul", ["x", "x"], ["y"], name="/encoder/layer.0/query/MatMul")
    assert described(model([node]))["y"].scope == "encoder.layer.0.query"


def test_parameter_names_where_nothing_else_tells() -> None:
    nodes = [
        helper.make_node("Transpose", ["layer.0.weight"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "layer.1.weight"], ["c"]),
    ]
    found = described(model(nodes, ("layer.0.weight", "layer.1.weight")))
    assert [found[name].scope for name in "abc"] == ["layer.0", "layer", "layer.1"]
    assert found["a"].parameters == ("layer.0.weight",)


def test_inputs_of_branches_count() -> None:
    def branch(name: str) -> onnx.GraphProto:
        inner = helper.make_node("Neg", ["outer"], [name])
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        return helper.make_graph([inner], name, [], [value])

    nodes = [
        helper.make_node("Exp", ["x"], ["outer"]),
        helper.make_node("If", ["x"], ["y"], then_branch=branch("t"), else_branch=branch("e")),
    ]
    assert "outer" in described(model(nodes))["y"].inputs


def test_only_onnx_files_have_a_graph_to_describe(tmp_path: Path) -> None:
    graph = describe(identify(onnx_mlp(tmp_path)))
    assert graph is not None
    assert [node.name for node in graph.nodes] == ["h", "biased", "active", "y"]
    assert describe(identify(pickled_sequential(tmp_path))) is None
