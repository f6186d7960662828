"""Shape arithmetic, constants, and changes of shape that move no element."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import DTYPES, Array, Dim, ShapeValue, Value, as_shape

SHAPE_OF = "shape_of"


@op("Constant")
def constant(context: Context) -> Value:
    for attribute in context.node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        match attribute.name:
            case "value":
                if value.data_type == onnx.TensorProto.STRING:
                    context.refuse("text")
                found: Array = onnx.numpy_helper.to_array(value)
                return found
            case "value_int" | "value_ints":
                return np.array(value, dtype=np.int64)
            case "value_float" | "value_floats":
                return np.array(value, dtype=np.float32)
            case "sparse_value":
                return _dense(value)
    return context.refuse("this kind of constant")


def _dense(sparse: onnx.SparseTensorProto) -> Array:
    values = onnx.numpy_helper.to_array(sparse.values)
    indices = onnx.numpy_helper.to_array(sparse.indices)
    found = np.zeros(tuple(sparse.dims), dtype=values.dtype)
    if indices.ndim == 1:
        found.reshape(-1)[indices] = values
    else:
        found[tuple(indices.T)] = values
    return found


@op("Shape")
def shape(context: Context, x: Value) -> Value:
    start, end = int(context.attribute("start", 0)), context.attribute("end")
    rank = context.known_rank()
    if rank is None:
        found = context.call(shape_tensor, x, start, end)
        if start == 0:
            # Gather then takes sizes from the tensor itself, not from data.
            found.meta[SHAPE_OF] = context.tensor(x)
        return found
    tensor = context.tensor(x)
    axes = range(rank)[start:end]
    return ShapeValue(tuple(context.size(tensor, 0, axis) for axis in axes))


def shape_tensor(x: torch.Tensor, start: int, end: int | None) -> torch.Tensor:
    """Sizes as a tensor, where the rank is not known at import."""
    return torch.tensor(list(x.shape[start:end]), dtype=torch.int64, device=x.device)


@op("Size")
def size(context: Context, x: Value) -> Value:
    if isinstance(x, ShapeValue):
        return ShapeValue((len(x.dims),), scalar=True)
    known = context.shape()
    if known is not None and None not in known:
        return ShapeValue((int(np.prod([d or 0 for d in known])),), scalar=True)
    tensor = context.tensor(x)
    return ShapeValue((context.call(count_of, tensor),), scalar=True)


def count_of(x: torch.Tensor) -> int:
    return x.numel()


@op("Reshape")
def reshape(context: Context, x: Value, target: Value = None) -> Value:
    dims = context.sizes(target)
    if isinstance(dims, torch.fx.Node):
        return context.call(reshape_to, x, dims, context.flag("allowzero"))
    if isinstance(x, ShapeValue) and dims in ([-1], [len(x.dims)]):
        return ShapeValue(x.dims, dtype=x.dtype)
    tensor = context.tensor(x)
    if not context.flag("allowzero"):
        dims = [context.size(tensor, 0, i) if d == 0 else d for i, d in enumerate(dims)]
    return context.call(torch.reshape, tensor, dims)


def reshape_to(x: torch.Tensor, dims: list[int], allow_zero: bool) -> torch.Tensor:
    """0 keeps the input's size, unless it is allowed as a size."""
    if not allow_zero:
        dims = [x.shape[i] if d == 0 else d for i, d in enumerate(dims)]
    return torch.reshape(x, dims)


@op("Flatten")
def flatten(context: Context, x: Value) -> Value:
    axis, rank = int(context.attribute("axis", 1)), context.known_rank()
    if axis == 1 and rank is not None and rank > 1:
        return context.call(torch.flatten, x, 1)
    return context.call(flatten_to_matrix, x, axis)


