"""Random numbers: of the right type, shape and distribution; the values are PyTorch's own."""

from __future__ import annotations

import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import DTYPES, Value


def _dtype(context: Context, position: int | None = None) -> torch.dtype | None:
    given = context.attribute("dtype")
    if given is not None:
        return DTYPES[int(given)]
    return torch.float32 if position is None else context.dtype_of(position)


@op("RandomNormal")
def normal(context: Context) -> Value:
    shape = list(context.attribute("shape"))
    found = context.make(torch.randn, shape, dtype=_dtype(context))
    return _scaled(context, found)


@op("RandomNormalLike")
def normal_like(context: Context, x: Value) -> Value:
    return _scaled(context, context.call(torch.randn_like, x, dtype=_dtype(context, 0)))


def _scaled(context: Context, x: Value) -> Value:
    mean, scale = float(context.attribute("mean", 0.0)), float(context.attribute("scale", 1.0))
    return context.call(torch.add, context.call(torch.mul, x, scale), mean)


@op("RandomUniform")
def uniform(context: Context) -> Value:
    shape = list(context.attribute("shape"))
    return _stretched(context, context.make(torch.rand, shape, dtype=_dtype(context)))


@op("RandomUniformLike")
def uniform_like(context: Context, x: Value) -> Value:
    return _stretched(context, context.call(torch.rand_like, x, dtype=_dtype(context, 0)))


def _stretched(context: Context, x: Value) -> Value:
    low, high = float(context.attribute("low", 0.0)), float(context.attribute("high", 1.0))
    return context.call(torch.add, context.call(torch.mul, x, high - low), low)


@op("Bernoulli")
def bernoulli(context: Context, x: Value) -> Value:
    dtype = _dtype(context, 0)
    found = context.call(torch.bernoulli, x)
    return found if dtype is None else context.call(torch.ops.aten.to.dtype, found, dtype)


@op("Multinomial")
def multinomial(context: Context, x: Value) -> Value:
    dtype = DTYPES[int(context.attribute("dtype", 6))]
    count = int(context.attribute("sample_size", 1))
    return context.call(drawn, x, count, dtype)


def drawn(x: torch.Tensor, count: int, dtype: torch.dtype) -> torch.Tensor:
    """The input holds logarithms of probabilities."""
    return torch.multinomial(torch.softmax(x, -1), count, replacement=True).to(dtype)
