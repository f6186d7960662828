"""Quantization where the operator tests of ONNX say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from profiler.errors import ConversionError
from profiler.onnx_torch import import_onnx
from tests.profiler.onnx_torch import models


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (TensorProto.INT8, -128, 127),
        (TensorProto.UINT8, 0, 255),
        (TensorProto.INT16, -32768, 32767),
        (TensorProto.UINT16, 0, 65535),
        (TensorProto.INT4, -8, 7),
        (TensorProto.UINT4, 0, 15),
    ],
)
def test_nan_becomes_the_lowest_number(kind: int, low: int, high: int, tmp_path: Path) -> None:
    """As in ONNX Runtime; ONNX leaves it open."""
    numbers = [
        helper.make_tensor("scale", TensorProto.FLOAT, [2], [0.5, np.inf]),
        helper.make_tensor("zero", kind, [2], [1, 1]),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], axis=0),
        helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT),
    ]
    content = models.model_bytes(nodes, {"x": [2, 4]}, {"y": [2, 4]}, numbers, opset=21)
    x = torch.tensor([[np.nan, np.inf, -np.inf, 1.3], [np.nan, np.inf, -np.inf, 1.3]])
    (found,) = import_onnx(models.write(content, tmp_path))(x)
    assert found.tolist() == [[low, high, low, 4], [low, low, low, 1]]


def test_one_scale_a_row_of_a_product(tmp_path: Path) -> None:
    """Each row of the left matrix, and each column of the right one, has its own."""
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (2, 3, 4), dtype=np.uint8)
    b = rng.integers(-128, 128, (4, 2), dtype=np.int8)
    rows = np.array([0.01, 0.02, 0.03], dtype=np.float32)
    columns = np.array([0.1, 0.05], dtype=np.float32)
    row_zeros = np.array([120, 130, 125], dtype=np.uint8)
    column_zeros = np.array([3, -4], dtype=np.int8)
    arrays: dict[str, NDArray[Any]] = {
        "a_scale": rows,
        "a_zero": row_zeros,
        "b": b,
        "b_scale": columns,
        "b_zero": column_zeros,
        "y_scale": np.array([0.5], dtype=np.float32),
        "y_zero": np.array([7], dtype=np.int8),
    }
    numbers = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    names = ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"]
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=TensorProto.UINT8),
        helper.make_node("QLinearMatMul", names, ["q"]),
        helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT),
    ]
    content = models.model_bytes(nodes, {"x": [2, 3, 4]}, {"y": [2, 3, 2]}, numbers, opset=21)
    (found,) = import_onnx(models.write(content, tmp_path))(torch.from_numpy(a).float())
    left = (a.astype(float) - row_zeros[:, None]) * rows[:, None].astype(float)
    right = (b.astype(float) - column_zeros) * columns.astype(float)
    expected = np.clip(np.round(left @ right / 0.5) + 7, -128, 127)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_a_product_into_a_quantized_float_is_refused(tmp_path: Path) -> None:
    kind = TensorProto.FLOAT8E4M3FN
    numbers = [helper.make_tensor(f"s{i}", TensorProto.FLOAT, [], [1.0]) for i in range(3)]
    numbers += [helper.make_tensor(f"z{i}", kind, [], [0.0]) for i in range(3)]
    names = ["q", "s0", "z0", "q", "s1", "z1", "s2", "z2"]
    nodes = [
        helper.make_node("Cast", ["x"], ["q"], to=kind),
        helper.make_node("QLinearMatMul", names, ["p"]),
        helper.make_node("Cast", ["p"], ["y"], to=TensorProto.FLOAT),
    ]
    content = models.model_bytes(nodes, {"x": [2, 2]}, {"y": [2, 2]}, numbers, opset=21)
    with pytest.raises(ConversionError, match=r"QLinearMatMul \(p\): a quantized float type"):
        import_onnx(models.write(content, tmp_path))