def flatten_to_matrix(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Sizes before the axis make the rows; -1 can't be told when a size is 0."""
    axis = axis + x.dim() if axis < 0 else axis
    rows = columns = 1
    for position, count in enumerate(x.shape):
        rows, columns = (rows * count, columns) if position < axis else (rows, columns * count)
    return x.reshape(rows, columns)


@op("Expand")
def expand(context: Context, x: Value, target: Value) -> Value:
    return context.call(broadcast_to, x, context.sizes(target))


def broadcast_to(x: torch.Tensor, dims: list[int]) -> torch.Tensor:
    """Broadcasting in both directions: a target of 1 keeps the input's size."""
    lead = len(dims) - x.dim()
    if lead >= 0:
        kept = [
            x.shape[i - lead] if i >= lead and isinstance(d, int) and d == 1 else d
            for i, d in enumerate(dims)
        ]
        return x.expand(kept)
    return x.expand([*x.shape[:-lead], *_merged(x.shape[-lead:], dims)])


def _merged(sizes: Any, dims: list[int]) -> list[int]:
    return [size if dim == 1 else dim for size, dim in zip(sizes, dims, strict=True)]


@op("Transpose")
def transpose(context: Context, x: Value) -> Value:
    order, rank = context.attribute("perm"), context.known_rank()
    if order:
        return context.call(torch.permute, x, list(order))
    if rank is not None:
        return context.call(torch.permute, x, list(reversed(range(rank))))
    return context.call(reverse_axes, x)


def reverse_axes(x: torch.Tensor) -> torch.Tensor:
    return x.permute(*reversed(range(x.dim())))


def axes_of(context: Context, axes: Value) -> list[int] | None:
    """An attribute before opset 13, an input since; None when left out."""
    if axes is not None:
        return context.ints(axes, "axes")
    found = context.attribute("axes")
    return None if found is None else list(found)


def run_time_axes(context: Context, axes: Value) -> Any:
    """As `axes_of`, or a node that reads the axes at run time."""
    if axes is not None and as_shape(axes) is None:
        return context.sizes(axes)
    return axes_of(context, axes)


@op("Unsqueeze")
def unsqueeze(context: Context, x: Value, axes: Value = None) -> Value:
    found = run_time_axes(context, axes)
    if isinstance(x, ShapeValue) and x.scalar and len(found) == 1:
        return ShapeValue(x.dims, dtype=x.dtype)
    if isinstance(found, list) and len(found) == 1:
        return context.call(torch.unsqueeze, x, found[0])
    return context.call(unsqueeze_all, x, found)


def unsqueeze_all(x: torch.Tensor, axes: list[int]) -> torch.Tensor:
    rank = x.dim() + len(axes)
    for axis in sorted(a % rank for a in axes):
        x = x.unsqueeze(axis)
    return x


@op("Squeeze")
def squeeze(context: Context, x: Value, axes: Value = None) -> Value:
    found = run_time_axes(context, axes)
    if isinstance(x, ShapeValue) and len(x.dims) == 1 and found in (None, [0], [-1]):
        return ShapeValue(x.dims, scalar=True, dtype=x.dtype)
    if found is None:
        return context.call(torch.squeeze, x)
    return context.call(torch.squeeze, x, found)


@op("ConstantOfShape")
def constant_of_shape(context: Context, target: Value) -> Value:
    dims = context.sizes(target)
    given = context.attribute("value")
    fill = onnx.numpy_helper.to_array(given).reshape(-1)[0] if given is not None else np.float32(0)
    if isinstance(dims, list) and all(isinstance(d, int) for d in dims):
        count = int(np.prod(dims))
        if isinstance(target, np.ndarray) and count <= 65_536:
            return np.full(dims, fill)
    dtype = DTYPES[onnx.helper.np_dtype_to_tensor_dtype(np.asarray(fill).dtype)]
    return context.make(torch.full, dims, fill.item(), dtype=dtype)


@op("Range")
def range_(context: Context, start: Value, limit: Value, step: Value) -> Value:
    bounds = [as_shape(value) for value in (start, limit, step)]
    dtype = context.dtype_of(0)
    if all(bound is not None for bound in bounds):
        dims = [bound.dims[0] for bound in bounds if bound]
        dtype = dtype or next(b.dtype for b in bounds if b)
        return context.make(torch.arange, *dims, dtype=dtype)
    numbers = [context.number(value) for value in (start, limit, step)]
    return context.make(counted_range, *numbers, dtype)


def counted_range(
    start: Any,
    limit: Any,
    step: Any,
    dtype: torch.dtype | None,
    device: torch.device | None = None,
) -> torch.Tensor:
    """ONNX's definition: a count of steps, each of them computed by itself."""
    if dtype is None or not dtype.is_floating_point:
        return torch.arange(start, limit, step, dtype=dtype, device=device)
    return torch.arange(start, limit, step, dtype=torch.float64, device=device).to(dtype)


@op("Tile")
def tile(context: Context, x: Value, repeats: Value) -> Value:
    return context.call(torch.tile, x, context.sizes(repeats))


@op("EyeLike")
def eye_like(context: Context, x: Value) -> Value:
    target = context.attribute("dtype")
    dtype = DTYPES[int(target)] if target is not None else context.dtype_of(0)
    return context.call(ones_on_diagonal, x, int(context.attribute("k", 0)), dtype)


def ones_on_diagonal(x: torch.Tensor, k: int, dtype: torch.dtype | None) -> torch.Tensor:
    rows, columns = x.shape
    down = torch.arange(rows, device=x.device)[:, None]
    return (torch.arange(columns, device=x.device) - down == k).to(dtype or x.dtype)


def product(context: Context, dims: list[Dim]) -> Dim:
    """Of sizes."""
    total: Dim = 1
    for dim in dims:
        total = context.scalar_call(lambda a, b: a * b, total, dim)
    return total
