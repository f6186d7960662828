"""Shape arithmetic, and operators that move elements without computing on them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context, Dim, ShapeValue, Value, as_shape
from profiler.onnx_torch.registry import op

FAR = 2**31


@op("Constant")
def constant(context: Context) -> Value:
    import onnx

    for attribute in context.node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        match attribute.name:
            case "value":
                return onnx.numpy_helper.to_array(value)
            case "value_int" | "value_ints":
                return np.array(value, dtype=np.int64)
            case "value_float" | "value_floats":
                return np.array(value, dtype=np.float32)
    return context.refuse("this kind of constant")


@op("Shape")
def shape(context: Context, x: Value) -> Value:
    tensor = context.tensor(x)
    rank = context.rank()
    start = int(context.attribute("start", 0))
    end = int(context.attribute("end", rank))
    axes = range(rank)[start:end]
    return ShapeValue(tuple(context.size(tensor, 0, axis) for axis in axes))


@op("Size")
def size(context: Context, x: Value) -> Value:
    tensor = context.tensor(x)
    return ShapeValue((context.call(torch.ops.aten.sym_numel.default, tensor),), scalar=True)


@op("Gather")
def gather(context: Context, x: Value, indices: Value) -> Value:
    axis = int(context.attribute("axis", 0))
    known = as_shape(indices)
    if isinstance(x, ShapeValue) and known and all(isinstance(i, int) for i in known.dims):
        dims = tuple(x.dims[int(i)] for i in known.dims if isinstance(i, int))
        return ShapeValue(dims, known.scalar)
    if known is not None and known.scalar and isinstance(known.dims[0], int):
        return context.call(torch.select, x, axis, known.dims[0])
    if axis == 0 and context.rank(0) == 2 and isinstance(x, np.ndarray) and known is None:
        dtype = context.dtype_of(1)
        if dtype in (torch.int32, torch.int64) and x.dtype.kind == "f":
            return context.call(embedding, indices, x)
    return context.call(take, x, indices, axis)


def embedding(indices: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Rows of a table. ONNX would let negative indices count from the end; no exporter does."""
    return F.embedding(indices, weight)


def take(x: torch.Tensor, indices: torch.Tensor, axis: int) -> torch.Tensor:
    """ONNX's Gather: negative indices count from the end."""
    axis = axis % x.dim()
    wrapped = torch.where(indices < 0, indices + x.shape[axis], indices)
    flat = torch.index_select(x, axis, wrapped.reshape(-1))
    return flat.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


@op("GatherElements")
def gather_elements(context: Context, x: Value, indices: Value) -> Value:
    return context.call(take_along, x, indices, int(context.attribute("axis", 0)))


def take_along(x: torch.Tensor, indices: torch.Tensor, axis: int) -> torch.Tensor:
    """torch.gather with indices that may count from the end."""
    wrapped = torch.where(indices < 0, indices + x.shape[axis], indices)
    return torch.gather(x, axis, wrapped)


@op("GatherND")
def gather_nd(context: Context, x: Value, indices: Value) -> Value:
    return context.call(take_nd, x, indices, int(context.attribute("batch_dims", 0)))


def take_nd(x: torch.Tensor, indices: torch.Tensor, batch_dims: int) -> torch.Tensor:
    """The last dimension of `indices` points into the dimensions after the batch."""
    if batch_dims == 0:
        return x[tuple(indices.unbind(-1))]
    batch = x.shape[:batch_dims]
    grid = torch.meshgrid(*(torch.arange(n, device=x.device) for n in batch), indexing="ij")
    between = indices.dim() - 1 - batch_dims
    spread = [g.reshape(g.shape + (1,) * between) for g in grid]
    return x[(*spread, *indices.unbind(-1))]


@op("Concat")
def concat(context: Context, *values: Value) -> Value:
    shapes = [as_shape(value) for value in values]
    if any(isinstance(v, ShapeValue) for v in values) and all(
        s is not None and not s.scalar for s in shapes
    ):
        return ShapeValue(tuple(dim for s in shapes if s is not None for dim in s.dims))
    return context.call(torch.cat, list(values), int(context.attribute("axis")))


