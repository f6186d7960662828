"""Operators of com.microsoft that ONNX Runtime's optimizer fuses others into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.convolution import conv
from profiler.onnx_torch.ops.indexing import gather_nd
from profiler.onnx_torch.ops.movement import pad, trilu
from profiler.onnx_torch.ops.pooling import max_pool
from profiler.onnx_torch.ops.products import gemm
from profiler.onnx_torch.ops.recurrent import CONSTANTS, FUNCTIONS
from profiler.onnx_torch.ops.shapes import range_
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

MS = "com.microsoft"

# The same operators as in ONNX, from before ONNX had them.
for _name, _handler in (
    ("GatherND", gather_nd),
    ("Pad", pad),
    ("Range", range_),
    ("Trilu", trilu),
):
    op(_name, domain=MS)(_handler)


@op("Inverse", domain=MS)
def inverse(context: Context, x: Value) -> Value:
    return context.call(torch.linalg.inv, x)


@op("ExpandDims", domain=MS)
def expand_dims(context: Context, x: Value, axis: Value) -> Value:
    return context.call(torch.unsqueeze, x, context.number(axis))


@op("SampleOp", domain=MS)
def sample(context: Context, x: Value) -> Value:
    del context
    return x


@op("Gelu", domain=MS)
def gelu(context: Context, x: Value) -> Value:
    return context.call(F.gelu, x)


@op("FastGelu", domain=MS)
def fast_gelu(context: Context, x: Value, bias: Value = None) -> Value:
    total = context.call(torch.add, x, bias) if bias is not None else x
    return context.call(F.gelu, total, approximate="tanh")


@op("QuickGelu", domain=MS)
def quick_gelu(context: Context, x: Value) -> Value:
    alpha = float(context.attribute("alpha", 1.702))
    return context.call(F.silu, x) if alpha == 1.0 else context.call(scaled_swish, x, alpha)


@op("BiasGelu", domain=MS)
def bias_gelu(context: Context, x: Value, bias: Value) -> Value:
    return context.call(F.gelu, context.call(torch.add, x, bias))


@op("BiasSplitGelu", domain=MS)
def bias_split_gelu(context: Context, x: Value, bias: Value) -> Value:
    return context.call(gated_gelu, x, bias)


def gated_gelu(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    values, gates = (x + bias).chunk(2, -1)
    return values * F.gelu(gates)


@op("BiasAdd", domain=MS)
def bias_add(context: Context, x: Value, bias: Value, skip: Value) -> Value:
    return context.call(torch.add, context.call(torch.add, x, bias), skip)


@op("BiasDropout", domain=MS)
def bias_dropout(
    context: Context,
    x: Value,
    bias: Value,
    residual: Value = None,
    ratio: Value = None,
    training: Value = None,
) -> Value:
    del ratio
    if context.wants(1) or (
        training is not None and context.array(training, "training mode").any()
    ):
        context.refuse("training mode")
    total = context.call(torch.add, x, bias)
    return context.call(torch.add, total, residual) if residual is not None else total


@op("BiasSoftmax", domain=MS)
def bias_softmax(context: Context, x: Value, bias: Value) -> Value:
    if context.flag("is_inner_broadcast", 1) and context.known_rank(0) != context.known_rank(1):
        context.refuse("a bias of another rank")
    axis = int(context.attribute("axis", 1))
    return context.call(softmax_from, context.call(torch.add, x, bias), axis)


def softmax_from(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Over all axes from `axis` on."""
    return F.softmax(x.flatten(axis), -1).reshape(x.shape)


@op("FusedMatMul", "TransposeMatMul", domain=MS)
def fused_matmul(context: Context, a: Value, b: Value) -> Value:
    sides = []
    for side, value, position in (("A", a, 0), ("B", b, 1)):
        moved = value
        if context.flag(f"transBatch{side}"):
            moved = context.call(torch.movedim, moved, 0, -2)
        if context.flag(f"trans{side}") and context.known_rank(position) != 1:
            moved = context.call(torch.transpose, moved, -1, -2)
        sides.append(moved)
    found = context.call(torch.matmul, *sides)
    alpha = float(context.attribute("alpha", 1.0))
    return found if alpha == 1.0 else context.call(torch.mul, found, alpha)


