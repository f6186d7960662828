"""Matrix products."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value


@op("MatMul")
def matmul(context: Context, a: Value, b: Value) -> Value:
    return context.call(matmul_any if _is_integer(context) else torch.matmul, a, b)


def _is_integer(context: Context) -> bool:
    return context.dtype_of(0) in (torch.uint32, torch.uint64)


def matmul_any(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Of unsigned integers, by their bits in int64."""
    return torch.matmul(a.to(torch.int64), b.to(torch.int64)).to(a.dtype)


@op("Gemm")
def gemm(context: Context, a: Value, b: Value, c: Value = None) -> Value:
    alpha = float(context.attribute("alpha", 1.0))
    beta = float(context.attribute("beta", 1.0))
    return general_product(
        context, a, b, c, (alpha, beta), (context.flag("transA"), context.flag("transB"))
    )


def general_product(
    context: Context,
    a: Value,
    b: Value,
    c: Value,
    factors: tuple[float, float],
    transposed: tuple[bool, bool],
) -> Value:
    """alpha * A B + beta * C, as `linear` or `addmm` where it is one."""
    alpha, beta = factors
    bias = context.shape(2) if c is not None else None
    is_vector = bias is not None and len(bias) == 1
    if is_vector and bias and bias[0] == 1:
        # `linear` takes a bias of one number only for one feature.
        is_vector = False
    if alpha == beta == 1.0 and not transposed[0] and (c is None or is_vector):
        if transposed[1]:
            return context.call(F.linear, a, b, c)
        if isinstance(b, np.ndarray):
            return context.call(torch.mm, a, b) if c is None else context.call(torch.addmm, c, a, b)
    left = context.call(torch.t, a) if transposed[0] else a
    right = context.call(torch.t, b) if transposed[1] else b
    result = context.call(torch.matmul, left, right)
    if alpha != 1.0:
        result = context.call(torch.mul, result, alpha)
    if c is None:
        return result
    added = context.call(torch.mul, c, beta) if beta != 1.0 else c
    return context.call(torch.add, result, added)
