"""What in an ONNX graph shows that attention looks back only. Runs in child processes only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.external_data_helper import uses_external_data

from profiler.onnx_light import external_bytes

# Operators with an attribute that says so, and the one that is always so.
ATTRIBUTES = ("is_causal", "unidirectional", "causal")
ALWAYS = "GroupQueryAttention"
# A mask goes into one of these, a weight into a product.
TAKES_MASK = frozenset({"Add", "Where", "And", "Mul", "Sub", "Cast", "Slice", "Expand", "Not"})
COMPARES = frozenset({"Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
# What positions go through on their way to being compared.
MOVES = frozenset(
    {"Unsqueeze", "Squeeze", "Reshape", "Expand", "Cast", "Add", "Sub", "Identity", "Transpose"}
    | {"Slice", "Gather", "Flatten"}
)
LARGEST_MASK = 1 << 24
HALF_OF_LARGEST = -1e4


def causal_evidence(model: onnx.ModelProto, folder: Path | None = None) -> tuple[str, ...]:
    """Each sign in words; `folder` has the file of weights that lie beside the model."""
    graph = model.graph
    found = [*_attributes(graph), *_comparisons(graph), *_constants(graph, folder)]
    return tuple(dict.fromkeys(found))


def _attributes(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        if node.op_type == ALWAYS:
            yield f"{ALWAYS} attends to earlier positions only"
        if node.op_type == "Trilu":
            yield "Trilu makes a triangular mask"
        for attribute in node.attribute:
            if attribute.name in ATTRIBUTES and attribute.i == 1:
                yield f"{node.op_type} has {attribute.name}=1"


def _comparisons(graph: onnx.GraphProto) -> Iterator[str]:
    """Positions compared with positions: `key <= query`."""
    producer = {value: node for node in graph.node for value in node.output if value}
    for node in graph.node:
        if node.op_type in COMPARES and all(_is_position(v, producer) for v in node.input):
            yield f"{node.op_type} compares positions with positions: a triangular mask"


def _is_position(value: str, producer: dict[str, onnx.NodeProto]) -> bool:
    """Whether a value comes from Range by operators that move values only."""
    waiting, seen = [value], set[str]()
    while waiting:
        node = producer.get(waiting.pop())
        if node is None or node.output[0] in seen:
            continue
        seen.add(node.output[0])
        if node.op_type == "Range":
            return True
        if node.op_type in MOVES:
            waiting += node.input[: 2 if node.op_type in ("Add", "Sub") else 1]
    return False


def _constants(graph: onnx.GraphProto, folder: Path | None) -> Iterator[str]:
    """A mask that the exporter worked out: a square of zeros or ones below its diagonal."""
    into: dict[str, set[str]] = {}
    for node in graph.node:
        for value in node.input:
            into.setdefault(value, set()).add(node.op_type)
    tensors = [*graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    tensor = onnx.TensorProto()
                    tensor.CopyFrom(attribute.t)
                    tensor.name = node.output[0]
                    tensors.append(tensor)
    for tensor in tensors:
        if _is_square(tensor) and into.get(tensor.name, set()) & TAKES_MASK:
            values = _values(tensor, folder)
            if values is not None and _is_triangular(values):
                yield f"the constant {tensor.name} is a triangular mask"


def _is_square(tensor: onnx.TensorProto) -> bool:
    sizes = list(tensor.dims)
    if tensor.data_type == onnx.TensorProto.STRING or len(sizes) < 2:
        return False
    if sizes[-1] != sizes[-2] or sizes[-1] < 2:
        return False
    return bool(np.prod(sizes) == sizes[-1] ** 2 <= LARGEST_MASK)


def _values(tensor: onnx.TensorProto, folder: Path | None) -> NDArray[Any] | None:
    """None where they are beside the file, and that can't be read."""
    if uses_external_data(tensor):
        content = None if folder is None else external_bytes(tensor, folder)
        if content is None:
            return None
        tensor = onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=content)
    return numpy_helper.to_array(tensor).reshape(tensor.dims[-2:])


def _is_triangular(values: NDArray[Any]) -> bool:
    """True or 1 up to the diagonal and 0 above, or 0 up to it and very negative above."""
    numbers = values.astype(np.float64)
    upper = np.triu_indices(numbers.shape[0], k=1)
    lower = np.tril_indices(numbers.shape[0])
    ones = bool((numbers[lower] == 1).all() and (numbers[upper] == 0).all())
    negative = bool((numbers[lower] == 0).all() and (numbers[upper] < HALF_OF_LARGEST).all())
    return ones or negative
