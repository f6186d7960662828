"""What an operator's function builds with: values, attributes, and calls into the graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from profiler.errors import ConversionError

Array = NDArray[Any]
Dim = int | torch.fx.Node

# Integer constants up to this size take part in shape arithmetic.
MAX_SHAPE_ELEMENTS = 64
DTYPES: dict[int, torch.dtype] = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.DOUBLE: torch.float64,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.BFLOAT16: torch.bfloat16,
    onnx.TensorProto.INT8: torch.int8,
    onnx.TensorProto.INT16: torch.int16,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
    onnx.TensorProto.UINT8: torch.uint8,
    onnx.TensorProto.UINT16: torch.uint16,
    onnx.TensorProto.UINT32: torch.uint32,
    onnx.TensorProto.UINT64: torch.uint64,
    onnx.TensorProto.BOOL: torch.bool,
}


@dataclass(frozen=True)
class ShapeValue:
    """Integers known as Python ints or symbolic sizes: a 1-D tensor of ONNX, or a scalar.

    Kept off tensors so that no copy between shape and data breaks the graph.
    """

    dims: tuple[Dim, ...]
    scalar: bool = False


# A tensor in the graph, a constant, integers of a shape, or an input that is left out.
Value = torch.fx.Node | Array | ShapeValue | None


class Context:
    """One ONNX node being built."""

    def __init__(self, builder: Any, node: onnx.NodeProto, opset: int) -> None:
        self.node = node
        self.opset = opset
        self._builder = builder
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

    def attribute(self, name: str, default: Any = None) -> Any:
        """The attribute's value; strings decoded."""
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> torch.fx.Node:
        """Add a call to the graph; values among the arguments become tensors."""
        node: torch.fx.Node = self._builder.add_call(self.node, function, arguments, keywords)
        return node

    def tensor(self, value: Value) -> torch.fx.Node | None:
        """The value as a tensor in the graph; None stays None."""
        node: torch.fx.Node | None = self._builder.as_tensor(self.node, value)
        return node

    def refuse(self, what: str) -> NoReturn:
        """A variant that is not supported: raise rather than give wrong numbers."""
        raise ConversionError(
            f"{self.node.op_type} ({self.node.name or self.node.output[0]}): {what} is not "
            "supported by the PyTorch import.",
            "The ONNX Runtime lane still runs.",
        )

    def shape_of(self, name: str) -> tuple[int | None, ...] | None:
        """Dims that shape inference found for an ONNX value; None for an unknown rank."""
        found: tuple[int | None, ...] | None = self._builder.shapes.get(name)
        return found

    def rank(self, position: int = 0) -> int:
        """Rank of an input. Raises ConversionError when it isn't known."""
        shape = self.shape_of(self.node.input[position])
        if shape is None:
            self.refuse(f"input {position} of unknown rank")
        return len(shape)

    def dtype_of(self, position: int) -> torch.dtype | None:
        found: torch.dtype | None = self._builder.dtypes.get(self.node.input[position])
        return found

    def ints(self, value: Value, what: str) -> list[int]:
        """Integers that must be known now."""
        dims = self.dims(value)
        if dims is None or not all(isinstance(d, int) for d in dims):
            self.refuse(f"{what} that is computed at run time")
        return [d for d in dims if isinstance(d, int)]

    def dims(self, value: Value) -> list[Dim] | None:
        """Integers as ints or symbolic sizes; None when they are only known as a tensor."""
        shape = as_shape(value)
        return None if shape is None else list(shape.dims)

    def array(self, value: Value, what: str) -> Array:
        """A constant's values."""
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, ShapeValue) and all(isinstance(d, int) for d in value.dims):
            return np.array(value.dims[0] if value.scalar else value.dims, dtype=np.int64)
        return self.refuse(f"{what} that is computed at run time")

    def size(self, x: Value, position: int, axis: int) -> Dim:
        """Size of input `position` along `axis`: an int when shape inference knows it."""
        shape = self.shape_of(self.node.input[position])
        known = shape[axis] if shape is not None else None
        return known if known is not None else self.call(torch.ops.aten.sym_size.int, x, axis)

    def arithmetic(
        self, function: Callable[[Any, Any], Any], a: Value, b: Value
    ) -> ShapeValue | None:
        """Element by element on shape values; None when either is a tensor."""
        left, right = as_shape(a), as_shape(b)
        if left is None or right is None:
            return None
        if not (isinstance(a, ShapeValue) or isinstance(b, ShapeValue)):
            return None
        count = max(len(left.dims), len(right.dims))
        if count > 1 and not {len(left.dims), len(right.dims)} <= {1, count}:
            return None
        pairs = zip(_stretched(left.dims, count), _stretched(right.dims, count), strict=True)
        dims = tuple(self.scalar_call(function, x, y) for x, y in pairs)
        return ShapeValue(dims, left.scalar and right.scalar)

    def scalar_call(self, function: Callable[[Any, Any], Any], a: Dim, b: Dim) -> Dim:
        """On two sizes: now when both are known, else in the graph."""
        if isinstance(a, int) and isinstance(b, int):
            return int(function(a, b))
        return self.call(function, a, b)


def as_shape(value: Value) -> ShapeValue | None:
    """Shape values, and small constants of integers."""
    if isinstance(value, ShapeValue):
        return value
    is_integers = isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim <= 1
    if isinstance(value, np.ndarray) and is_integers and value.size <= MAX_SHAPE_ELEMENTS:
        return ShapeValue(tuple(int(v) for v in value.reshape(-1)), value.ndim == 0)
    return None


def _stretched(dims: Sequence[Dim], count: int) -> Sequence[Dim]:
    return tuple(dims) * count if len(dims) == 1 else dims


def floor_divide(a: Any, b: Any) -> Any:
    """ONNX divides integers towards zero; sizes are not negative, so floor is the same."""
    return operator.floordiv(a, b)
