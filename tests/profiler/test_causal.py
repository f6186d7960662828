"""Signs of attention that looks back only, each in a graph by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from profiler.causal import causal_evidence


def model(nodes: list[onnx.NodeProto], **weights: Any) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph)


def triangle(size: int = 4) -> Any:
    return np.where(np.tri(size, dtype=bool), 0.0, np.finfo(np.float32).min).astype(np.float32)


@pytest.mark.parametrize(
    "mask",
    [triangle(), triangle().reshape(1, 1, 4, 4), np.tri(4, dtype=bool), np.tri(4).astype("f4")],
)
def test_a_mask_that_was_folded(mask: Any) -> None:
    found = causal_evidence(model([helper.make_node("Add", ["x", "m"], ["y"])], m=mask))
    assert found == ("the constant m is a triangular mask",)


def test_a_mask_in_a_constant_node() -> None:
    nodes = [
        helper.make_node(
            "Constant", [], ["m"], value=numpy_helper.from_array(np.tri(3, dtype=bool))
        ),
        helper.make_node("Where", ["m", "x", "x"], ["y"]),
    ]
    assert len(causal_evidence(model(nodes))) == 1


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((4, 4), "f4"), np.eye(4, dtype="f4"), triangle().T.copy(), np.ones((1, 1), "f4")],
)
def test_other_squares_are_no_masks(matrix: Any) -> None:
    assert causal_evidence(model([helper.make_node("Add", ["x", "m"], ["y"])], m=matrix)) == ()


def test_a_triangular_weight_is_no_mask() -> None:
    weight = np.tri(4, dtype=np.float32)
    assert causal_evidence(model([helper.make_node("MatMul", ["x", "m"], ["y"])], m=weight)) == ()


def positions(*after: onnx.NodeProto) -> onnx.ModelProto:
    return model(
        [
            helper.make_node("Range", ["zero", "size", "one"], ["places"]),
            helper.make_node("Unsqueeze", ["places", "axis"], ["column"]),
            *after,
        ]
    )


def test_positions_against_positions() -> None:
    found = causal_evidence(positions(helper.make_node("LessOrEqual", ["places", "column"], ["y"])))
    assert found == ("LessOrEqual compares positions with positions: a triangular mask",)


def test_positions_against_a_length_are_padding() -> None:
    padding = helper.make_node("Less", ["column", "length"], ["y"])
    assert causal_evidence(positions(padding)) == ()


@pytest.mark.parametrize(
    ("node", "count"),
    [
        (helper.make_node("Attention", ["x", "x", "x"], ["y"], is_causal=1), 1),
        (helper.make_node("Attention", ["x", "x", "x"], ["y"], is_causal=0), 0),
        (helper.make_node("Attention", ["x"], ["y"], domain="com.microsoft", unidirectional=1), 1),
        (helper.make_node("GroupQueryAttention", ["x"], ["y"], domain="com.microsoft"), 1),
        (helper.make_node("Trilu", ["x"], ["y"]), 1),
        (helper.make_node("Softmax", ["x"], ["y"]), 0),
    ],
)
def test_operators(node: onnx.NodeProto, count: int) -> None:
    assert len(causal_evidence(model([node]))) == count


def test_a_mask_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    whole = model([helper.make_node("Add", ["x", "m"], ["y"])], m=triangle(64))
    onnx.save(whole, path, save_as_external_data=True, location="weights", size_threshold=1)
    bare = onnx.load(path, load_external_data=False)
    assert len(causal_evidence(bare, tmp_path)) == 1
    assert causal_evidence(bare) == ()
    (tmp_path / "weights").unlink()
    assert causal_evidence(bare, tmp_path) == ()
