"""Integers that PyTorch stores but does not compute with: uint16, uint32, uint64."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from profiler.onnx_torch.context import Context

UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
WIDER = {torch.uint16: torch.int32, torch.uint32: torch.int64}
SIGN = -(2**63)
COMPARES = (torch.gt, torch.ge, torch.lt, torch.le, torch.eq)


def on_any_integers(context: Context, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, or a form of it that also takes wide unsigned integers where it gets such."""
    types = {context.dtype_of(i) for i in range(len(context.node.input))}
    return widened(function) if types & set(UNSIGNED) else function


@functools.cache
def widened(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function on signed integers that hold the values, and back."""

    @functools.wraps(function)
    def call(*tensors: Any, **keywords: Any) -> Any:
        dtype = next(t.dtype for t in tensors if isinstance(t, torch.Tensor))
        if dtype is torch.uint64:
            return _on_64_bits(function, *tensors, **keywords)
        wide = [_wide(t) for t in tensors]
        found = function(*wide, **keywords)
        return found.to(dtype) if found.dtype in WIDER.values() else found

    # Not PyTorch's: the code of a GraphModule names functions by their module.
    call.__module__ = __name__
    call.__name__ = call.__qualname__ = f"wide_{getattr(function, '__name__', 'call')}"
    return call


def _wide(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.dtype in WIDER:
        return value.to(WIDER[value.dtype])
    return value


def _on_64_bits(function: Callable[..., Any], *tensors: Any, **keywords: Any) -> Any:
    """By the bits in int64; the sign bit is flipped where order matters."""
    signed = [t.view(torch.int64) if isinstance(t, torch.Tensor) else t for t in tensors]
    if function in COMPARES:
        return function(*(t ^ SIGN for t in signed), **keywords)
    if function in (torch.maximum, torch.minimum):
        return (function(*(t ^ SIGN for t in signed)) ^ SIGN).view(torch.uint64)
    if function in (torch.remainder, torch.fmod):
        a, b = signed
        return (a - unsigned_quotient(a, b) * b).view(torch.uint64)
    if getattr(function, "__name__", "") == "divide":
        return unsigned_quotient(*signed).view(torch.uint64)
    return function(*signed, **keywords).view(torch.uint64)


def unsigned_quotient(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a / b of unsigned numbers that int64 carries (Warren, Hacker's Delight, 9-3)."""
    half = (a >> 1) & (2**63 - 1)
    quotient = torch.div(half, torch.where(b > 0, b, 1), rounding_mode="trunc") << 1
    rest = a - quotient * b
    quotient = quotient + ((rest ^ SIGN) >= (b ^ SIGN)).to(torch.int64)
    return torch.where(b < 0, ((a ^ SIGN) >= (b ^ SIGN)).to(torch.int64), quotient)
