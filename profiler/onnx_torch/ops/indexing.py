"""Gather, scatter, and operators whose result's size depends on data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.shapes import SHAPE_OF
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Array, ShapeValue, Value, as_shape, to_tensor

# Calls that leave integers what they are.
SAME_VALUES = (
    torch.reshape,
    torch.flatten,
    torch.squeeze,
    torch.unsqueeze,
    torch.permute,
    torch.ops.aten.slice.Tensor,
    torch.ops.aten.to.dtype,
)
REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@op("Gather")
def gather(context: Context, x: Value, indices: Value) -> Value:
    axis = int(context.attribute("axis", 0))
    known = as_shape(indices)
    if isinstance(x, ShapeValue) and known and known.known:
        dims = tuple(x.dims[int(i)] for i in known.dims if isinstance(i, int))
        return ShapeValue(dims, known.scalar, x.dtype)
    if isinstance(x, torch.fx.Node) and SHAPE_OF in x.meta and known and known.known:
        source = x.meta[SHAPE_OF]
        sizes = [context.call(torch.ops.aten.sym_size.int, source, i) for i in known.dims]
        return ShapeValue(tuple(sizes), known.scalar)
    if known is not None and known.scalar:
        return context.call(torch.select, x, axis, known.dims[0])
    is_index = known is None and context.dtype_of(1) in (torch.int32, torch.int64)
    if axis == 0 and isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.kind == "f" and is_index:
        if isinstance(indices, np.ndarray):
            picks = np.where(indices < 0, indices + len(x), indices).astype(indices.dtype)
            return context.call(F.embedding, picks, x)
        return context.call(F.embedding if _is_given(indices) else embedding, indices, x)
    return context.call(take, x, indices, axis)


def _is_given(indices: Value) -> bool:
    """Whether these are an input of the model as it comes, perhaps in another shape or type."""
    node: Any = indices
    while isinstance(node, torch.fx.Node) and node.target in SAME_VALUES:
        node = node.args[0]
    return isinstance(node, torch.fx.Node) and node.op == "placeholder"


def embedding(indices: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Rows of a table, by indices that were computed and may count from the end."""
    return F.embedding(from_start(indices, weight.shape[0]), weight)


def from_start(indices: torch.Tensor, size: int) -> torch.Tensor:
    """Negative indices count from the end."""
    return torch.where(indices < 0, indices + size, indices)


def take(x: torch.Tensor, indices: torch.Tensor, axis: int) -> torch.Tensor:
    """ONNX's Gather."""
    axis = axis % x.dim()
    picks = from_start(indices, x.shape[axis]).reshape(-1)
    flat = torch.index_select(x, axis, picks)
    return flat.reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


@op("GatherElements")
def gather_elements(context: Context, x: Value, indices: Value) -> Value:
    axis = int(context.attribute("axis", 0))
    if isinstance(x, np.ndarray) and isinstance(indices, np.ndarray) and x.dtype.kind in "iub":
        # Tables of positions and types; ONNX's reference can't do this when sizes differ.
        found: Array = take_along(to_tensor(x), to_tensor(indices), axis).numpy()
        return found
    return context.call(take_along, x, indices, axis)


def take_along(x: torch.Tensor, indices: torch.Tensor, axis: int) -> torch.Tensor:
    """torch.gather with indices that may count from the end."""
    picks = from_start(indices, x.shape[axis]).to(torch.int64)
    return torch.gather(x, axis, picks)


@op("GatherND")
def gather_nd(context: Context, x: Value, indices: Value) -> Value:
    batch_dims = int(context.attribute("batch_dims", 0))
    if isinstance(indices, np.ndarray) and batch_dims == 0:
        parts = [np.ascontiguousarray(indices[..., i]) for i in range(indices.shape[-1])]
        return context.call(torch.ops.aten.index.Tensor, x, parts)
    return context.call(take_nd, x, indices, batch_dims)


def take_nd(x: torch.Tensor, indices: torch.Tensor, batch_dims: int) -> torch.Tensor:
    """The last dimension of `indices` points into the dimensions after the batch."""
    if batch_dims == 0:
        return x[tuple(indices.to(torch.int64).unbind(-1))]
    batch = x.shape[:batch_dims]
    grid = torch.meshgrid(*(torch.arange(n, device=x.device) for n in batch), indexing="ij")
    between = indices.dim() - 1 - batch_dims
    spread = [g.reshape(g.shape + (1,) * between) for g in grid]
    return x[(*spread, *indices.to(torch.int64).unbind(-1))]


@op("Scatter", "ScatterElements")
def scatter_elements(context: Context, x: Value, indices: Value, updates: Value) -> Value:
    axis, how = int(context.attribute("axis", 0)), context.attribute("reduction", "none")
    return context.call(put_along, x, indices, updates, axis, how)


def put_along(
    x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor, axis: int, how: str
) -> torch.Tensor:
    """torch.scatter with indices that may count from the end."""
    picks = from_start(indices, x.shape[axis]).to(torch.int64)
    if how == "none":
        return torch.scatter(x, axis, picks, updates)
    return torch.scatter_reduce(x, axis, picks, updates, REDUCTIONS[how])


