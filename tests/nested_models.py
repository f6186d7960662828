"""Small ONNX models whose nodes have nodes inside: bodies of Loop and If, and functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

SIDE = 32
TRIPS = 4


def control_flow(path: Path) -> Path:
    """A Loop (`looped`) whose body has a product, then an If (`y`) with a value of one name, `mm`,
    in both of its branches.
    """
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["h", "w"], ["loop_mm"]),
            helper.make_node("Tanh", ["loop_mm"], ["h_out"]),
            helper.make_node("Identity", ["cond"], ["cond_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("cond", TensorProto.BOOL, []),
            _matrix("h"),
        ],
        [helper.make_tensor_value_info("cond_out", TensorProto.BOOL, []), _matrix("h_out")],
    )
    then = helper.make_graph(
        [
            helper.make_node("MatMul", ["looped", "w"], ["mm"]),
            helper.make_node("Relu", ["mm"], ["br"]),
        ],
        "then",
        [],
        [_matrix("br")],
    )
    otherwise = helper.make_graph(
        [
            helper.make_node("MatMul", ["looped", "looped"], ["mm"]),
            helper.make_node("Exp", ["mm"], ["br2"]),
        ],
        "else",
        [],
        [_matrix("br2")],
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["first"]),
        helper.make_node("Loop", ["n", "", "first"], ["looped"], name="the_loop", body=body),
        helper.make_node("ReduceSum", ["looped"], ["total"], keepdims=0),
        helper.make_node("Mul", ["total", "total"], ["square"]),
        helper.make_node("GreaterOrEqual", ["square", "zero"], ["is_positive"]),
        helper.make_node(
            "If", ["is_positive"], ["y"], name="the_if", then_branch=then, else_branch=otherwise
        ),
    ]
    weights = [
        _weight("w", 1),
        onnx.numpy_helper.from_array(np.array(TRIPS), "n"),
        onnx.numpy_helper.from_array(np.array(0, np.float32), "zero"),
    ]
    return _saved(path, nodes, weights)


def functions(path: Path) -> Path:
    """Two calls, `a` and `b`, of one function, and a Relu."""
    block = helper.make_function(
        "mine",
        "Block",
        ["x", "w"],
        ["y"],
        [
            helper.make_node("MatMul", ["x", "w"], ["t"], name="product"),
            helper.make_node("Tanh", ["t"], ["u"]),
            helper.make_node("Add", ["u", "x"], ["y"]),
        ],
        [helper.make_opsetid("", 17)],
    )
    nodes = [
        helper.make_node("Block", ["x", "w1"], ["a"], domain="mine"),
        helper.make_node("Block", ["a", "w2"], ["b"], domain="mine"),
        helper.make_node("Relu", ["b"], ["y"]),
    ]
    return _saved(path, nodes, [_weight("w1", 1), _weight("w2", 2)], [block])


def _matrix(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIDE, SIDE])


def _weight(name: str, seed: int) -> Any:
    values = np.random.default_rng(seed).standard_normal((SIDE, SIDE)) / 8
    return onnx.numpy_helper.from_array(values.astype(np.float32), name)


def _saved(path: Path, nodes: Any, weights: Any, functions: Any = ()) -> Path:
    graph = helper.make_graph(nodes, "nested", [_matrix("x")], [_matrix("y")], weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