@op("Reshape")
def reshape(context: Context, x: Value, target: Value) -> Value:
    dims = context.dims(target)
    if dims is None:
        context.refuse("a target shape that is computed from data")
    if isinstance(x, ShapeValue) and dims in ([-1], [1]):
        return ShapeValue(x.dims)
    tensor = context.tensor(x)
    if not context.attribute("allowzero", 0):
        dims = [context.size(tensor, 0, i) if d == 0 else d for i, d in enumerate(dims)]
    return context.call(torch.reshape, tensor, dims)


@op("Flatten")
def flatten(context: Context, x: Value) -> Value:
    axis = int(context.attribute("axis", 1))
    rank = context.rank()
    axis = axis % rank if axis < 0 else axis
    if axis == 0:
        return context.call(torch.reshape, x, [1, -1])
    if axis == 1:
        return (
            context.call(torch.flatten, x, 1)
            if rank > 1
            else context.call(torch.reshape, x, [-1, 1])
        )
    tensor = context.tensor(x)
    rows: Dim = 1
    for position in range(axis):
        rows = context.scalar_call(lambda a, b: a * b, rows, context.size(tensor, 0, position))
    return context.call(torch.reshape, x, [rows, -1])


@op("Expand")
def expand(context: Context, x: Value, target: Value) -> Value:
    dims = context.dims(target)
    if dims is None:
        context.refuse("a target shape that is computed from data")
    return context.call(broadcast_to, x, dims)


def broadcast_to(x: torch.Tensor, dims: list[int]) -> torch.Tensor:
    """Broadcasting in both directions: a target of 1 keeps the input's size."""
    shape: torch.Size = torch.broadcast_shapes(  # type: ignore[no-untyped-call]
        x.shape, tuple(dims)
    )
    return x.expand(shape)


@op("Transpose")
def transpose(context: Context, x: Value) -> Value:
    order = context.attribute("perm") or list(reversed(range(context.rank())))
    return context.call(torch.permute, x, list(order))


def _axes(context: Context, axes: Value) -> list[int] | None:
    """An attribute before opset 13, an input since; None when left out."""
    if axes is not None:
        return context.ints(axes, "axes")
    found = context.attribute("axes")
    return None if found is None else list(found)


@op("Unsqueeze")
def unsqueeze(context: Context, x: Value, axes: Value = None) -> Value:
    found = _axes(context, axes) or []
    if isinstance(x, ShapeValue) and x.scalar and len(found) == 1:
        return ShapeValue(x.dims)
    rank = context.rank() + len(found)
    for axis in sorted(a % rank for a in found):
        x = context.call(torch.unsqueeze, x, axis)
    return x


@op("Squeeze")
def squeeze(context: Context, x: Value, axes: Value = None) -> Value:
    found = _axes(context, axes)
    if isinstance(x, ShapeValue) and len(x.dims) == 1 and found in (None, [0]):
        return ShapeValue(x.dims, scalar=True)
    if found is None:
        return context.call(torch.squeeze, x)
    return context.call(torch.squeeze, x, list(found))


@op("Slice")
def slice_(
    context: Context,
    x: Value,
    starts: Value = None,
    ends: Value = None,
    axes: Value = None,
    steps: Value = None,
) -> Value:
    if starts is None:
        starts, ends = (
            np.array(context.attribute(name), dtype=np.int64) for name in ("starts", "ends")
        )
    begin, end = context.dims(starts), context.dims(ends)
    if begin is None or end is None:
        context.refuse("bounds that are computed from data")
    over = _axes(context, axes) or list(range(len(begin)))
    step = context.ints(steps, "steps") if steps is not None else [1] * len(begin)
    if isinstance(x, ShapeValue) and isinstance(begin[0], int) and isinstance(end[0], int):
        return ShapeValue(x.dims[slice(begin[0], end[0], step[0])])
    for axis, first, last, stride in zip(over, begin, end, step, strict=True):
        if stride > 0:
            limit = min(last, FAR) if isinstance(last, int) else last
            x = context.call(torch.ops.aten.slice.Tensor, x, axis, first, limit, stride)
        else:
            x = _reversed_slice(context, x, axis, first, last, stride)
    return x


def _reversed_slice(
    context: Context, x: Value, axis: int, first: Dim, last: Dim, stride: int
) -> Value:
    if not isinstance(first, int) or not isinstance(last, int):
        context.refuse("dynamic bounds with a negative step")
    return context.call(backward_slice, x, axis, first, last, stride)


