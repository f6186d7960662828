"""Quantization of ONNX's own domain, and what it shares with that of com.microsoft."""

from __future__ import annotations

from typing import Any

import onnx
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.convolution import CONV, pad_flat, pad_to_same, settings, spatial_rank
from profiler.onnx_torch.ops.scales import (
    along,
    centered,
    dequantized,
    dynamically_quantized,
    integer_type,
    quantized,
    result_type,
    rounded,
)
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import DTYPES, TORCH_TYPES, Value

T = onnx.TensorProto


@op("QuantizeLinear")
def quantize_linear(context: Context, x: Value, scale: Value, zero: Value = None) -> Value:
    named = int(context.attribute("output_dtype", 0))
    target = result_type(context, None if named else zero, 2, named or T.UINT8)
    precision = DTYPES.get(int(context.attribute("precision", 0)))
    axis, block = int(context.attribute("axis", 1)), int(context.attribute("block_size", 0))
    saturate = context.flag("saturate", 1)
    return context.call(
        quantized, x, scale, zero, axis, block, target, saturate=saturate, precision=precision
    )


@op("DequantizeLinear")
def dequantize_linear(context: Context, x: Value, scale: Value, zero: Value = None) -> Value:
    axis, block = int(context.attribute("axis", 1)), int(context.attribute("block_size", 0))
    target = TORCH_TYPES.get(int(context.attribute("output_dtype", 0)))
    return context.call(dequantized, x, scale, zero, axis, block, target)


@op("DynamicQuantizeLinear")
def dynamic_quantize_linear(context: Context, x: Value) -> tuple[Value, ...]:
    return context.parts(context.call(dynamically_quantized, x), 3)


@op("MatMulInteger")
def matmul_integer(
    context: Context, a: Value, b: Value, a_zero: Value = None, b_zero: Value = None
) -> Value:
    return context.call(integer_product, a, b, a_zero, b_zero)


def integer_product(
    a: torch.Tensor,
    b: torch.Tensor,
    a_zero: torch.Tensor | None,
    b_zero: torch.Tensor | None,
) -> torch.Tensor:
    """An exact product in int32."""
    return torch.matmul(centered(a, a_zero, -2), centered(b, b_zero)).to(torch.int32)


@op("QLinearMatMul")
def qlinear_matmul(
    context: Context,
    a: Value,
    a_scale: Value,
    a_zero: Value,
    b: Value,
    b_scale: Value,
    b_zero: Value,
    y_scale: Value,
    y_zero: Value,
) -> Value:
    target = integer_type(context, y_zero, 7)
    inputs = (a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero)
    return context.call(quantized_product, *inputs, target)


def quantized_product(
    a: torch.Tensor,
    a_scale: torch.Tensor,
    a_zero: torch.Tensor,
    b: torch.Tensor,
    b_scale: torch.Tensor,
    b_zero: torch.Tensor,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor,
    target: int,
) -> torch.Tensor:
    total = torch.matmul(centered(a, a_zero, -2), centered(b, b_zero))
    left, right = along(a_scale, a.dim(), -2), along(b_scale, b.dim(), -1)
    y = total * (left.to(torch.float64) * right.to(torch.float64) / y_scale.to(torch.float64))
    return rounded(y, y_zero, target)


@op("ConvInteger")
def conv_integer(
    context: Context, x: Value, w: Value, x_zero: Value = None, w_zero: Value = None
) -> Value:
    return context.call(integer_conv, x, w, x_zero, w_zero, *_conv_settings(context, 1))


def _conv_settings(context: Context, weight_position: int) -> tuple[Any, ...]:
    spatial = spatial_rank(context, weight_position)
    if spatial not in CONV:
        context.refuse(f"{spatial} spatial dimensions")
    mode = context.attribute("auto_pad", "NOTSET")
    return *settings(context, spatial), int(context.attribute("group", 1)), mode


def exact_conv(
    x: torch.Tensor,
    w: torch.Tensor,
    strides: list[int],
    dilations: list[int],
    pads: list[int],
    groups: int,
    mode: str,
) -> torch.Tensor:
    """Of integers in float64, 0 padded."""
    spatial = len(strides)
    if mode.startswith("SAME"):
        x = pad_to_same(x, w, strides, dilations, mode == "SAME_LOWER")
    elif mode == "NOTSET":
        x = F.pad(x, pad_flat(pads[:spatial], pads[spatial:]))
    found: torch.Tensor = CONV[spatial](x, w, None, strides, 0, dilations, groups)
    return found


def integer_conv(
    x: torch.Tensor,
    w: torch.Tensor,
    x_zero: torch.Tensor | None,
    w_zero: torch.Tensor | None,
    *shape: Any,
) -> torch.Tensor:
    return exact_conv(centered(x, x_zero), centered(w, w_zero, 0), *shape).to(torch.int32)


@op("QLinearConv")
def qlinear_conv(
    context: Context,
    x: Value,
    x_scale: Value,
    x_zero: Value,
    w: Value,
    w_scale: Value,
    w_zero: Value,
    y_scale: Value,
    y_zero: Value,
    bias: Value = None,
) -> Value:
    inputs = (x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias)
    shape = _conv_settings(context, 3)
    return context.call(quantized_conv, *inputs, integer_type(context, y_zero, 7), *shape)


def quantized_conv(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    x_zero: torch.Tensor,
    w: torch.Tensor,
    w_scale: torch.Tensor,
    w_zero: torch.Tensor,
    y_scale: torch.Tensor,
    y_zero: torch.Tensor,
    bias: torch.Tensor | None,
    target: int,
    *shape: Any,
) -> torch.Tensor:
    total = exact_conv(centered(x, x_zero), centered(w, w_zero, 0), *shape)
    if bias is not None:
        total = total + along(bias, x.dim(), 1).to(torch.float64)
    factor = x_scale.to(torch.float64) * w_scale.to(torch.float64) / y_scale.to(torch.float64)
    return rounded(total * along(factor, x.dim(), 1), y_zero, target)
