"""Normalizations."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import DTYPES, Value


def epsilon_of(context: Context, default: float = 1e-5) -> float:
    return float(context.attribute("epsilon", default))


@op("BatchNormalization")
def batch_normalization(
    context: Context, x: Value, scale: Value, bias: Value, mean: Value, variance: Value
) -> Value | tuple[Value, ...]:
    trains = context.flag("training_mode") or any(context.node.output[1:])
    if not trains:
        epsilon = epsilon_of(context)
        return context.call(F.batch_norm, x, mean, variance, scale, bias, eps=epsilon)
    if context.opset < 14 or len(context.node.output) > 3:
        context.refuse("training mode before opset 14")
    momentum = float(context.attribute("momentum", 0.9))
    found = context.call(
        batch_norm_training, x, scale, bias, mean, variance, momentum, epsilon_of(context)
    )
    return context.parts(found)


def batch_norm_training(
    x: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    momentum: float,
    epsilon: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """By the batch's own statistics, with the running ones moved towards them."""
    axes = [0, *range(2, x.dim())]
    now_mean, now_var = x.mean(axes), x.var(axes, correction=0)
    y = F.batch_norm(x, now_mean, now_var, scale, bias, eps=epsilon)
    keep = 1 - momentum
    return y, mean * momentum + now_mean * keep, variance * momentum + now_var * keep


@op("InstanceNormalization")
def instance_normalization(context: Context, x: Value, scale: Value, bias: Value) -> Value:
    return context.call(F.instance_norm, x, weight=scale, bias=bias, eps=epsilon_of(context))


@op("GroupNormalization")
def group_normalization(context: Context, x: Value, scale: Value, bias: Value) -> Value:
    groups = int(context.attribute("num_groups"))
    if context.opset < 21:
        return context.call(scaled_by_group, x, groups, scale, bias, epsilon_of(context))
    return context.call(F.group_norm, x, groups, scale, bias, epsilon_of(context))


def scaled_by_group(
    x: torch.Tensor, groups: int, scale: torch.Tensor, bias: torch.Tensor, epsilon: float
) -> torch.Tensor:
    """Before opset 21 there is one weight a group, not one a channel."""
    each = x.shape[1] // groups
    weights = (scale.repeat_interleave(each), bias.repeat_interleave(each))
    return F.group_norm(x, groups, *weights, epsilon)


def _known_sizes(context: Context) -> list[int] | None:
    """Sizes that are normalized over, when all are known."""
    shape = context.shape()
    if not shape:
        return None
    sizes = shape[int(context.attribute("axis", -1)) % len(shape) :]
    return None if None in sizes else [int(size) for size in sizes if size is not None]


def _fitted(value: Value, dims: list[int]) -> Value:
    """`F.layer_norm` takes weights of exactly the normalized shape."""
    if isinstance(value, np.ndarray) and list(value.shape) != dims:
        return np.array(np.broadcast_to(value, dims))
    return value


@op("LayerNormalization")
def layer_normalization(
    context: Context, x: Value, scale: Value, bias: Value = None
) -> Value | tuple[Value, ...]:
    stash = DTYPES.get(int(context.attribute("stash_type", 1)), torch.float32)
    dims, dtype = _known_sizes(context), context.dtype_of(0)
    plain = isinstance(scale, np.ndarray) and (bias is None or isinstance(bias, np.ndarray))
    epsilon = epsilon_of(context)
    if dims is not None and plain and (dtype is stash or dtype in (torch.float16, torch.bfloat16)):
        weights = [_fitted(scale, dims), None if bias is None else _fitted(bias, dims)]
        if not any(context.node.output[1:]):
            return context.call(F.layer_norm, x, dims, *weights, epsilon)
        if dtype is stash:
            found = context.call(torch.native_layer_norm, x, dims, *weights, epsilon)
            return tuple(context.call(operator.getitem, found, i) for i in range(3))
    axis = int(context.attribute("axis", -1))
    found = context.call(layer_norm_parts, x, scale, bias, axis, epsilon, stash)
    return context.parts(found, 3)


def layer_norm_parts(
    x: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor | None,
    axis: int,
    epsilon: float,
    stash: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The result, the mean, and 1 / standard deviation; computed in `stash`."""
    axes = list(range(axis % x.dim(), x.dim()))
    wide = x.to(stash)
    mean = wide.mean(axes, keepdim=True)
    centered = wide - mean
    inverse = torch.rsqrt((centered * centered).mean(axes, keepdim=True) + epsilon)
    y = (centered * inverse).to(x.dtype) * scale
    return (y if bias is None else y + bias), mean, inverse


@op("RMSNormalization")
def rms_normalization(context: Context, x: Value, scale: Value) -> Value:
    dims, dtype = _known_sizes(context), context.dtype_of(0)
    if dims is not None and isinstance(scale, np.ndarray) and dtype is torch.float32:
        return context.call(F.rms_norm, x, dims, _fitted(scale, dims), epsilon_of(context))
    stash = DTYPES.get(int(context.attribute("stash_type", 1)), torch.float32)
    axis = int(context.attribute("axis", -1))
    return context.call(rms_norm_parts, x, scale, axis, epsilon_of(context), stash)


def rms_norm_parts(
    x: torch.Tensor, scale: torch.Tensor, axis: int, epsilon: float, stash: torch.dtype
) -> torch.Tensor:
    axes = list(range(axis % x.dim(), x.dim()))
    wide = x.to(stash)
    inverse = torch.rsqrt((wide * wide).mean(axes, keepdim=True) + epsilon)
    return (wide * inverse).to(x.dtype) * scale


@op("LpNormalization")
def lp_normalization(context: Context, x: Value) -> Value:
    p, axis = int(context.attribute("p", 2)), int(context.attribute("axis", -1))
    return context.call(over_norm, x, p, axis)


def over_norm(x: torch.Tensor, p: int, axis: int) -> torch.Tensor:
    """A norm of 0 gives 0."""
    norm = torch.linalg.vector_norm(x, ord=p, dim=axis, keepdim=True)
    return torch.where(norm == 0, 0.0, x / norm).to(x.dtype)


@op("LRN")
def local_response(context: Context, x: Value) -> Value:
    named: dict[str, Any] = {
        "size": int(context.attribute("size")),
        "alpha": float(context.attribute("alpha", 1e-4)),
        "beta": float(context.attribute("beta", 0.75)),
        "k": float(context.attribute("bias", 1.0)),
    }
    return context.call(over_neighbours, x, **named)


def over_neighbours(
    x: torch.Tensor, size: int, alpha: float, beta: float, k: float
) -> torch.Tensor:
    """Channels around each; an even size has one more after it than before."""
    square = (x * x).flatten(2).transpose(1, 2)
    before = (size - 1) // 2
    padded = F.pad(square, (before, size - 1 - before))
    total = padded.unfold(-1, size, 1).sum(-1).transpose(1, 2).reshape(x.shape)
    return x / (k + alpha / size * total) ** beta


@op("MeanVarianceNormalization")
def mean_variance_normalization(context: Context, x: Value) -> Value:
    return context.call(standardized, x, list(context.attribute("axes", [0, 2, 3])))


def standardized(x: torch.Tensor, axes: list[int]) -> torch.Tensor:
    """ONNX's definition, with its small number added to the deviation."""
    mean = x.mean(axes, keepdim=True)
    deviation = ((x * x).mean(axes, keepdim=True) - mean * mean).sqrt()
    return (x - mean) / (deviation + 1e-9)
