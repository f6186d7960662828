"""Scales and zero points: the one place that reads, spreads and applies them."""

from __future__ import annotations

import onnx
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.casts import to_float4, to_float8
from profiler.onnx_torch.values import TORCH_TYPES, Value

T = onnx.TensorProto
# (lowest, highest) of the types that are held in a wider one.
RANGES: dict[int, tuple[int, int]] = {
    T.INT4: (-8, 7),
    T.UINT4: (0, 15),
    T.INT2: (-2, 1),
    T.UINT2: (0, 3),
}


def result_type(context: Context, zero: Value, position: int, default: int = 0) -> int:
    """ONNX's type of a quantized result: that of its zero point, which is input `position`.

    `default` is the type without a zero point. Raises ConversionError where it isn't known.
    """
    target = default if zero is None else context.onnx_type_of(position)
    if target not in TORCH_TYPES:
        context.refuse("a result whose type is not known")
    return target


def integer_type(context: Context, zero: Value, position: int, default: int = 0) -> int:
    """As `result_type`, of an operator that `rounded` ends."""
    target = result_type(context, zero, position, default)
    if target not in RANGES and TORCH_TYPES[target].is_floating_point:
        context.refuse("a quantized float type")
    return target


def along(values: torch.Tensor, rank: int, axis: int) -> torch.Tensor:
    """One for all, or one for each place of the axis: in a shape that broadcasts over `rank`."""
    if values.dim() == 1 and values.shape[0] == 1:
        return values.reshape(())
    if values.dim() != 1 or rank < 2:
        return values
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def _spread(values: torch.Tensor, x: torch.Tensor, axis: int, block: int) -> torch.Tensor:
    """As `along`, or one for each block of the axis."""
    if block and values.dim():
        found = values.repeat_interleave(block, axis)
        return found.narrow(axis, 0, x.shape[axis])
    return along(values, x.dim(), axis)


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
    """x / scale, rounded half to even, + zero point, within the range of the type."""
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
    return rounded(y, None if zero is None else _spread(zero, x, axis, block), target)


def rounded(y: torch.Tensor, zero: torch.Tensor | None, target: int) -> torch.Tensor:
    """Half to even, + zero point, within the range of an integer type.

    NaN, as of a scale that overflows, becomes the lowest number: as ONNX Runtime does it.
    """
    dtype = TORCH_TYPES[target]
    info = torch.iinfo(dtype)
    low, high = RANGES.get(target, (info.min, info.max))
    y = torch.round(y)
    wide = y if y.dtype is torch.float64 else y.to(torch.float32)
    if zero is not None:
        wide = wide + zero.to(wide.dtype)
    return wide.nan_to_num(nan=low).clamp(low, high).to(dtype)


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


def dynamically_quantized(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """uint8 over the range of the values, which is made to hold 0."""
    low, high = x.amin().clamp(max=0.0), x.amax().clamp(min=0.0)
    scale = (high - low) / 255
    # All zeros: any scale does.
    divisor = torch.where(scale == 0, 1.0, scale)
    zero = torch.round(torch.clamp(-low / divisor, 0, 255))
    return rounded(x / divisor, zero, T.UINT8), scale, zero.to(torch.uint8)


def centered(x: torch.Tensor, zero: torch.Tensor | None, axis: int = -1) -> torch.Tensor:
    """x - zero point (one for each place of the axis), as float64 holds it exactly for sums."""
    wide = x.to(torch.float64)
    return wide if zero is None else wide - along(zero, x.dim(), axis).to(torch.float64)
