"""QLinear operators of com.microsoft: quantized values in and out, computed by their floats."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.microsoft import MS, channels_first, channels_last
from profiler.onnx_torch.ops.pooling import average_pool
from profiler.onnx_torch.ops.quantization import qlinear_conv
from profiler.onnx_torch.ops.scales import dequantized, integer_type, quantized
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value


def _requantize(context: Context, y: Value, scale: Value, zero: Value, like: int) -> Value:
    """Back to the type of the zero point, the last input, or of input `like` without one."""
    last, default = len(context.node.input) - 1, context.onnx_type_of(like)
    target = integer_type(context, zero, last, default)
    return context.call(quantized, y, scale, zero, 1, 0, target)


def _plain(context: Context, x: Value, scale: Value, zero: Value) -> Value:
    return context.call(dequantized, x, scale, zero)


@op("QLinearAdd", "QLinearMul", domain=MS)
def qlinear_binary(
    context: Context,
    a: Value,
    a_scale: Value,
    a_zero: Value,
    b: Value,
    b_scale: Value,
    b_zero: Value,
    y_scale: Value,
    y_zero: Value = None,
) -> Value:
    function = torch.add if context.node.op_type == "QLinearAdd" else torch.mul
    sides = (_plain(context, a, a_scale, a_zero), _plain(context, b, b_scale, b_zero))
    return _requantize(context, context.call(function, *sides), y_scale, y_zero, 0)


@op("QLinearSigmoid", "QLinearLeakyRelu", domain=MS)
def qlinear_unary(
    context: Context, x: Value, scale: Value, zero: Value, y_scale: Value, y_zero: Value = None
) -> Value:
    plain = _plain(context, x, scale, zero)
    if context.node.op_type == "QLinearSigmoid":
        found = context.call(torch.sigmoid, plain)
    else:
        found = context.call(F.leaky_relu, plain, float(context.attribute("alpha", 0.01)))
    return _requantize(context, found, y_scale, y_zero, 0)


@op("QLinearSoftmax", domain=MS)
def qlinear_softmax(
    context: Context, x: Value, scale: Value, zero: Value, y_scale: Value, y_zero: Value
) -> Value:
    axis = int(context.attribute("axis", -1))
    rank = context.known_rank()
    if int(context.attribute("opset", 13)) < 13 and (rank is None or axis % rank != rank - 1):
        context.refuse("softmax over several axes")
    found = context.call(F.softmax, _plain(context, x, scale, zero), axis)
    return _requantize(context, found, y_scale, y_zero, 0)


@op("QLinearAveragePool", "QLinearGlobalAveragePool", domain=MS)
def qlinear_pool(
    context: Context, x: Value, scale: Value, zero: Value, y_scale: Value, y_zero: Value = None
) -> Value:
    plain = _plain(context, x, scale, zero)
    last = context.flag("channels_last")
    plain = context.call(channels_first, plain) if last else plain
    if context.node.op_type == "QLinearAveragePool":
        found = average_pool(context, plain)
    else:
        found = context.call(mean_of_space, plain)
    found = context.call(channels_last, found) if last else found
    return _requantize(context, found, y_scale, y_zero, 0)


def mean_of_space(x: torch.Tensor) -> torch.Tensor:
    return x.mean(list(range(2, x.dim())), keepdim=True)


@op("QLinearReduceMean", domain=MS)
def qlinear_mean(
    context: Context, x: Value, scale: Value, zero: Value, y_scale: Value, y_zero: Value
) -> Value:
    axes, keep = context.attribute("axes"), context.flag("keepdims", 1)
    found = context.call(torch.mean, _plain(context, x, scale, zero), axes, keepdim=keep)
    return _requantize(context, found, y_scale, y_zero, 0)


@op("QLinearWhere", domain=MS)
def qlinear_where(
    context: Context,
    condition: Value,
    a: Value,
    a_scale: Value,
    a_zero: Value,
    b: Value,
    b_scale: Value,
    b_zero: Value,
    y_scale: Value,
    y_zero: Value,
) -> Value:
    sides = (_plain(context, a, a_scale, a_zero), _plain(context, b, b_scale, b_zero))
    return _requantize(context, context.call(torch.where, condition, *sides), y_scale, y_zero, 1)


@op("QLinearConcat", domain=MS)
def qlinear_concat(context: Context, y_scale: Value, y_zero: Value, *parts: Value) -> Value:
    plain = [_plain(context, *parts[i : i + 3]) for i in range(0, len(parts), 3)]
    found = context.call(torch.cat, plain, int(context.attribute("axis")))
    target = integer_type(context, y_zero, 1)
    return context.call(quantized, found, y_scale, y_zero, 1, 0, target)


@op("QLinearConv", domain=MS)
def qlinear_conv_any_layout(context: Context, x: Value, *rest: Any) -> Value:
    if not context.flag("channels_last"):
        plain: Value = qlinear_conv(context, x, *rest)
        return plain
    return context.call(
        channels_last, qlinear_conv(context, context.call(channels_first, x), *rest)
    )
