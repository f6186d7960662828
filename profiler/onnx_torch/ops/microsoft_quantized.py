"""Products of integers, attention and LSTM on them: quantized operators of com.microsoft."""

from __future__ import annotations

from typing import Any

import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.microsoft import MS
from profiler.onnx_torch.ops.microsoft_attention import attend_projected, check_mask
from profiler.onnx_torch.ops.quantization import (
    dequantize_linear,
    integer_product,
    quantize_linear,
)
from profiler.onnx_torch.ops.scales import (
    centered,
    dynamically_quantized,
    integer_type,
    rounded,
)
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

op("QuantizeLinear", domain=MS)(quantize_linear)
op("DequantizeLinear", domain=MS)(dequantize_linear)


@op("QGemm", domain=MS)
def qgemm(
    context: Context,
    a: Value,
    a_scale: Value,
    a_zero: Value,
    b: Value,
    b_scale: Value,
    b_zero: Value,
    c: Value = None,
    y_scale: Value = None,
    y_zero: Value = None,
) -> Value:
    plain = y_scale is None
    settings = {
        "transposed": (context.flag("transA"), context.flag("transB")),
        "alpha": float(context.attribute("alpha", 1.0)),
        "target": 0 if plain else integer_type(context, y_zero, 8, context.onnx_type_of(0)),
    }
    values = (a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, y_zero)
    return context.call(quantized_gemm, *values, settings)


def quantized_gemm(
    a: torch.Tensor,
    a_scale: torch.Tensor,
    a_zero: torch.Tensor,
    b: torch.Tensor,
    b_scale: torch.Tensor,
    b_zero: torch.Tensor,
    c: torch.Tensor | None,
    y_scale: torch.Tensor | None,
    y_zero: torch.Tensor | None,
    settings: dict[str, Any],
) -> torch.Tensor:
    """A float32 result where no scale is given for it. `c` is in units of the product."""
    left, right = (
        x.t() if flag else x for x, flag in zip((a, b), settings["transposed"], strict=True)
    )
    total = centered(left, a_zero) @ centered(right, b_zero)
    total = total if c is None else total + c.to(torch.float64)
    y: torch.Tensor = total * (
        settings["alpha"] * a_scale.to(torch.float64) * b_scale.to(torch.float64)
    )
    if y_scale is None:
        return y.to(torch.float32)
    return rounded(y / y_scale.to(torch.float64), y_zero, settings["target"])


@op("MatMulIntegerToFloat", domain=MS)
def matmul_integer_to_float(
    context: Context,
    a: Value,
    b: Value,
    a_scale: Value,
    b_scale: Value,
    a_zero: Value = None,
    b_zero: Value = None,
    bias: Value = None,
) -> Value:
    return context.call(scaled_product, a, b, a_scale, b_scale, a_zero, b_zero, bias)


def scaled_product(
    a: torch.Tensor,
    b: torch.Tensor,
    a_scale: torch.Tensor,
    b_scale: torch.Tensor,
    a_zero: torch.Tensor | None,
    b_zero: torch.Tensor | None,
    bias: torch.Tensor | None,
) -> torch.Tensor:
    whole: torch.Tensor = integer_product(a, b, a_zero, b_zero)
    total: torch.Tensor = whole.to(a_scale.dtype) * (a_scale * b_scale)
    return total if bias is None else torch.add(total, bias)


@op("DynamicQuantizeMatMul", domain=MS)
def dynamic_matmul(
    context: Context, a: Value, b: Value, b_scale: Value, b_zero: Value = None, bias: Value = None
) -> Value:
    return context.call(dynamic_product, a, b, b_scale, b_zero, bias)


def dynamic_product(
    a: torch.Tensor,
    b: torch.Tensor,
    b_scale: torch.Tensor,
    b_zero: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Of floats that are quantized on the way."""
    whole, scale, zero = dynamically_quantized(a)
    return scaled_product(whole, b, scale, b_scale, zero, b_zero, bias)


@op("MatMulInteger16", domain=MS)
def matmul_integer16(context: Context, a: Value, b: Value) -> Value:
    return context.call(integer_product, a, b, None, None)


@op("ReduceSumInteger", domain=MS)
def reduce_sum_integer(context: Context, x: Value) -> Value:
    axes, keep = list(context.attribute("axes")), context.flag("keepdims", 1)
    return context.call(torch.sum, x, axes, keepdim=keep, dtype=torch.int32)


@op("QAttention", domain=MS)
def quantized_attention(
    context: Context,
    x: Value,
    weights: Value,
    bias: Value,
    x_scale: Value,
    w_scale: Value,
    mask: Value = None,
    x_zero: Value = None,
    w_zero: Value = None,
    past: Value = None,
) -> tuple[Value, ...]:
    check_mask(context, 5)
    product = context.call(scaled_product, x, weights, x_scale, w_scale, x_zero, w_zero, bias)
    return attend_projected(context, product, mask, past, None)


@op("DynamicQuantizeLSTM", domain=MS)
def dynamic_lstm(context: Context, *inputs: Value) -> tuple[Value, ...]:
    given = list(inputs) + [None] * (12 - len(inputs))
    x, w, r, b, lengths, hidden, cell, peepholes, *scales = given
    names = context.attribute("activations")
    direction = context.attribute("direction", "forward")
    if lengths is not None or peepholes is not None or context.attribute("clip"):
        context.refuse("lengths, peepholes or a clip")
    if context.flag("input_forget") or (names and [n.lower() for n in names][:3] != DEFAULT):
        context.refuse("these activations")
    return context.parts(
        context.call(quantized_lstm, x, w, r, b, hidden, cell, *scales, direction == "reverse")
    )


DEFAULT = ["sigmoid", "tanh", "tanh"]


def quantized_lstm(
    x: torch.Tensor,
    w: torch.Tensor,
    r: torch.Tensor,
    b: torch.Tensor | None,
    hidden: torch.Tensor | None,
    cell: torch.Tensor | None,
    w_scale: torch.Tensor,
    w_zero: torch.Tensor,
    r_scale: torch.Tensor,
    r_zero: torch.Tensor,
    backwards: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs are quantized as a whole, the state anew in each step; weights are [input, gates]."""
    outputs, last_hidden, last_cell = [], [], []
    for d in range(w.shape[0]):
        size = r.shape[1]
        projected = dynamic_product(x, w[d], w_scale[d], w_zero[d])
        if b is not None:
            projected = projected + b[d, : 4 * size] + b[d, 4 * size :]
        h = x.new_zeros(x.shape[1], size) if hidden is None else hidden[d]
        c = x.new_zeros(x.shape[1], size) if cell is None else cell[d]
        steps = range(x.shape[0])
        found: list[torch.Tensor] = []
        is_reversed = backwards or d == 1
        for t in reversed(steps) if is_reversed else steps:
            gates = projected[t] + dynamic_product(h, r[d], r_scale[d], r_zero[d])
            i, o, f, g = gates.chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            found.append(h)
        outputs.append(torch.stack(found[::-1] if is_reversed else found))
        last_hidden.append(h)
        last_cell.append(c)
    return torch.stack(outputs, 1), torch.stack(last_hidden), torch.stack(last_cell)
