"""Models of one node, with inputs of random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper

from profiler.onnx_torch import import_onnx
from profiler.onnx_torch.values import to_tensor
from tests.profiler.onnx_torch import models

MS = "com.microsoft"
Array = NDArray[Any]
Inputs = dict[str, Array | None]


def floats(*shape: int, seed: int = 0, scale: float = 1.0) -> Array:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def bytes_(*shape: int, seed: int = 0, signed: bool = False) -> Array:
    # ONNX Runtime adds two products of u8 and s8 in 16 bits where the CPU has no dot product of
    # bytes (VNNI): with a signed side of seven bits that can't overflow.
    low, high, dtype = (-64, 64, np.int8) if signed else (0, 256, np.uint8)
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def f32(value: float | Sequence[float]) -> Array:
    return np.array(value, dtype=np.float32)


def u8(value: int) -> Array:
    return np.array(value, dtype=np.uint8)


def i8(value: int) -> Array:
    return np.array(value, dtype=np.int8)


def i32(value: Any) -> Array:
    return np.array(value, dtype=np.int32)


def model_of(
    op_type: str, inputs: Inputs, outputs: int, constants: Sequence[str], attributes: dict[str, Any]
) -> onnx.ModelProto:
    """One node; inputs named in `constants` are weights, None is left out."""
    names = [name if value is not None else "" for name, value in inputs.items()]
    domain = "" if op_type == "SimplifiedLayerNormalization" else MS
    node = helper.make_node(
        op_type, names, [f"y{i}" for i in range(outputs)], domain=domain, name="n", **attributes
    )
    given = {n: v for n, v in inputs.items() if v is not None}
    values = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for n, v in given.items()
        if n not in constants
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in node.output]
    weights = [onnx.numpy_helper.from_array(given[n], n) for n in constants]
    graph = helper.make_graph([node], "g", values, results, weights)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def imported(
    op_type: str,
    inputs: Inputs,
    outputs: int,
    attributes: dict[str, Any],
    folder: Path,
    constants: Sequence[str] = (),
) -> tuple[torch.Tensor, ...]:
    """The results of the import of one node."""
    model = model_of(op_type, inputs, outputs, constants, attributes)
    module = import_onnx(models.write(model.SerializeToString(), folder))
    given = [inputs[name] for name in module.meta["input_names"]]
    found: tuple[torch.Tensor, ...] = module(*(to_tensor(np.array(a)) for a in given))
    return found
