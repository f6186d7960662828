"""Operators that cut, join and reorder elements by position."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.shapes import axes_of, run_time_axes
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import ShapeValue, Value, as_shape

FAR = 2**31


@op("Concat")
def concat(context: Context, *values: Value) -> Value:
    shapes = [as_shape(value) for value in values]
    if any(isinstance(v, ShapeValue) for v in values) and all(
        s is not None and not s.scalar for s in shapes
    ):
        found = [s for s in shapes if s is not None]
        return ShapeValue(tuple(dim for s in found for dim in s.dims), dtype=found[0].dtype)
    if len(values) == 1:
        return values[0]
    return context.call(torch.cat, list(values), int(context.attribute("axis")))


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
    begin, end = context.sizes(starts), context.sizes(ends)
    over, step = run_time_axes(context, axes), [1]
    if steps is not None:
        step = context.sizes(steps)
    if any(isinstance(v, torch.fx.Node) for v in (begin, end, over, step)):
        return context.call(slice_all, x, begin, end, over, step)
    over = over or list(range(len(begin)))
    step = step * len(begin) if steps is None else step
    if isinstance(x, ShapeValue) and isinstance(begin[0], int) and isinstance(end[0], int):
        return ShapeValue(x.dims[slice(begin[0], end[0], step[0])], dtype=x.dtype)
    if any(not isinstance(s, int) or s < 0 for s in step):
        return context.call(slice_all, x, begin, end, over, step)
    for axis, first, last, stride in zip(over, begin, end, step, strict=True):
        limit = min(last, FAR) if isinstance(last, int) else last
        x = context.call(torch.ops.aten.slice.Tensor, x, axis, first, limit, stride)
    return x


def slice_all(
    x: torch.Tensor, starts: list[int], ends: list[int], axes: list[int] | None, steps: list[int]
) -> torch.Tensor:
    """With bounds that are known at run time, or steps that go back."""
    axes = axes or list(range(len(starts)))
    steps = steps * len(starts) if len(steps) < len(starts) else steps
    for axis, first, last, step in zip(axes, starts, ends, steps, strict=True):
        if step > 0:
            x = torch.ops.aten.slice.Tensor(x, axis, first, min(last, FAR), step)
            continue
        # PyTorch has no negative step: choose the indices.
        size = x.shape[axis]
        picks = list(range(size)[slice(first, None if last < -size else last, step)])
        x = torch.index_select(x, axis, torch.tensor(picks, dtype=torch.int64, device=x.device))
    return x


@op("Split")
def split(context: Context, x: Value, sizes: Value = None) -> tuple[Value, ...]:
    axis = int(context.attribute("axis", 0))
    count = len(context.node.output)
    given = context.sizes(sizes) if sizes is not None else context.attribute("split")
    if isinstance(x, ShapeValue):
        if given is None:
            part = -(-len(x.dims) // count)
            given = [min(part, len(x.dims) - part * i) for i in range(count)]
        ends = np.cumsum(given)
        return tuple(
            ShapeValue(x.dims[e - g : e], dtype=x.dtype) for g, e in zip(given, ends, strict=True)
        )
    if given is None:
        return context.parts(context.call(split_evenly, x, count, axis), count)
    return context.parts(context.call(torch.split, x, given, axis), count)


def split_evenly(x: torch.Tensor, count: int, axis: int) -> list[torch.Tensor]:
    """The last part is smaller when it does not come out even, and may be empty."""
    part = -(-x.shape[axis] // count)
    parts = list(torch.split(x, max(part, 1), axis)) if part else [x] * count
    empty = x.narrow(axis, 0, 0)
    return parts + [empty] * (count - len(parts))


@op("Pad")
def pad(
    context: Context, x: Value, pads: Value = None, fill: Value = None, axes: Value = None
) -> Value:
    mode = context.attribute("mode", "constant")
    if pads is None:
        found: Any = list(context.attribute("pads", []) or context.attribute("paddings", []))
    else:
        found = context.sizes(pads)
    over = run_time_axes(context, axes) if axes is not None else None
    value = context.number(fill) if fill is not None else context.attribute("value", 0)
    rank = context.known_rank()
    is_plain = mode == "constant" and isinstance(found, list) and over is None
    if is_plain and rank is not None and context.dtype_of(0) is not torch.bool:
        flat = [p for axis in reversed(range(rank)) for p in (found[axis], found[axis + rank])]
        return context.call(F.pad, x, flat, value=value)
    return context.call(pad_axes, x, found, over, mode, value)


def pad_axes(
    x: torch.Tensor, pads: list[int], axes: list[int] | None, mode: str, value: Any
) -> torch.Tensor:
    """Any mode over any axes; a negative pad takes elements away."""
    axes = list(range(x.dim())) if axes is None else axes
    for position, axis in enumerate(axes):
        before, after = pads[position], pads[position + len(axes)]
        size = x.shape[axis]
        if before < 0 or after < 0:
            x = x.narrow(axis, max(-before, 0), size - max(-before, 0) - max(-after, 0))
            before, after, size = max(before, 0), max(after, 0), x.shape[axis]
        if mode == "constant":
            parts = [_filled(x, axis, count, value) for count in (before, after)]
            x = torch.cat([parts[0], x, parts[1]], axis)
            continue
        index = torch.arange(-before, size + after, device=x.device)
        x = torch.index_select(x, axis, _inside(index, size, mode))
    return x


def _filled(x: torch.Tensor, axis: int, count: int, value: Any) -> torch.Tensor:
    shape = list(x.shape)
    shape[axis] = count
    return torch.full(shape, value, dtype=x.dtype, device=x.device)


def _inside(index: torch.Tensor, size: int, mode: str) -> torch.Tensor:
    if mode == "edge":
        return index.clamp(0, size - 1)
    if mode == "wrap":
        return index % size
    period = max(2 * (size - 1), 1)
    folded = index % period
    return torch.where(folded >= size, period - folded, folded)


@op("DepthToSpace")
def depth_to_space(context: Context, x: Value) -> Value:
    block = int(context.attribute("blocksize"))
    if context.attribute("mode", "DCR") == "CRD":
        return context.call(F.pixel_shuffle, x, block)
    return context.call(depth_first_shuffle, x, block)


def depth_first_shuffle(x: torch.Tensor, block: int) -> torch.Tensor:
    """Depth, column, row order: the block's position comes before the channel."""
    b, c, h, w = x.shape
    parts = x.reshape(b, block, block, c // block**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(b, c // block**2, h * block, w * block)


@op("SpaceToDepth")
def space_to_depth(context: Context, x: Value) -> Value:
    if context.attribute("mode", "DCR") == "CRD":
        return context.call(F.pixel_unshuffle, x, int(context.attribute("blocksize")))
    return context.call(depth_first_unshuffle, x, int(context.attribute("blocksize")))


def depth_first_unshuffle(x: torch.Tensor, block: int) -> torch.Tensor:
    b, c, h, w = x.shape
    parts = x.reshape(b, c, h // block, block, w // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(b, c * block**2, h // block, w // block)


@op("Trilu")
def trilu(context: Context, x: Value, k: Value = None) -> Value:
    diagonal = context.number(k) if k is not None else 0
    function = torch.triu if context.flag("upper", 1) else torch.tril
    return context.call(function, x, diagonal)


@op("ReverseSequence")
def reverse_sequence(context: Context, x: Value, lengths: Value) -> Value:
    batch, time = (int(context.attribute(n, d)) for n, d in (("batch_axis", 1), ("time_axis", 0)))
    return context.call(reverse_starts, x, lengths, batch, time)


def reverse_starts(
    x: torch.Tensor, lengths: torch.Tensor, batch_axis: int, time_axis: int
) -> torch.Tensor:
    """Of each sequence the first `lengths` steps are reversed."""
    moved = x.movedim((batch_axis, time_axis), (0, 1))
    steps = torch.arange(moved.shape[1], device=x.device)[None, :]
    picks = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    picks = picks.reshape(picks.shape + (1,) * (moved.dim() - 2)).expand(moved.shape)
    return torch.gather(moved, 1, picks).movedim((0, 1), (batch_axis, time_axis))


@op("CenterCropPad")
def center_crop_pad(context: Context, x: Value, target: Value) -> Value:
    return context.call(crop_or_pad, x, context.sizes(target), axes_of(context, None))


def crop_or_pad(x: torch.Tensor, target: list[int], axes: list[int] | None) -> torch.Tensor:
    """Around the middle; what does not come out even is cut or added at the end."""
    for axis, wanted in zip(axes or range(x.dim()), target, strict=True):
        size = x.shape[axis]
        if wanted <= size:
            x = x.narrow(axis, (size - wanted) // 2, wanted)
            continue
        before = (wanted - size) // 2
        x = pad_axes(x, [before, wanted - size - before], [axis], "constant", 0)
    return x