def activated(
    context: Context, x: Value, name: str, parameters: Sequence[float | None] = ()
) -> Value:
    """An activation that was fused into another operator; a parameter may be left out."""
    plain: dict[str, Callable[..., Any]] = {
        "Relu": F.relu,
        "Sigmoid": torch.sigmoid,
        "Tanh": torch.tanh,
        "Softplus": F.softplus,
        "Softsign": F.softsign,
        "Gelu": F.gelu,
    }
    key = name.lower()
    if name in plain:
        return context.call(plain[name], x)
    alpha, beta = (*parameters, None, None)[:2]
    if name == "Clip":
        return context.call(torch.clamp, x, alpha, beta)
    if name == "HardSwish":
        return context.call(F.hardswish, x)
    if name == "QuickGelu" and alpha is not None:
        return context.call(scaled_swish, x, alpha)
    if key not in FUNCTIONS:
        context.refuse(f"activation {name}")
    first, second = CONSTANTS.get(key, (0.0, 0.0))
    alpha, beta = first if alpha is None else alpha, second if beta is None else beta
    return context.call(by_name, x, key, alpha, beta)


def _alpha_and_beta(context: Context) -> list[float | None]:
    found = [context.attribute(f"activation_{name}") for name in ("alpha", "beta")]
    return [None if value is None else float(value) for value in found]


def by_name(x: torch.Tensor, name: str, alpha: float, beta: float) -> torch.Tensor:
    return FUNCTIONS[name](x, alpha, beta)


def scaled_swish(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return x * torch.sigmoid(x * alpha)


@op("FusedMatMulActivation", domain=MS)
def matmul_activation(context: Context, a: Value, b: Value) -> Value:
    product = fused_matmul(context, a, b)
    return activated(context, product, context.attribute("activation"), _alpha_and_beta(context))


@op("FusedGemm", domain=MS)
def fused_gemm(context: Context, a: Value, b: Value, c: Value = None) -> Value:
    found: Value = gemm(context, a, b, c)
    name = context.attribute("activation")
    return activated(context, found, name, _alpha_and_beta(context)) if name else found


@op("GemmFastGelu", domain=MS)
def gemm_fast_gelu(context: Context, a: Value, b: Value, bias: Value = None) -> Value:
    found: Value = fast_gelu(context, context.call(torch.matmul, a, b), bias)
    return found


@op("FusedConv", domain=MS)
def fused_conv(
    context: Context, x: Value, weight: Value, bias: Value = None, added: Value = None
) -> Value:
    found: Value = conv(context, x, weight, bias)
    if added is not None:
        found = context.call(torch.add, found, added)
    name = context.attribute("activation")
    parameters = list(context.attribute("activation_params") or [])
    return activated(context, found, name, parameters) if name else found


@op("NhwcConv", "NhwcFusedConv", domain=MS)
def nhwc_conv(
    context: Context, x: Value, weight: Value, bias: Value = None, added: Value = None
) -> Value:
    shape, kernel = context.shape(0), context.shape(1)
    channels = shape[-1] if shape else None
    if channels is None or kernel is None or len(kernel) != 4:
        context.refuse("an input of unknown channels")
    group = int(context.attribute("group", 1))
    first, last = (kernel[i] == channels // group for i in (1, 3))
    if first == last:
        context.refuse("a weight whose layout can't be told")
    moved = context.call(torch.permute, weight, [0, 3, 1, 2]) if last else weight
    inner = context.call(torch.permute, x, [0, 3, 1, 2])
    rest = context.call(torch.permute, added, [0, 3, 1, 2]) if added is not None else None
    found: Value = fused_conv(context, inner, moved, bias, rest)
    return context.call(torch.permute, found, [0, 2, 3, 1])


@op("NhwcMaxPool", domain=MS)
def nhwc_max_pool(context: Context, x: Value) -> Value:
    found = max_pool(context, context.call(channels_first, x))
    return context.call(channels_last, found[0] if isinstance(found, tuple) else found)


def channels_first(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(-1, 1)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.movedim(1, -1)


@op("UnfoldTensor", domain=MS)
def unfold(context: Context, x: Value) -> Value:
    axis, step = int(context.attribute("dim", -1)), int(context.attribute("step", 1))
    return context.call(torch.Tensor.unfold, x, axis, int(context.attribute("size")), step)


@op("ComplexMul", "ComplexMulConj", domain=MS)
def complex_product(context: Context, a: Value, b: Value) -> Value:
    return context.call(product_of_pairs, a, b, context.node.op_type == "ComplexMulConj")


def product_of_pairs(a: torch.Tensor, b: torch.Tensor, conjugate: bool) -> torch.Tensor:
    """The last dimension holds real and imaginary part."""
    left, right = torch.view_as_complex(a.contiguous()), torch.view_as_complex(b.contiguous())
    return torch.view_as_real(left * (right.conj() if conjugate else right).resolve_conj())
