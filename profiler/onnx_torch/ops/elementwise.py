"""Arithmetic, comparison, logic and activations, element by element."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import (
    DTYPES,
    Context,
    Dim,
    ShapeValue,
    Value,
    as_shape,
    floor_divide,
)
from profiler.onnx_torch.registry import op

UNARY: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Acos": torch.acos,
    "Acosh": torch.acosh,
    "Asin": torch.asin,
    "Asinh": torch.asinh,
    "Atan": torch.atan,
    "Atanh": torch.atanh,
    "BitwiseNot": torch.bitwise_not,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Cosh": torch.cosh,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "IsNaN": torch.isnan,
    "Log": torch.log,
    "Mish": F.mish,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Reciprocal": torch.reciprocal,
    "Relu": F.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Sinh": torch.sinh,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Tan": torch.tan,
    "Tanh": torch.tanh,
}
COMPARISON: dict[str, Callable[..., Any]] = {
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
ON_SHAPES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "Add": (torch.add, operator.add),
    "Sub": (torch.sub, operator.sub),
    "Mul": (torch.mul, operator.mul),
}


def _unary(function: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Context, x: Value) -> Value:
        return context.call(function, x)

    return build


def _binary(function: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Context, a: Value, b: Value) -> Value:
        return context.call(function, a, b)

    return build


def _on_shapes(on_tensors: Callable[..., Any], on_ints: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Context, a: Value, b: Value) -> Value:
        shape = context.arithmetic(on_ints, a, b)
        return shape if shape is not None else context.call(on_tensors, a, b)

    return build


for _name, _function in UNARY.items():
    op(_name)(_unary(_function))
for _name, _function in COMPARISON.items():
    op(_name)(_binary(_function))
for _name, (_on_tensors, _on_ints) in ON_SHAPES.items():
    op(_name)(_on_shapes(_on_tensors, _on_ints))


def _is_integer(context: Context) -> bool:
    dtype = context.dtype_of(0) or context.dtype_of(1)
    if dtype is None:
        context.refuse("a division of unknown type")
    return not dtype.is_floating_point


@op("Div")
def div(context: Context, a: Value, b: Value) -> Value:
    shape = context.arithmetic(floor_divide, a, b)
    if shape is not None:
        return shape
    if _is_integer(context):
        return context.call(torch.div, a, b, rounding_mode="trunc")
    return context.call(torch.div, a, b)


@op("Pow")
def power(context: Context, a: Value, b: Value) -> Value:
    dtype = context.dtype_of(0)
    result = context.call(torch.pow, a, b)
    if dtype is None or dtype == context.dtype_of(1):
        return result
    # ONNX keeps the base's type; PyTorch promotes.
    return context.call(torch.ops.aten.to.dtype, result, dtype)


@op("Mod")
def mod(context: Context, a: Value, b: Value) -> Value:
    return context.call(torch.fmod if context.attribute("fmod", 0) else torch.remainder, a, b)


@op("Cast")
def cast(context: Context, x: Value) -> Value:
    dtype = DTYPES.get(int(context.attribute("to")))
    if dtype is None:
        context.refuse("a cast to this type")
    if isinstance(x, ShapeValue) and dtype in (torch.int64, torch.int32):
        return x
    return context.call(torch.ops.aten.to.dtype, x, dtype)


@op("CastLike")
def cast_like(context: Context, x: Value, like: Value) -> Value:
    return context.call(to_type_of, x, like)


def to_type_of(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`x` in the type of `like`."""
    return x.to(like.dtype)


@op("Equal")
def equal(context: Context, a: Value, b: Value) -> Value:
    left, right = as_shape(a), as_shape(b)
    if left and right and len(left.dims) == len(right.dims):
        pairs = [_sizes_equal(x, y) for x, y in zip(left.dims, right.dims, strict=True)]
        if None not in pairs:
            return np.array(pairs[0] if left.scalar else pairs)
    return context.call(torch.eq, a, b)


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
    if isinstance(condition, np.ndarray) and left and right:
        flags = [bool(flag) for flag in condition.reshape(-1)]
        if len(flags) == len(left.dims) == len(right.dims):
            picks = zip(flags, left.dims, right.dims, strict=True)
            return ShapeValue(tuple(x if flag else y for flag, x, y in picks), left.scalar)
    return context.call(torch.where, condition, a, b)


@op("Max")
def maximum(context: Context, *values: Value) -> Value:
    return _fold(context, torch.maximum, values)


@op("Min")
def minimum(context: Context, *values: Value) -> Value:
    return _fold(context, torch.minimum, values)


@op("Sum")
def sum_(context: Context, *values: Value) -> Value:
    return _fold(context, torch.add, values)


@op("Mean")
def mean(context: Context, *values: Value) -> Value:
    return context.call(torch.div, _fold(context, torch.add, values), len(values))


def _fold(context: Context, function: Callable[..., Any], values: tuple[Value, ...]) -> Value:
    result = values[0]
    for value in values[1:]:
        result = context.call(function, result, value)
    return result


@op("Clip")
def clip(context: Context, x: Value, low: Value = None, high: Value = None) -> Value:
    low = context.attribute("min") if low is None else low
    high = context.attribute("max") if high is None else high
    result = x
    if low is not None:
        result = context.call(torch.clamp, result, min=_number(low))
    if high is not None:
        result = context.call(torch.clamp, result, max=_number(high))
    return result


def _number(value: Any) -> Any:
    """Constants as Python numbers, which PyTorch's kernels take directly."""
    return value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value


@op("Gelu")
def gelu(context: Context, x: Value) -> Value:
    return context.call(F.gelu, x, approximate=context.attribute("approximate", "none"))


@op("Elu")
def elu(context: Context, x: Value) -> Value:
    return context.call(F.elu, x, alpha=float(context.attribute("alpha", 1.0)))


@op("Celu")
def celu(context: Context, x: Value) -> Value:
    return context.call(F.celu, x, alpha=float(context.attribute("alpha", 1.0)))


@op("LeakyRelu")
def leaky_relu(context: Context, x: Value) -> Value:
    return context.call(F.leaky_relu, x, float(context.attribute("alpha", 0.01)))


@op("PRelu")
def prelu(context: Context, x: Value, slope: Value) -> Value:
    return context.call(broadcast_prelu, x, slope)


def broadcast_prelu(x: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """ONNX broadcasts the slope to the input; `F.prelu` takes one per channel."""
    return torch.where(x < 0, x * slope, x)


@op("HardSigmoid")
def hard_sigmoid(context: Context, x: Value) -> Value:
    alpha = float(context.attribute("alpha", 0.2))
    beta = float(context.attribute("beta", 0.5))
    scaled = context.call(torch.add, context.call(torch.mul, x, alpha), beta)
    return context.call(torch.clamp, scaled, 0.0, 1.0)


@op("HardSwish")
def hard_swish(context: Context, x: Value) -> Value:
    return context.call(F.hardswish, x)


@op("Identity")
def identity(context: Context, x: Value) -> Value:
    del context
    return x


@op("Dropout")
def dropout(context: Context, x: Value, _: Value = None, training: Value = None) -> Value:
    if training is not None and context.array(training, "training mode").any():
        context.refuse("training mode")
    if len(context.node.output) > 1 and context.node.output[1]:
        context.refuse("a dropout mask")
    return x
