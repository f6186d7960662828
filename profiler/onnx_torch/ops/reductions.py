"""Reductions along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.shapes import product, run_time_axes
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import ShapeValue, Value

# Those that PyTorch computes on floats in one call.
PLAIN: dict[str, Callable[..., Any]] = {
    "ReduceSum": torch.sum,
    "ReduceMean": torch.mean,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceLogSumExp": torch.logsumexp,
}
NAMES = (
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceLogSumExp",
    "ReduceLogSum",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
)


@op(*NAMES)
def reduction(context: Context, x: Value, axes: Value = None) -> Value:
    kind, keep = context.node.op_type, context.flag("keepdims", 1)
    if kind == "ReduceProd" and isinstance(x, ShapeValue):
        return ShapeValue((product(context, list(x.dims)),), scalar=not keep)
    over, rank, dtype = run_time_axes(context, axes), context.known_rank(), context.dtype_of(0)
    empty = context.flag("noop_with_empty_axes")
    is_plain = kind in PLAIN and dtype is not None and dtype.is_floating_point
    if is_plain and _has_elements(context):
        if over == [] or over is None:
            if not empty and rank is not None:
                return context.call(PLAIN[kind], x, list(range(rank)), keepdim=keep)
        elif isinstance(over, list):
            return context.call(PLAIN[kind], x, over, keepdim=keep)
    return context.call(reduce_axes, x, over, kind, keep, empty)


def _has_elements(context: Context) -> bool:
    """The largest of nothing is minus infinity in ONNX, an error in PyTorch."""
    shape = context.shape()
    return context.node.op_type not in ("ReduceMax", "ReduceMin") or (
        shape is not None and 0 not in shape
    )


def reduce_axes(
    x: torch.Tensor, axes: list[int] | None, kind: str, keep: bool, empty: bool
) -> torch.Tensor:
    """Any reduction of any type; without axes over all, or `empty`: over none."""
    if not axes:
        # Over no axis the elements' own function is left.
        axes = [] if empty else list(range(x.dim()))
    dtype = x.dtype
    # Integers are summed as ONNX does, in their own type.
    match kind:
        case "ReduceMax" | "ReduceMin":
            return _extreme(x, axes, keep, largest=kind == "ReduceMax")
        case "ReduceProd":
            for axis in sorted((a % x.dim() for a in axes), reverse=True):
                x = torch.prod(x, axis, keepdim=keep, dtype=dtype)
            return x
        case "ReduceMean":
            count = 1
            for axis in axes:
                count *= x.shape[axis]
            total = _sum(x, axes, keep, torch.float64)
            whole = dtype.is_floating_point
            return (total / count).to(dtype) if whole else torch.trunc(total / count).to(dtype)
        case "ReduceL1":
            return _sum(torch.abs(x), axes, keep, dtype)
        case "ReduceSumSquare":
            return _sum(x * x, axes, keep, dtype)
        case "ReduceL2":
            wide = x if dtype.is_floating_point else x.to(torch.float64)
            return torch.sqrt(_sum(wide * wide, axes, keep, wide.dtype)).to(dtype)
        case "ReduceLogSum":
            wide = x if dtype.is_floating_point else x.to(torch.float64)
            return torch.log(_sum(wide, axes, keep, wide.dtype)).to(dtype)
        case "ReduceLogSumExp":
            wide = x if dtype.is_floating_point else x.to(torch.float64)
            return (torch.logsumexp(wide, axes, keepdim=keep) if axes else wide).to(dtype)
    return _sum(x, axes, keep, dtype)


def _sum(x: torch.Tensor, axes: list[int], keep: bool, dtype: torch.dtype) -> torch.Tensor:
    return torch.sum(x, axes, keepdim=keep, dtype=dtype) if axes else x.to(dtype)


def _extreme(x: torch.Tensor, axes: list[int], keep: bool, *, largest: bool) -> torch.Tensor:
    if not axes:
        return x
    if x.dtype is torch.bool:
        whole = _extreme(x.to(torch.uint8), axes, keep, largest=largest)
        return whole.to(torch.bool)
    if any(x.shape[axis] == 0 for axis in axes):
        shape = [1 if i in {a % x.dim() for a in axes} else n for i, n in enumerate(x.shape)]
        kept = shape if keep else [n for i, n in enumerate(x.shape) if i not in _positive(x, axes)]
        return torch.full(kept, _limit(x.dtype, largest), dtype=x.dtype, device=x.device)
    return torch.amax(x, axes, keepdim=keep) if largest else torch.amin(x, axes, keepdim=keep)


def _positive(x: torch.Tensor, axes: list[int]) -> set[int]:
    return {axis % x.dim() for axis in axes}


def _limit(dtype: torch.dtype, lowest: bool) -> Any:
    if dtype.is_floating_point:
        return float("-inf") if lowest else float("inf")
    info = torch.iinfo(dtype)
    return info.min if lowest else info.max
