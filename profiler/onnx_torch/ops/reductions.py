"""Reductions and searches along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from profiler.onnx_torch.context import Context, ShapeValue, Value
from profiler.onnx_torch.registry import op

REDUCE: dict[str, Callable[..., Any]] = {
    "ReduceSum": torch.sum,
    "ReduceMean": torch.mean,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceLogSumExp": torch.logsumexp,
}


def _axes(context: Context, axes: Value) -> list[int] | None:
    """Axes to reduce; None for an operator that then does nothing."""
    found = context.ints(axes, "axes") if axes is not None else context.attribute("axes")
    if found:
        return list(found)
    if context.attribute("noop_with_empty_axes", 0):
        return None
    return list(range(context.rank()))


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Context, x: Value, axes: Value = None) -> Value:
        over = _axes(context, axes)
        if over is None:
            return x
        keep = bool(context.attribute("keepdims", 1))
        dtype = context.dtype_of(0)
        if dtype is not None and not dtype.is_floating_point and function is not torch.amax:
            if function not in (torch.sum, torch.amin):
                context.refuse(f"reduction of {dtype}")
            if function is torch.sum:
                return context.call(function, x, over, keepdim=keep, dtype=dtype)
        return context.call(function, x, over, keepdim=keep)

    return build


for _name, _function in REDUCE.items():
    op(_name)(_reduction(_function))


@op("ReduceProd")
def reduce_prod(context: Context, x: Value, axes: Value = None) -> Value:
    keep = bool(context.attribute("keepdims", 1))
    if isinstance(x, ShapeValue):
        product: Any = 1
        for dim in x.dims:
            product = context.scalar_call(lambda a, b: a * b, product, dim)
        return ShapeValue((product,), scalar=not keep)
    over = _axes(context, axes)
    for axis in sorted((a % context.rank() for a in over or []), reverse=True):
        x = context.call(torch.prod, x, axis, keepdim=keep, dtype=context.dtype_of(0))
    return x


@op("ReduceL1", "ReduceL2", "ReduceSumSquare")
def reduce_norm(context: Context, x: Value, axes: Value = None) -> Value:
    over = _axes(context, axes)
    dtype = context.dtype_of(0)
    if over is None or dtype is None or not dtype.is_floating_point:
        context.refuse("this type, or no axes")
    keep = bool(context.attribute("keepdims", 1))
    if context.node.op_type == "ReduceL1":
        return context.call(torch.sum, context.call(torch.abs, x), over, keepdim=keep)
    total = context.call(torch.sum, context.call(torch.mul, x, x), over, keepdim=keep)
    return context.call(torch.sqrt, total) if context.node.op_type == "ReduceL2" else total


@op("ArgMax", "ArgMin")
def arg_extreme(context: Context, x: Value) -> Value:
    if context.attribute("select_last_index", 0):
        context.refuse("select_last_index")
    function = torch.argmax if context.node.op_type == "ArgMax" else torch.argmin
    axis = int(context.attribute("axis", 0))
    return context.call(function, x, axis, keepdim=bool(context.attribute("keepdims", 1)))


@op("TopK")
def top_k(context: Context, x: Value, k: Value) -> tuple[Value, ...]:
    import operator

    count = context.ints(k, "k")[0]
    found = context.call(
        torch.topk,
        x,
        count,
        int(context.attribute("axis", -1)),
        largest=bool(context.attribute("largest", 1)),
        sorted=True,
    )
    return tuple(context.call(operator.getitem, found, i) for i in range(2))
