"""What an operator's function builds with: values, attributes, and calls into the graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import onnx
import torch

from profiler.errors import ConversionError
from profiler.onnx_torch.values import Array, Dim, ShapeValue, Value, as_shape


class Context:
    """One ONNX node being built."""

    def __init__(self, builder: Any, node: onnx.NodeProto, opset: int) -> None:
        self.node = node
        self.opset = opset
        self.builder = builder
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

    def attribute(self, name: str, default: Any = None) -> Any:
        """The attribute's value; strings decoded."""
        value = self._attributes.get(name, default)
        if isinstance(value, list):
            return [v.decode() if isinstance(v, bytes) else v for v in value]
        return value.decode() if isinstance(value, bytes) else value

    def flag(self, name: str, default: int = 0) -> bool:
        return bool(self.attribute(name, default))

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> torch.fx.Node:
        """Add a call to the graph; values among the arguments become tensors."""
        node: torch.fx.Node = self.builder.add_call(self.node, function, arguments, keywords)
        return node

    def make(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> torch.fx.Node:
        """A call that makes a tensor from numbers, on the device where the module runs."""
        device = self.builder.device(self.node)
        return self.call(function, *arguments, **keywords, device=device)

    def parts(self, found: torch.fx.Node, count: int | None = None) -> tuple[torch.fx.Node, ...]:
        """The results of a call that returns several; as many as the ONNX node has outputs."""
        wanted = len(self.node.output) if count is None else count
        return tuple(self.call(operator.getitem, found, i) for i in range(wanted))

    def wants(self, position: int) -> bool:
        """Whether anything may take output `position`."""
        return len(self.node.output) > position and bool(self.node.output[position])

    def tensor(self, value: Value) -> torch.fx.Node | None:
        """The value as a tensor in the graph; None stays None."""
        node: torch.fx.Node | None = self.builder.as_tensor(self.node, value)
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
        found: tuple[int | None, ...] | None = self.builder.shapes.get(name)
        return found

    def shape(self, position: int = 0) -> tuple[int | None, ...] | None:
        """Dims of an input; None when the rank isn't known."""
        return self.shape_of(self.node.input[position])

    def known_rank(self, position: int = 0) -> int | None:
        shape = self.shape(position)
        return None if shape is None else len(shape)

    def rank(self, position: int = 0) -> int:
        """Rank of an input. Raises ConversionError when it isn't known."""
        rank = self.known_rank(position)
        if rank is None:
            self.refuse(f"input {position} of unknown rank")
        return rank

    def dtype_of(self, position: int) -> torch.dtype | None:
        """Type of an input, when it is known."""
        if position >= len(self.node.input):
            return None
        found: torch.dtype | None = self.builder.dtypes.get(self.node.input[position])
        return found

    def onnx_type_of(self, position: int) -> int:
        """Type of an input as ONNX numbers it; 0 when it is not known."""
        if position >= len(self.node.input):
            return 0
        return int(self.builder.onnx_types.get(self.node.input[position], 0))

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

    def sizes(self, value: Value) -> Any:
        """Integers as ints or symbolic sizes, or a node that reads them from data at run time."""
        dims = self.dims(value)
        return dims if dims is not None else self.reads_data(read_ints, value)

    def number(self, value: Value) -> Any:
        """A scalar: a Python number, a symbolic size, or a node that reads it at run time."""
        if isinstance(value, np.ndarray):
            return value.reshape(-1)[0].item()
        if isinstance(value, ShapeValue):
            return value.dims[0]
        return self.reads_data(read_number, value)

    def reads_data(self, function: Callable[..., Any], *arguments: Any) -> torch.fx.Node:
        """A call whose result, or the shape of it, depends on the values of a tensor."""
        self.builder.shared.data_dependent.append(self.node.name or self.node.output[0])
        return self.call(function, *arguments)

    def array(self, value: Value, what: str) -> Array:
        """A constant's values."""
        if isinstance(value, np.ndarray):
            return value
        if isinstance(value, ShapeValue) and all(isinstance(d, int) for d in value.dims):
            return np.array(value.dims[0] if value.scalar else value.dims, dtype=np.int64)
        return self.refuse(f"{what} that is computed at run time")

    def size(self, x: Value, position: int, axis: int) -> Dim:
        """Size of input `position` along `axis`: an int when shape inference knows it."""
        shape = self.shape(position)
        known = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None
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
        return ShapeValue(dims, left.scalar and right.scalar, left.dtype)

    def comparison(
        self, function: Callable[[Any, Any], Any], a: Value, b: Value
    ) -> ShapeValue | None:
        """As `arithmetic`, with booleans as the result: a branch on sizes is no branch on data."""
        found = self.arithmetic(function, a, b)
        if found is None:
            return None
        dims = tuple(bool(d) if isinstance(d, int) else d for d in found.dims)
        return ShapeValue(dims, found.scalar, torch.bool)

    def scalar_call(self, function: Callable[[Any, Any], Any], a: Dim, b: Dim) -> Dim:
        """On two sizes: now when both are known, else in the graph."""
        if isinstance(a, int) and isinstance(b, int):
            return int(function(a, b))
        return self.call(function, a, b)


def read_ints(x: torch.Tensor) -> list[int]:
    """Values of a tensor as Python integers."""
    found: list[int] = x.reshape(-1).tolist()
    return found


def read_number(x: torch.Tensor) -> Any:
    return x.reshape(-1)[0].item()


def _stretched(dims: Sequence[Dim], count: int) -> Sequence[Dim]:
    return tuple(dims) * count if len(dims) == 1 else dims
