"""Models whose relative cost is known by construction: chains of equal blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def block_chain(folder: Path, blocks: int, width: int = 192, rows: int = 8) -> Path:
    """`blocks` times MatMul + Tanh on a [rows, width] input; every block has weights of its own.

    Tanh keeps values in range and can't be fused into the MatMul before it.
    """
    random = np.random.default_rng(0)
    nodes, weights, value = [], [], "x"
    for number in range(blocks):
        name = f"w{number}"
        matrix = random.standard_normal((width, width)) / np.sqrt(width)
        weights.append(numpy_helper.from_array(matrix.astype(np.float32), name))
        nodes.append(helper.make_node("MatMul", [value, name], [f"m{number}"], name=f"mul{number}"))
        value = f"t{number}"
        nodes.append(helper.make_node("Tanh", [f"m{number}"], [value], name=f"tanh{number}"))
    graph = helper.make_graph(
        nodes,
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, width])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [rows, width])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = folder / f"blocks-{blocks}-{width}-{rows}.onnx"
    onnx.save(model, str(path))
    return path
