"""Activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

PLAIN: dict[str, Callable[..., Any]] = {
    "Mish": F.mish,
    "Sigmoid": torch.sigmoid,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Tanh": torch.tanh,
    "HardSwish": F.hardswish,
}


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    def build(context: Context, x: Value) -> Value:
        return context.call(function, x)

    return build


for _name, _function in PLAIN.items():
    op(_name)(_plain(_function))


@op("Relu")
def relu(context: Context, x: Value) -> Value:
    return context.call(F.relu, x)


@op("Gelu")
def gelu(context: Context, x: Value) -> Value:
    return context.call(F.gelu, x, approximate=context.attribute("approximate", "none"))


@op("Elu")
def elu(context: Context, x: Value) -> Value:
    return context.call(F.elu, x, alpha=float(context.attribute("alpha", 1.0)))


@op("Celu")
def celu(context: Context, x: Value) -> Value:
    return context.call(F.celu, x, alpha=float(context.attribute("alpha", 1.0)))


@op("Selu")
def selu(context: Context, x: Value) -> Value:
    alpha = float(context.attribute("alpha", 1.67326319217681884765625))
    gamma = float(context.attribute("gamma", 1.05070102214813232421875))
    return context.call(torch.mul, context.call(F.elu, x, alpha=alpha), gamma)


@op("LeakyRelu")
def leaky_relu(context: Context, x: Value) -> Value:
    return context.call(F.leaky_relu, x, float(context.attribute("alpha", 0.01)))


@op("ThresholdedRelu")
def thresholded_relu(context: Context, x: Value) -> Value:
    return context.call(F.threshold, x, float(context.attribute("alpha", 1.0)), 0.0)


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
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return context.call(F.hardsigmoid, x)
    scaled = context.call(torch.add, context.call(torch.mul, x, alpha), beta)
    return context.call(torch.clamp, scaled, 0.0, 1.0)


@op("Swish")
def swish(context: Context, x: Value) -> Value:
    alpha = float(context.attribute("alpha", 1.0))
    if alpha == 1.0:
        return context.call(F.silu, x)
    return context.call(scaled_swish, x, alpha)


def scaled_swish(x: torch.Tensor, alpha: float) -> torch.Tensor:
    return x * torch.sigmoid(x * alpha)


@op("Shrink")
def shrink(context: Context, x: Value) -> Value:
    bias = float(context.attribute("bias", 0.0))
    return context.call(soft_shrink, x, float(context.attribute("lambd", 0.5)), bias)


def soft_shrink(x: torch.Tensor, limit: float, bias: float) -> torch.Tensor:
    """0 within the limit; outside, nearer to 0 by the bias."""
    zero = torch.zeros_like(x)
    nearer = torch.where(x > limit, (x - bias).to(x.dtype), zero)
    return torch.where(x < -limit, (x + bias).to(x.dtype), nearer)


@op("Softmax", "LogSoftmax", "Hardmax")
def softmax(context: Context, x: Value) -> Value:
    kind = context.node.op_type
    if context.opset < 13:
        return context.call(over_flattened, x, kind, int(context.attribute("axis", 1)))
    return context.call(ALONG_AXIS[kind], x, int(context.attribute("axis", -1)))


def one_at_largest(x: torch.Tensor, axis: int) -> torch.Tensor:
    """1 at the first largest element along the axis, else 0."""
    index = torch.argmax(x, axis, keepdim=True)
    return torch.zeros_like(x).scatter(axis, index, 1)


ALONG_AXIS: dict[str, Callable[..., torch.Tensor]] = {
    "Softmax": F.softmax,
    "LogSoftmax": F.log_softmax,
    "Hardmax": one_at_largest,
}


def over_flattened(x: torch.Tensor, kind: str, axis: int) -> torch.Tensor:
    """Before opset 13, the axes from `axis` on count as one."""
    axis = axis % x.dim()
    if axis == x.dim() - 1:
        return ALONG_AXIS[kind](x, -1)
    return ALONG_AXIS[kind](x.flatten(axis), -1).reshape(x.shape)


@op("Dropout")
def dropout(
    context: Context, x: Value, ratio: Value = None, training: Value = None
) -> Value | tuple[Value, ...]:
    trains = training is not None and bool(context.array(training, "training mode").any())
    if trains and (ratio is None or float(context.array(ratio, "the ratio")) != 0.0):
        context.refuse("training mode")
    if context.wants(1):
        return x, context.call(torch.ones_like, x, dtype=torch.bool)
    return x
