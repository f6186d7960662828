"""The demo, chains of equal blocks, whose relative cost is known, and data to quantize with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

DEMO = Path(__file__).resolve().parents[1] / "resources" / "demo" / "demo.onnx"


def block_chain(folder: Path, blocks: int, width: int = 192, rows: int = 8) -> Path:
    """`blocks` times MatMul + Tanh on a [rows, width] input; every block has weights of its own.

    Tanh keeps values in range and can't be fused into the MatMul before it.
    """
    random = np.random.default_rng(0)
    weights = []
    for number in range(blocks):
        matrix = random.standard_normal((width, width)) / np.sqrt(width)
        weights.append(numpy_helper.from_array(matrix.astype(np.float32), f"w{number}"))
    path = folder / f"blocks-{blocks}-{width}-{rows}.onnx"
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, width])]
    _save_chain(path, inputs, [tensor.name for tensor in weights], weights)
    return path


def equal_blocks(folder: Path, blocks: int, width: int = 192, rows: int = 8) -> Path:
    """`blocks` times MatMul + Tanh, all with the one matrix that is the model's second input.

    Twice as many blocks are twice the work in the same memory. With a matrix of its own for each,
    110 blocks of 192 x 192 no longer fit a cache that 100 do, and take more than 1.1 times as long.
    """
    path = folder / f"equal-{blocks}-{width}-{rows}.onnx"
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, width]),
        helper.make_tensor_value_info("w", TensorProto.FLOAT, [width, width]),
    ]
    _save_chain(path, inputs, ["w"] * blocks, [])
    return path


def _save_chain(
    path: Path,
    inputs: list[ValueInfoProto],
    matrices: list[str],
    weights: list[TensorProto],
) -> None:
    nodes, value = [], "x"
    for number, matrix in enumerate(matrices):
        nodes.append(helper.make_node("MatMul", [value, matrix], [f"m{number}"], f"mul{number}"))
        value = f"t{number}"
        nodes.append(helper.make_node("Tanh", [f"m{number}"], [value], f"tanh{number}"))
    output = helper.make_tensor_value_info(value, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "blocks", inputs, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))


class OneSample:
    """Calibration data: one set of arrays by input name."""

    def __init__(self, feeds: Mapping[str, Any]) -> None:
        self._left = iter([feeds])

    def get_next(self) -> Mapping[str, Any] | None:
        """As `onnxruntime.quantization.CalibrationDataReader`."""
        return next(self._left, None)
