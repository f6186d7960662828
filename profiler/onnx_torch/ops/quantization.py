"""Quantization of ONNX's own domain, and what it shares with that of com.microsoft."""

from __future__ import annotations

from typing import Any

import onnx
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.casts import to_float4, to_float8
from profiler.onnx_torch.ops.convolution import CONV, pad_flat, pad_to_same, settings, spatial_rank
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import DTYPES, TORCH_TYPES, Value

T = onnx.TensorProto
# (lowest, highest) of the types that are held in a wider one.
NARROW: dict[int, tuple[int, int]] = {
    T.INT4: (-8, 7),
    T.UINT4: (0, 15),
    T.INT2: (-2, 1),
    T.UINT2: (0, 3),
}


@op("QuantizeLinear")
def quantize_linear(context: Context, x: Value, scale: Value, zero: Value = None) -> Value:
    target = int(context.attribute("output_dtype", 0))
    if zero is not None:
        target = context.onnx_type_of(2) or target
        if not target:
            context.refuse("a zero point of unknown type")
    target = target or T.UINT8
    if target not in TORCH_TYPES:
        context.refuse("this type")
    precision = DTYPES.get(int(context.attribute("precision", 0)))
    axis, block = int(context.attribute("axis", 1)), int(context.attribute("block_size", 0))
    saturate = context.flag("saturate", 1)
    return context.call(
        quantized, x, scale, zero, axis, block, target, saturate=saturate, precision=precision
    )


def quantized(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    axis: int,
    block: int,
    target: int,
    *,
    saturate: bool = True,
    precision: torch.dtype | None = None,
) -> torch.Tensor:
    """x / scale, rounded half to even, + zero point, within the range of the type.

    NaN, as of a scale that overflows, becomes the lowest number: as ONNX Runtime does it.
    """
    dtype = TORCH_TYPES[target]
    scale = _spread(scale, x, axis, block)
    if precision is not None:
        x, scale = x.to(precision), scale.to(precision)
    elif not x.is_floating_point():
        x = x.to(scale.dtype)
    y = x / scale.to(x.dtype)
    if target == T.FLOAT4E2M1:
        return to_float4(y)
    if dtype.is_floating_point:
        # The zero point of a float type is 0.
        return to_float8(y, dtype, saturate)
    low, high = NARROW.get(target, (0, 0))
    if target not in NARROW:
        info = torch.iinfo(dtype)
        low, high = info.min, info.max
    y = torch.round(y)
    wide = y if y.dtype is torch.float64 else y.to(torch.float32)
    if zero is not None:
        wide = wide + _spread(zero, x, axis, block).to(wide.dtype)
    return wide.nan_to_num(nan=low).clamp(low, high).to(dtype)


@op("DequantizeLinear")
def dequantize_linear(context: Context, x: Value, scale: Value, zero: Value = None) -> Value:
    axis, block = int(context.attribute("axis", 1)), int(context.attribute("block_size", 0))
    target = TORCH_TYPES.get(int(context.attribute("output_dtype", 0)))
    return context.call(dequantized, x, scale, zero, axis, block, target)


def dequantized(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | None,
    axis: int = 1,
    block: int = 0,
    target: torch.dtype | None = None,
) -> torch.Tensor:
    """(x - zero point) * scale."""
    if x.is_floating_point():
        wide = x.to(torch.float32)
    else:
        wide = x.to(torch.int32) if zero is not None else x.to(torch.float32)
        if zero is not None:
            wide = (wide - _spread(zero, x, axis, block).to(torch.int32)).to(torch.float32)
    y = wide * _spread(scale, x, axis, block).to(torch.float32)
    return y.to(target or scale.dtype)


def _spread(values: torch.Tensor, x: torch.Tensor, axis: int, block: int) -> torch.Tensor:
    """Per tensor, per axis, or per block of the axis: in a shape that broadcasts to `x`."""
    if block and values.dim():
        found = values.repeat_interleave(block, axis)
        return found.narrow(axis, 0, x.shape[axis])
    if values.dim() == 1 and x.dim() > 1:
        if values.shape[0] == 1:
            return values.reshape(())
        shape = [1] * x.dim()
        shape[axis] = -1
        return values.reshape(shape)
    return values


@op("DynamicQuantizeLinear")
def dynamic_quantize_linear(context: Context, x: Value) -> tuple[Value, ...]:
    return context.parts(context.call(dynamically_quantized, x), 3)


def dynamically_quantized(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """uint8 over the range of the values, which is made to hold 0."""
    low, high = x.amin().clamp(max=0.0), x.amax().clamp(min=0.0)
    scale = (high - low) / 255
    # All zeros: any scale does.
    divisor = torch.where(scale == 0, 1.0, scale)
    zero = torch.round(torch.clamp(-low / divisor, 0, 255))
    y = torch.clamp(torch.round(x / divisor) + zero, 0, 255).to(torch.uint8)
    return y, scale, zero.to(torch.uint8)


def centered(x: torch.Tensor, zero: torch.Tensor | None, row_wise: bool = False) -> torch.Tensor:
    """x - zero point, as float64 holds it exactly for products and sums of them."""
    wide = x.to(torch.float64)
    if zero is None:
        return wide
    if zero.dim() == 1 and zero.shape[0] > 1 and row_wise:
        zero = zero.unsqueeze(-1)
    return wide - zero.to(torch.float64)


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
    return torch.matmul(centered(a, a_zero, True), centered(b, b_zero)).to(torch.int32)


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
    target = context.onnx_type_of(7)
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
    total = torch.matmul(centered(a, a_zero, True), centered(b, b_zero))
    left = a_scale.unsqueeze(-1) if a_scale.dim() == 1 and a_scale.shape[0] > 1 else a_scale
    y = total * (left.to(torch.float64) * b_scale.to(torch.float64) / y_scale.to(torch.float64))
    return requantized(y, y_zero, target)


def requantized(y: torch.Tensor, zero: torch.Tensor | None, target: int) -> torch.Tensor:
    dtype = TORCH_TYPES[target]
    info = torch.iinfo(dtype)
    y = torch.round(y) if zero is None else torch.round(y) + zero.to(y.dtype)
    return y.clamp(info.min, info.max).to(dtype)


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
    spread = w_zero.reshape(-1, *[1] * (w.dim() - 1)) if w_zero is not None else None
    return exact_conv(centered(x, x_zero), centered(w, spread), *shape).to(torch.int32)


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
    return context.call(quantized_conv, *inputs, context.onnx_type_of(7), *shape)


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
    channel = (-1, *[1] * (x.dim() - 2))
    weight = centered(w, w_zero.reshape(-1, 1, *[1] * (w.dim() - 2)))
    total = exact_conv(centered(x, x_zero), weight, *shape)
    if bias is not None:
        total = total + bias.to(torch.float64).reshape(channel)
    factor = x_scale.to(torch.float64) * w_scale.to(torch.float64) / y_scale.to(torch.float64)
    factor = factor.reshape(channel) if factor.numel() > 1 else factor
    return requantized(total * factor, y_zero, target)