def backward_slice(x: torch.Tensor, axis: int, first: int, last: int, stride: int) -> torch.Tensor:
    """PyTorch has no negative step: choose the indices."""
    picks = range(x.shape[axis])[slice(first, None if last < -x.shape[axis] else last, stride)]
    return torch.index_select(x, axis, torch.tensor(list(picks), device=x.device))


@op("Split")
def split(context: Context, x: Value, sizes: Value = None) -> tuple[Value, ...]:
    axis = int(context.attribute("axis", 0))
    count = len(context.node.output)
    given = context.ints(sizes, "sizes") if sizes is not None else context.attribute("split")
    if given is None:
        tensor = context.tensor(x)
        whole = context.size(tensor, 0, axis)
        if isinstance(whole, int):
            part = -(-whole // count)
            given = [min(part, whole - part * i) for i in range(count)]
    if given is None:
        parts = context.call(torch.chunk, x, count, axis)
    else:
        parts = context.call(torch.split, x, list(given), axis)
    import operator

    return tuple(context.call(operator.getitem, parts, i) for i in range(count))


@op("Tile")
def tile(context: Context, x: Value, repeats: Value) -> Value:
    dims = context.dims(repeats)
    if dims is None:
        context.refuse("repeats that are computed from data")
    return context.call(torch.tile, x, dims)


@op("Pad")
def pad(
    context: Context, x: Value, pads: Value = None, fill: Value = None, axes: Value = None
) -> Value:
    found = context.ints(pads, "pads") if pads is not None else list(context.attribute("pads", []))
    rank = context.rank()
    over = _axes(context, axes) if axes is not None else list(range(rank))
    begin, end = [0] * rank, [0] * rank
    for position, axis in enumerate(over or []):
        begin[axis], end[axis] = found[position], found[position + len(over or [])]
    flat = [p for axis in reversed(range(rank)) for p in (begin[axis], end[axis])]
    mode = context.attribute("mode", "constant")
    if mode == "constant":
        value = context.array(fill, "value").item() if fill is not None else 0
        value = context.attribute("value", value)
        return context.call(F.pad, x, flat, value=value)
    while flat and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    if mode not in ("reflect", "edge") or any(p < 0 for p in flat):
        context.refuse(f"mode {mode}")
    if len(flat) > 2 * (rank - 2) or rank < 3:
        context.refuse(f"mode {mode} over batch or channels")
    return context.call(F.pad, x, flat, mode="replicate" if mode == "edge" else mode)


@op("ConstantOfShape")
def constant_of_shape(context: Context, target: Value) -> Value:
    import onnx

    dims = context.dims(target)
    if dims is None:
        context.refuse("a shape that is computed from data")
    given = context.attribute("value")
    fill = onnx.numpy_helper.to_array(given).reshape(-1)[0] if given is not None else np.float32(0)
    known = [d for d in dims if isinstance(d, int)]
    if len(known) == len(dims):
        return np.full(known, fill)
    return context.call(full, dims, fill.item(), torch.from_numpy(np.array([fill])).dtype)


def full(dims: list[int], value: float, dtype: torch.dtype) -> torch.Tensor:
    return torch.full(dims, value, dtype=dtype)


@op("Range")
def range_(context: Context, start: Value, limit: Value, step: Value) -> Value:
    bounds = [as_shape(value) for value in (start, limit, step)]
    if any(bound is None for bound in bounds):
        context.refuse("bounds that are computed from data, or no integers")
    return context.call(torch.arange, *(bound.dims[0] for bound in bounds if bound))


@op("DepthToSpace")
def depth_to_space(context: Context, x: Value) -> Value:
    if context.attribute("mode", "DCR") != "CRD":
        context.refuse("mode DCR")
    return context.call(F.pixel_shuffle, x, int(context.attribute("blocksize")))


@op("Trilu")
def trilu(context: Context, x: Value, k: Value = None) -> Value:
    diagonal = context.ints(k, "k")[0] if k is not None else 0
    function = torch.triu if context.attribute("upper", 1) else torch.tril
    return context.call(function, x, diagonal)


@op("CumSum")
def cumulative_sum(context: Context, x: Value, axis: Value) -> Value:
    if context.attribute("exclusive", 0) or context.attribute("reverse", 0):
        context.refuse("exclusive or reverse")
    dtype = context.dtype_of(0)
    over = context.ints(axis, "axis")[0]
    return context.call(torch.cumsum, x, over, dtype=dtype)
