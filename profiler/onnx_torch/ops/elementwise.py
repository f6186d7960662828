"""Arithmetic and functions of one number, element by element."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.unsigned import on_any_integers
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

UNARY: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Det": torch.linalg.det,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Round": torch.round,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
}
# In the graph on tensors, and on sizes.
ARITHMETIC: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "Add": (torch.add, operator.add),
    "Sub": (torch.sub, operator.sub),
    "Mul": (torch.mul, operator.mul),
}


def _unary(function: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Context, x: Value) -> Value:
        return context.call(function, x)

    return build


def _arithmetic(on_tensors: Callable[..., Any], on_ints: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Context, a: Value, b: Value) -> Value:
        shape = context.arithmetic(on_ints, a, b)
        if shape is not None:
            return shape
        return context.call(on_any_integers(context, on_tensors), a, b)

    return build


for _name, _function in UNARY.items():
    op(_name)(_unary(_function))
for _name, (_on_tensors, _on_ints) in ARITHMETIC.items():
    op(_name)(_arithmetic(_on_tensors, _on_ints))


@op("Div")
def div(context: Context, a: Value, b: Value) -> Value:
    # ONNX divides integers towards zero; sizes are not negative, so floor is the same.
    shape = context.arithmetic(operator.floordiv, a, b)
    if shape is not None:
        return shape
    dtype = context.dtype_of(0) or context.dtype_of(1)
    if dtype is not None and dtype.is_floating_point:
        return context.call(torch.div, a, b)
    return context.call(on_any_integers(context, divide), a, b)


def divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Integers are divided towards zero."""
    if a.is_floating_point():
        return torch.div(a, b)
    return torch.div(a, b, rounding_mode="trunc")


@op("Pow")
def power(context: Context, a: Value, b: Value) -> Value:
    dtype = context.dtype_of(0)
    if isinstance(b, np.ndarray) and b.ndim == 0 and dtype is not None and dtype.is_floating_point:
        # With a number PyTorch multiplies; with a tensor it calls a function for each element.
        return context.call(torch.pow, a, b.item())
    if context.dtype_of(0) is not None and context.dtype_of(0) == context.dtype_of(1):
        return context.call(torch.pow, a, b)
    return context.call(power_in_type, a, b)


def power_in_type(base: torch.Tensor, exponent: torch.Tensor) -> torch.Tensor:
    """ONNX keeps the base's type; PyTorch promotes."""
    return torch.pow(base, exponent).to(base.dtype)


@op("Mod")
def mod(context: Context, a: Value, b: Value) -> Value:
    if not context.flag("fmod"):
        shape = context.arithmetic(operator.mod, a, b)
        if shape is not None:
            return shape
    function = torch.fmod if context.flag("fmod") else torch.remainder
    return context.call(on_any_integers(context, function), a, b)


@op("Max")
def maximum(context: Context, *values: Value) -> Value:
    return _fold(context, torch.maximum, torch.sym_max, values)


@op("Min")
def minimum(context: Context, *values: Value) -> Value:
    return _fold(context, torch.minimum, torch.sym_min, values)


@op("Sum")
def sum_(context: Context, *values: Value) -> Value:
    return _fold(context, torch.add, operator.add, values)


@op("Mean")
def mean(context: Context, *values: Value) -> Value:
    return context.call(torch.div, sum_(context, *values), len(values))


def _fold(
    context: Context,
    function: Callable[..., Any],
    on_sizes: Callable[..., Any],
    values: tuple[Value, ...],
) -> Value:
    result = values[0]
    for value in values[1:]:
        shape = context.arithmetic(on_sizes, result, value)
        on_tensors = on_any_integers(context, function)
        result = shape if shape is not None else context.call(on_tensors, result, value)
    return result


@op("Clip")
def clip(context: Context, x: Value, low: Value = None, high: Value = None) -> Value:
    low = context.attribute("min") if low is None else low
    high = context.attribute("max") if high is None else high
    if low is None and high is None:
        return x
    limits = [_number(v) for v in (low, high)]
    # With numbers or with tensors, never one of each.
    if any(isinstance(v, torch.fx.Node) for v in limits):
        return context.call(clamp, x, *(v for v in (low, high)))
    return context.call(torch.clamp, x, *limits)


def clamp(x: torch.Tensor, low: Any, high: Any) -> torch.Tensor:
    """The upper limit wins over the lower."""
    if low is not None:
        x = torch.maximum(x, torch.as_tensor(low, dtype=x.dtype))
    return x if high is None else torch.minimum(x, torch.as_tensor(high, dtype=x.dtype))


def _number(value: Any) -> Any:
    """Constants as Python numbers, which PyTorch's kernels take directly."""
    return value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value


@op("IsInf")
def is_infinite(context: Context, x: Value) -> Value:
    positive, negative = context.flag("detect_positive", 1), context.flag("detect_negative", 1)
    if positive and negative:
        return context.call(torch.isinf, x)
    if not (positive or negative):
        return context.call(torch.zeros_like, x, dtype=torch.bool)
    return context.call(torch.isposinf if positive else torch.isneginf, x)


@op("Identity")
def identity(context: Context, x: Value) -> Value:
    del context
    return x


@op("Einsum")
def einsum(context: Context, *values: Value) -> Value:
    return context.call(torch.einsum, context.attribute("equation"), *values)
