"""Quantization where the operator tests of ONNX say nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

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
