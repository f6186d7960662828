"""Searches and running sums along an axis, and the choice of boxes."""

from __future__ import annotations

from typing import Any

import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value


@op("ArgMax", "ArgMin")
def arg_extreme(context: Context, x: Value) -> Value:
    is_max = context.node.op_type == "ArgMax"
    axis, keep = int(context.attribute("axis", 0)), context.flag("keepdims", 1)
    if context.flag("select_last_index"):
        return context.call(last_extreme, x, axis, keep, is_max)
    return context.call(torch.argmax if is_max else torch.argmin, x, axis, keepdim=keep)


def last_extreme(x: torch.Tensor, axis: int, keep: bool, largest: bool) -> torch.Tensor:
    """The last of equal elements: the first from the other end."""
    function = torch.argmax if largest else torch.argmin
    return x.shape[axis] - 1 - function(x.flip(axis), axis, keepdim=keep)


@op("TopK")
def top_k(context: Context, x: Value, k: Value = None) -> tuple[Value, ...]:
    count = context.number(k) if k is not None else int(context.attribute("k"))
    axis, largest = int(context.attribute("axis", -1)), context.flag("largest", 1)
    in_order = context.flag("sorted", 1)
    return context.parts(context.call(first_sorted, x, count, axis, largest, in_order), 2)


def first_sorted(
    x: torch.Tensor, count: int, axis: int, largest: bool, in_order: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of equal elements the one with the lower index comes first, which torch.topk does not say."""
    del in_order
    if x.dtype in (torch.uint16, torch.uint32, torch.uint64):
        # By the bits, with the sign flipped where the type is as wide as int64.
        flip = -(2**63) if x.dtype is torch.uint64 else 0
        wide = x.view(torch.int64) ^ flip if flip else x.to(torch.int64)
        values, indices = first_sorted(wide, count, axis, largest, True)
        return ((values ^ flip).view(x.dtype) if flip else values.to(x.dtype)), indices
    values, indices = torch.sort(x, dim=axis, descending=largest, stable=True)
    return values.narrow(axis, 0, count), indices.narrow(axis, 0, count)


@op("CumSum", "CumProd")
def running(context: Context, x: Value, axis: Value) -> Value:
    over = context.number(axis)
    kind, exclusive = context.node.op_type, context.flag("exclusive")
    reverse = context.flag("reverse")
    if kind == "CumSum" and not (exclusive or reverse) and context.dtype_of(0) is not None:
        return context.call(torch.cumsum, x, over, dtype=context.dtype_of(0))
    return context.call(run_along, x, over, kind == "CumSum", exclusive, reverse)


def run_along(
    x: torch.Tensor, axis: int, adds: bool, exclusive: bool, reverse: bool
) -> torch.Tensor:
    """Sums or products of all elements up to each, the element itself left out or not."""
    x = x.flip(axis) if reverse else x
    if exclusive:
        first = torch.full_like(x.narrow(axis, 0, 1), 0 if adds else 1)
        x = torch.cat((first, x.narrow(axis, 0, x.shape[axis] - 1)), axis)
    function = torch.cumsum if adds else torch.cumprod
    found = function(x, axis, dtype=x.dtype)
    return found.flip(axis) if reverse else found


@op("NonMaxSuppression")
def non_max_suppression(
    context: Context,
    boxes: Value,
    scores: Value,
    most: Value = None,
    overlap: Value = None,
    score: Value = None,
) -> Value:
    limits = (
        context.number(most) if most is not None else 0,
        context.number(overlap) if overlap is not None else 0.0,
        context.number(score) if score is not None else None,
    )
    centered = context.flag("center_point_box")
    return context.reads_data(best_boxes, boxes, scores, *limits, centered)


def best_boxes(
    boxes: torch.Tensor, scores: torch.Tensor, most: Any, overlap: Any, least: Any, centered: bool
) -> torch.Tensor:
    """Rows of (batch, class, box), best first, none overlapping a better one by too much."""
    if centered:
        middle, half = boxes[..., :2], boxes[..., 2:] / 2
        boxes = torch.cat((middle - half, middle + half), -1)
    low = torch.minimum(boxes[..., :2], boxes[..., 2:])
    high = torch.maximum(boxes[..., :2], boxes[..., 2:])
    rows: list[list[int]] = []
    for batch in range(scores.shape[0]):
        shared = overlaps(low[batch], high[batch])
        for kind in range(scores.shape[1]):
            points = scores[batch, kind]
            order = torch.argsort(points, descending=True, stable=True).tolist()
            if least is not None:
                order = [i for i in order if points[i] > least]
            picked = _apart(order, shared, int(most), float(overlap))
            rows.extend([batch, kind, i] for i in picked)
    return torch.tensor(rows, dtype=torch.int64, device=boxes.device).reshape(-1, 3)


def overlaps(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Intersection over union of each pair of boxes."""
    area = (high - low).clamp(min=0).prod(-1)
    corner_low = torch.maximum(low[:, None], low[None])
    corner_high = torch.minimum(high[:, None], high[None])
    both = (corner_high - corner_low).clamp(min=0).prod(-1)
    union = area[:, None] + area[None] - both
    return torch.where(union > 0, both / union, 0.0)


def _apart(order: list[int], shared: torch.Tensor, most: int, overlap: float) -> list[int]:
    picked: list[int] = []
    too_near = shared > overlap
    for index in order:
        if len(picked) >= most:
            break
        if not picked or not bool(too_near[index, picked].any()):
            picked.append(index)
    return picked
