"""Comparison, logic, bits, and choices by a condition."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.unsigned import on_any_integers, widened
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Dim, ShapeValue, Value, as_shape

BINARY: dict[str, Callable[..., Any]] = {
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
    "BitwiseAnd": torch.bitwise_and,
    "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
}


ON_SIZES: dict[str, Callable[..., Any]] = {
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "And": operator.and_,
    "Or": operator.or_,
    "Xor": operator.xor,
}


def _binary(function: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Context, a: Value, b: Value) -> Value:
        on_sizes = ON_SIZES.get(context.node.op_type)
        if on_sizes is not None:
            shape = context.comparison(on_sizes, a, b)
            if shape is not None:
                return shape
        return context.call(on_any_integers(context, function), a, b)

    return build


for _name, _function in BINARY.items():
    op(_name)(_binary(_function))


@op("Not")
def not_(context: Context, x: Value) -> Value:
    if isinstance(x, ShapeValue):
        dims = tuple(
            not d if isinstance(d, int) else context.call(operator.not_, d) for d in x.dims
        )
        return ShapeValue(dims, x.scalar, torch.bool)
    return context.call(torch.logical_not, x)


@op("BitwiseNot")
def bitwise_not(context: Context, x: Value) -> Value:
    return context.call(on_any_integers(context, torch.bitwise_not), x)


@op("Equal")
def equal(context: Context, a: Value, b: Value) -> Value:
    left, right = as_shape(a), as_shape(b)
    if left and right and len(left.dims) == len(right.dims):
        pairs = [_sizes_equal(x, y) for x, y in zip(left.dims, right.dims, strict=True)]
        if None not in pairs:
            return np.array(pairs[0] if left.scalar and right.scalar else pairs)
    shape = context.comparison(operator.eq, a, b)
    if shape is not None:
        return shape
    return context.call(on_any_integers(context, torch.eq), a, b)


def _sizes_equal(a: Dim, b: Dim) -> bool | None:
    """None when it depends on a size at run time; a size is never negative."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    if a is b:
        return True
    return False if any(isinstance(d, int) and d < 0 for d in (a, b)) else None


@op("Where")
def where(context: Context, condition: Value, a: Value, b: Value) -> Value:
    left, right = as_shape(a), as_shape(b)
    if isinstance(condition, np.ndarray) and condition.ndim <= 1 and left and right:
        flags = [bool(flag) for flag in condition.reshape(-1)]
        if len(flags) == len(left.dims) == len(right.dims):
            picks = zip(flags, left.dims, right.dims, strict=True)
            is_scalar = left.scalar and right.scalar and condition.ndim == 0
            return ShapeValue(
                tuple(x if flag else y for flag, x, y in picks), is_scalar, left.dtype
            )
    return context.call(torch.where, condition, a, b)


@op("BitShift")
def bit_shift(context: Context, x: Value, by: Value) -> Value:
    is_left = context.attribute("direction") == "LEFT"
    if context.dtype_of(0) is torch.uint64:
        return context.call(shift_64, x, by, is_left)
    return context.call(widened(shift_left if is_left else shift_right), x, by)


def shift_left(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    return torch.bitwise_left_shift(x, by)


def shift_right(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    return torch.bitwise_right_shift(x, by)


def shift_64(x: torch.Tensor, by: torch.Tensor, left: bool) -> torch.Tensor:
    """Of unsigned numbers: zeros come in from the left."""
    bits, count = x.view(torch.int64), by.view(torch.int64)
    if left:
        return torch.bitwise_left_shift(bits, count).view(torch.uint64)
    kept = torch.where(count > 0, (1 << (64 - count).clamp(max=63)) - 1, -1)
    return (torch.bitwise_right_shift(bits, count) & kept).view(torch.uint64)
