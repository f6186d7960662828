"""Nodes that are not in the order in which they run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import NodeProto, TensorProto, helper

from profiler.onnx_torch import import_onnx
from tests.profiler.onnx_torch import models


def out_of_order(*, inside: bool) -> list[NodeProto]:
    """exp(|x| + 1) where the sum is above 0, else -|x|; |x| comes after the branches that take it.

    `inside` turns the nodes of a branch around too.
    """
    then_nodes = [
        helper.make_node("Constant", [], ["one"], value_float=1.0),
        helper.make_node("Add", ["outer", "one"], ["a"]),
        helper.make_node("Exp", ["a"], ["then"]),
    ]
    if inside:
        then_nodes.reverse()
    else_nodes = [helper.make_node("Neg", ["outer"], ["else"])]
    branches = {
        f"{name}_branch": helper.make_graph(
            nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3])]
        )
        for name, nodes in (("then", then_nodes), ("else", else_nodes))
    }
    return [
        helper.make_node("Identity", ["found"], ["y"]),
        helper.make_node("If", ["flag"], ["found"], **branches),
        helper.make_node("Abs", ["x"], ["outer"]),
        helper.make_node("Less", ["limit", "total"], ["flag"]),
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Constant", [], ["limit"], value_float=0.0),
    ]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_nodes_out_of_order_give_what_they_say(sign: float, inside: bool, tmp_path: Path) -> None:
    content = models.model_bytes(out_of_order(inside=inside), {"x": [3]}, {"y": [3]})
    path = models.write(content, tmp_path)
    x = np.array([1.0, -0.5, 2.0], np.float32) * np.float32(sign)
    wanted = np.exp(np.abs(x) + 1) if sign > 0 else -np.abs(x)
    (found,) = import_onnx(path)(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-6)
    if not inside:  # ONNX Runtime sorts the graph, but not its branches.
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run(None, {"x": x})[0], wanted, rtol=1e-6)


def test_a_function_of_the_model_may_be_out_of_order(tmp_path: Path) -> None:
    body = [
        helper.make_node("Neg", ["e"], ["result"]),
        helper.make_node("Exp", ["given"], ["e"]),
    ]
    opsets = [helper.make_opsetid("", models.OPSET)]
    function = helper.make_function("own", "Minus", ["given"], ["result"], body, opsets)
    nodes = [helper.make_node("Minus", ["x"], ["y"], domain="own")]
    content = models.model_bytes(nodes, {"x": [2]}, {"y": [2]}, functions=[function])
    x = torch.tensor([0.0, 1.0])
    (found,) = import_onnx(models.write(content, tmp_path))(x)
    torch.testing.assert_close(found, -torch.exp(x))


def test_nodes_that_can_run_keep_their_order(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Exp", ["x"], ["b"], name="second_by_name"),
        helper.make_node("Neg", ["x"], ["a"], name="first_by_name"),
        helper.make_node("Add", ["a", "b"], ["y"], name="joined"),
    ]
    module = import_onnx(models.write(models.model_bytes(nodes, {"x": [2]}, {"y": [2]}), tmp_path))
    calls = [node.name for node in module.graph.nodes if node.op == "call_function"]
    assert calls == ["second_by_name", "first_by_name", "joined"]
