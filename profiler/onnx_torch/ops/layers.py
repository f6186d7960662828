"""Convolution, pooling, normalization, matrix products."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context, Value
from profiler.onnx_torch.registry import op

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG_POOL: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _pads(context: Context, kernel: Sequence[int], spatial: int) -> tuple[list[int], list[int]]:
    """(begin, end) of each spatial dimension."""
    mode = context.attribute("auto_pad", "NOTSET")
    if mode == "VALID":
        return [0] * spatial, [0] * spatial
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        return _same_pads(context, kernel, spatial, lower=mode == "SAME_LOWER")
    pads = list(context.attribute("pads", [0] * (2 * spatial)))
    return pads[:spatial], pads[spatial:]


def _same_pads(
    context: Context, kernel: Sequence[int], spatial: int, *, lower: bool
) -> tuple[list[int], list[int]]:
    strides = context.attribute("strides", [1] * spatial)
    dilations = context.attribute("dilations", [1] * spatial)
    shape = context.shape_of(context.node.input[0])
    begin, end = [], []
    for axis in range(spatial):
        size = shape[axis + 2] if shape else None
        if size is None:
            context.refuse("auto_pad with a dynamic size")
        window = (kernel[axis] - 1) * dilations[axis] + 1
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + window - size, 0)
        small, large = total // 2, total - total // 2
        begin.append(large if lower else small)
        end.append(small if lower else large)
    return begin, end


def _padded(
    context: Context, x: Value, begin: list[int], end: list[int], fill: float
) -> tuple[Value, list[int]]:
    """Uneven padding is done beforehand; even padding is left to the layer."""
    if begin == end:
        return x, begin
    flat = [p for axis in reversed(range(len(begin))) for p in (begin[axis], end[axis])]
    return context.call(F.pad, x, flat, value=fill), [0] * len(begin)


def _shape(context: Context, position: int) -> tuple[int | None, ...]:
    shape = context.shape_of(context.node.input[position])
    if shape is None:
        context.refuse(f"input {position} of unknown shape")
    return shape


@op("Conv")
def conv(context: Context, x: Value, weight: Value, bias: Value = None) -> Value:
    shape = _shape(context, 1)
    spatial = len(shape) - 2
    kernel = context.attribute("kernel_shape") or [int(d or 0) for d in shape[2:]]
    x, padding = _padded(context, x, *_pads(context, kernel, spatial), 0.0)
    return context.call(
        CONV[spatial],
        x,
        weight,
        bias,
        stride=list(context.attribute("strides", [1] * spatial)),
        padding=padding,
        dilation=list(context.attribute("dilations", [1] * spatial)),
        groups=int(context.attribute("group", 1)),
    )


@op("ConvTranspose")
def conv_transpose(context: Context, x: Value, weight: Value, bias: Value = None) -> Value:
    shape = _shape(context, 1)
    spatial = len(shape) - 2
    if context.attribute("output_shape") or context.attribute("auto_pad", "NOTSET") != "NOTSET":
        context.refuse("output_shape or auto_pad")
    begin, end = _pads(context, [], spatial)
    extra = list(context.attribute("output_padding", [0] * spatial))
    if begin != end:
        context.refuse("uneven padding")
    return context.call(
        CONV_TRANSPOSE[spatial],
        x,
        weight,
        bias,
        stride=list(context.attribute("strides", [1] * spatial)),
        padding=begin,
        output_padding=extra,
        groups=int(context.attribute("group", 1)),
        dilation=list(context.attribute("dilations", [1] * spatial)),
    )


@op("MaxPool")
def max_pool(context: Context, x: Value) -> Value:
    kernel = list(context.attribute("kernel_shape"))
    spatial = len(kernel)
    if len(context.node.output) > 1 or context.attribute("storage_order", 0):
        context.refuse("the indices of a pooling")
    dtype = context.dtype_of(0)
    if dtype is not None and not dtype.is_floating_point:
        context.refuse("integer pooling")
    begin, end = _pads(context, kernel, spatial)
    ceil = bool(context.attribute("ceil_mode", 0))
    if any(2 * p > k for p, k in zip((*begin, *end), kernel * 2, strict=True)):
        context.refuse("padding beyond half of the kernel")
    x, padding = _padded(context, x, begin, end, float("-inf"))
    return context.call(
        MAX_POOL[spatial],
        x,
        kernel,
        list(context.attribute("strides", [1] * spatial)),
        padding,
        list(context.attribute("dilations", [1] * spatial)),
        ceil_mode=ceil,
    )


@op("AveragePool")
def average_pool(context: Context, x: Value) -> Value:
    kernel = list(context.attribute("kernel_shape"))
    spatial = len(kernel)
    if any(d != 1 for d in context.attribute("dilations", [1])):
        context.refuse("dilation")
    begin, end = _pads(context, kernel, spatial)
    include = bool(context.attribute("count_include_pad", 0))
    if begin != end and not include:
        context.refuse("uneven padding that does not count")
    if any(2 * p > k for p, k in zip(begin, kernel, strict=True)):
        context.refuse("padding beyond half of the kernel")
    x, padding = _padded(context, x, begin, end, 0.0)
    return context.call(
        AVG_POOL[spatial],
        x,
        kernel,
        list(context.attribute("strides", [1] * spatial)),
        padding,
        ceil_mode=bool(context.attribute("ceil_mode", 0)),
        count_include_pad=include,
    )


@op("GlobalAveragePool")
def global_average_pool(context: Context, x: Value) -> Value:
    return context.call(torch.mean, x, list(range(2, context.rank())), keepdim=True)


@op("GlobalMaxPool")
def global_max_pool(context: Context, x: Value) -> Value:
    return context.call(torch.amax, x, list(range(2, context.rank())), keepdim=True)


@op("BatchNormalization")
def batch_normalization(
    context: Context, x: Value, scale: Value, bias: Value, mean: Value, variance: Value
) -> Value:
    if context.attribute("training_mode", 0) or len(context.node.output) > 1:
        context.refuse("training mode")
    epsilon = float(context.attribute("epsilon", 1e-5))
    return context.call(F.batch_norm, x, mean, variance, scale, bias, eps=epsilon)


@op("InstanceNormalization")
def instance_normalization(context: Context, x: Value, scale: Value, bias: Value) -> Value:
    epsilon = float(context.attribute("epsilon", 1e-5))
    return context.call(F.instance_norm, x, weight=scale, bias=bias, eps=epsilon)


@op("GroupNormalization")
def group_normalization(context: Context, x: Value, scale: Value, bias: Value) -> Value:
    groups = int(context.attribute("num_groups"))
    if context.opset < 21:
        context.refuse("scale per group")
    return context.call(F.group_norm, x, groups, scale, bias, _epsilon(context))


def _epsilon(context: Context) -> float:
    return float(context.attribute("epsilon", 1e-5))


@op("LayerNormalization")
def layer_normalization(
    context: Context, x: Value, scale: Value, bias: Value = None
) -> Value | tuple[Value, ...]:
    shape = _shape(context, 0)
    axis = int(context.attribute("axis", -1)) % len(shape)
    sizes = shape[axis:]
    if any(size is None for size in sizes):
        context.refuse("a dynamic size that is normalized over")
    dims = [int(size) for size in sizes if size is not None]
    scale = _fitted(context, scale, dims)
    bias = None if bias is None else _fitted(context, bias, dims)
    if any(context.node.output[1:]):
        found = context.call(torch.native_layer_norm, x, dims, scale, bias, _epsilon(context))
        return tuple(context.call(operator.getitem, found, i) for i in range(3))
    return context.call(F.layer_norm, x, dims, scale, bias, _epsilon(context))


def _fitted(context: Context, value: Value, dims: list[int]) -> Value:
    """`F.layer_norm` takes weights of exactly the normalized shape."""
    if isinstance(value, np.ndarray) and list(value.shape) != dims:
        return np.array(np.broadcast_to(value, dims))
    del context
    return value


@op("RMSNormalization")
def rms_normalization(context: Context, x: Value, scale: Value) -> Value:
    shape = _shape(context, 0)
    axis = int(context.attribute("axis", -1)) % len(shape)
    if any(size is None for size in shape[axis:]):
        context.refuse("a dynamic size that is normalized over")
    dims = [int(size) for size in shape[axis:] if size is not None]
    return context.call(F.rms_norm, x, dims, _fitted(context, scale, dims), _epsilon(context))


@op("MatMul")
def matmul(context: Context, a: Value, b: Value) -> Value:
    return context.call(torch.matmul, a, b)


@op("Gemm")
def gemm(context: Context, a: Value, b: Value, c: Value = None) -> Value:
    alpha = float(context.attribute("alpha", 1.0))
    beta = float(context.attribute("beta", 1.0))
    bias = context.shape_of(context.node.input[2]) if c is not None else None
    plain = alpha == beta == 1.0 and not context.attribute("transA", 0)
    if plain and context.attribute("transB", 0) and (c is None or (bias and len(bias) == 1)):
        return context.call(F.linear, a, b, c)
    left = context.call(torch.t, a) if context.attribute("transA", 0) else a
    right = context.call(torch.t, b) if context.attribute("transB", 0) else b
    result = context.call(torch.matmul, left, right)
    if alpha != 1.0:
        result = context.call(torch.mul, result, alpha)
    if c is None:
        return result
    added = context.call(torch.mul, c, beta) if beta != 1.0 else c
    return context.call(torch.add, result, added)


@op("Einsum")
def einsum(context: Context, *values: Value) -> Value:
    return context.call(torch.einsum, context.attribute("equation"), *values)


@op("Softmax", "LogSoftmax")
def softmax(context: Context, x: Value) -> Value:
    if context.opset < 13:
        context.refuse("softmax before opset 13")
    function = F.softmax if context.node.op_type == "Softmax" else F.log_softmax
    return context.call(function, x, int(context.attribute("axis", -1)))