@op("ScatterND")
def scatter_nd(context: Context, x: Value, indices: Value, updates: Value) -> Value:
    how = context.attribute("reduction", "none")
    return context.call(put_nd, x, indices, updates, how)


def put_nd(x: torch.Tensor, indices: torch.Tensor, updates: torch.Tensor, how: str) -> torch.Tensor:
    """The last dimension of `indices` points into the first dimensions of `x`."""
    parts = [
        from_start(i, x.shape[axis]).to(torch.int64) for axis, i in enumerate(indices.unbind(-1))
    ]
    if how == "none":
        return torch.index_put(x, tuple(parts), updates)
    if how == "add":
        return torch.index_put(x, tuple(parts), updates, accumulate=True)
    depth = len(parts)
    flat = torch.zeros_like(parts[0])
    for axis, part in enumerate(parts):
        flat = flat * x.shape[axis] + part
    rows = x.reshape((-1, *x.shape[depth:]))
    sources = updates.reshape((-1, *x.shape[depth:]))
    found = rows.index_reduce(0, flat.reshape(-1), sources, REDUCTIONS[how])
    return found.reshape(x.shape)


@op("TensorScatter")
def tensor_scatter(context: Context, past: Value, update: Value, at: Value = None) -> Value:
    mode = context.attribute("mode", "linear")
    return context.call(put_steps, past, update, at, int(context.attribute("axis", -2)), mode)


def put_steps(
    past: torch.Tensor, update: torch.Tensor, at: torch.Tensor | None, axis: int, mode: str
) -> torch.Tensor:
    """Write steps into a cache, for each batch from its own position on."""
    axis = axis % past.dim()
    count, size = update.shape[axis], past.shape[axis]
    steps = torch.arange(count, device=past.device)[None, :]
    steps = steps + at.to(torch.int64)[:, None] if at is not None else steps
    steps = steps % size if mode == "circular" else steps
    shape = [1] * past.dim()
    shape[axis] = count
    shape[0] = steps.shape[0]
    return torch.scatter(past, axis, steps.reshape(shape).expand(update.shape), update)


@op("OneHot")
def one_hot(context: Context, indices: Value, depth: Value, values: Value) -> Value:
    axis = int(context.attribute("axis", -1))
    return context.call(two_valued, indices, context.number(depth), values, axis)


def two_valued(indices: torch.Tensor, depth: Any, values: torch.Tensor, axis: int) -> torch.Tensor:
    """`values` holds what is off and what is on; an index out of range is off everywhere."""
    depth = int(depth)
    whole = indices.to(torch.int64)
    whole = torch.where(whole < 0, whole + depth, whole)
    axis = axis % (indices.dim() + 1)
    shape = [1] * (indices.dim() + 1)
    shape[axis] = depth
    is_on = whole.unsqueeze(axis) == torch.arange(depth, device=indices.device).reshape(shape)
    return torch.where(is_on, values[1], values[0])


@op("NonZero")
def non_zero(context: Context, x: Value) -> Value:
    return context.reads_data(positions_of_non_zero, x)


def positions_of_non_zero(x: torch.Tensor) -> torch.Tensor:
    """One row an axis."""
    return torch.nonzero(x).t()


@op("Compress")
def compress(context: Context, x: Value, condition: Value) -> Value:
    return context.reads_data(kept, x, condition, context.attribute("axis"))


def kept(x: torch.Tensor, condition: torch.Tensor, axis: int | None) -> torch.Tensor:
    """Slices whose flag is set; a condition that is too short leaves out the rest."""
    picks = torch.nonzero(condition).reshape(-1)
    if axis is None:
        return x.reshape(-1)[picks]
    return torch.index_select(x, axis, picks)


@op("Unique")
def unique(context: Context, x: Value) -> tuple[Value, ...]:
    axis, in_order = context.attribute("axis"), context.flag("sorted", 1)
    return context.parts(context.reads_data(unique_values, x, axis, in_order), 4)


def unique_values(
    x: torch.Tensor, axis: int | None, in_order: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values, index of each one's first, where each element went, and how many there are."""
    x = x.reshape(-1) if axis is None else x
    axis = 0 if axis is None else axis
    values, inverse, counts = torch.unique(
        x, return_inverse=True, return_counts=True, dim=axis if x.dim() > 1 else None
    )
    places = torch.arange(inverse.numel(), device=x.device)
    first = torch.full((counts.numel(),), inverse.numel(), device=x.device)
    first = first.scatter_reduce(0, inverse.reshape(-1), places, "amin")
    if not in_order:
        order = torch.argsort(first)
        rank = torch.argsort(order)
        values = torch.index_select(values, axis if x.dim() > 1 else 0, order)
        first, counts, inverse = first[order], counts[order], rank[inverse]
    return values, first, inverse.reshape(-1), counts
