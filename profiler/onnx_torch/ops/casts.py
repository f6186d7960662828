"""Changes of type, with the rounding and saturation that ONNX prescribes."""

from __future__ import annotations

import operator

import numpy as np
import onnx
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.folding import MAX_ELEMENTS
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import TORCH_TYPES, ShapeValue, Value, to_array, to_tensor

T = onnx.TensorProto
# (bits, signed) of the integers that PyTorch holds in a wider type.
NARROW: dict[int, tuple[int, bool]] = {
    T.INT4: (4, True),
    T.UINT4: (4, False),
    T.INT2: (2, True),
    T.UINT2: (2, False),
}
FLOAT8 = (
    torch.float8_e4m3fn,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2,
    torch.float8_e5m2fnuz,
)
WITHOUT_INFINITY = (torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)


@op("Cast")
def cast(context: Context, x: Value) -> Value:
    return cast_to(context, x, int(context.attribute("to")))


@op("CastLike")
def cast_like(context: Context, x: Value, like: Value) -> Value:
    del like
    target = context.onnx_type_of(1)
    if not target:
        context.refuse("a cast to an unknown type")
    return cast_to(context, x, target)


def cast_to(context: Context, x: Value, target: int) -> Value:
    dtype = TORCH_TYPES.get(target)
    if dtype is None or context.onnx_type_of(0) == T.STRING:
        context.refuse("a cast from or to this type")
    if isinstance(x, ShapeValue) and x.dtype is not torch.bool and target in (T.INT64, T.INT32):
        return ShapeValue(x.dims, x.scalar, dtype)
    if isinstance(x, ShapeValue) and target == T.BOOL:
        zero = np.array(0 if x.scalar else [0], dtype=np.int64)
        return x if x.dtype is torch.bool else context.comparison(operator.ne, x, zero)
    if target in NARROW:
        return context.call(to_narrow, x, *NARROW[target], dtype)
    if target == T.FLOAT4E2M1:
        return context.call(to_float4, x)
    if target == T.FLOAT8E8M0:
        if not context.flag("saturate", 1):
            context.refuse("a cast to float8e8m0 without saturation")
        return context.call(to_e8m0, x, context.attribute("round_mode", "up"))
    if dtype in FLOAT8:
        return context.call(to_float8, x, dtype, context.flag("saturate", 1))
    if isinstance(x, np.ndarray) and x.size <= MAX_ELEMENTS:
        # The type of what is beside it may be known where its value is not.
        return to_array(to_tensor(x).to(dtype))
    return context.call(torch.ops.aten.to.dtype, x, dtype)


def to_narrow(x: torch.Tensor, bits: int, signed: bool, dtype: torch.dtype) -> torch.Tensor:
    """Floats are rounded; then the lowest bits stay, as ONNX's cast of integers does."""
    count = 2**bits
    whole = torch.round(x.to(torch.float32)) if x.is_floating_point() else x
    wrapped = torch.remainder(whole.to(torch.int32), count)
    if signed:
        wrapped = torch.where(wrapped >= count // 2, wrapped - count, wrapped)
    return wrapped.to(dtype)


def to_float8(x: torch.Tensor, dtype: torch.dtype, saturate: bool) -> torch.Tensor:
    """Beyond the largest value: that value when it saturates, else infinity or NaN."""
    wide = x.to(torch.float32)
    largest = torch.finfo(dtype).max
    if saturate:
        return wide.clamp(-largest, largest).to(dtype)
    if dtype in WITHOUT_INFINITY:
        # Values that round to the largest are in range still.
        over = wide.abs() > largest + _half_step(dtype)
        return torch.where(over, torch.nan, wide.clamp(-largest, largest)).to(dtype)
    return wide.to(dtype)


def _half_step(dtype: torch.dtype) -> float:
    """Half of the distance of the two largest values."""
    mantissa = 3 if dtype in (torch.float8_e4m3fn, torch.float8_e4m3fnuz) else 2
    exponent = {448.0: 8, 240.0: 7, 57344.0: 15}[torch.finfo(dtype).max]
    return float(2.0 ** (exponent - mantissa - 1))


FLOAT4 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
# Where two values meet, the one with an even mantissa is taken.
FLOAT4_TIES = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)


def to_float4(x: torch.Tensor) -> torch.Tensor:
    """The nearest float4e2m1, held as float8e4m3fn, which has all of its values."""
    wide = x.to(torch.float32)
    size = wide.abs()
    index = torch.zeros_like(size, dtype=torch.int64)
    for position, tie in enumerate(FLOAT4_TIES):
        above = size >= tie if position % 2 else size > tie
        index = index + above.to(torch.int64)
    values = torch.tensor(FLOAT4, device=x.device)[index]
    # The type has no NaN; ONNX's reference makes it a zero of the other sign.
    is_nan = torch.isnan(wide)
    values = torch.where(is_nan, 0.0, values)
    signs = torch.where(torch.signbit(wide) ^ is_nan, -1.0, 1.0)
    return torch.copysign(values, signs).to(torch.float8_e4m3fn)


def to_e8m0(x: torch.Tensor, mode: str) -> torch.Tensor:
    """A power of two; zero and what is too small become the smallest."""
    wide = x.to(torch.float32)
    bits = wide.abs().view(torch.int32)
    exponent, mantissa = bits >> 23, bits & 0x7FFFFF
    if mode == "up":
        raised = mantissa > 0
    elif mode == "nearest":
        raised = (mantissa > 0x400000) | ((mantissa == 0x400000) & (exponent % 2 == 1))
    else:
        raised = torch.zeros_like(mantissa, dtype=torch.bool)
    small = (exponent == 0) & (mantissa <= 0x400000)
    found = (exponent + (raised & ~small).to(torch.int32)).clamp(0, 254)
    found = torch.where(torch.isnan(wide), 255, found)
    return found.to(torch.uint8).view(torch.float8_e8m0fnu)


@op("BitCast")
def bit_cast(context: Context, x: Value) -> Value:
    dtype = TORCH_TYPES.get(int(context.attribute("to")))
    source = context.dtype_of(0)
    if dtype is None or source is None:
        context.refuse("a cast from or to this type")
    return context.call(view_bits, x, dtype)


def view_bits(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The same bits as another type; PyTorch views no scalar as a type of another size."""
    return x.contiguous().view(dtype)
