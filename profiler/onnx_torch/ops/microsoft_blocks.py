"""Weights in blocks of few bits (com.microsoft): PyTorch has no public operator for them."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.microsoft import MS
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value, to_array, to_tensor


@op("MatMulNBits", domain=MS)
def matmul_bits(
    context: Context,
    a: Value,
    b: Value,
    scales: Value,
    zeros: Value = None,
    order: Value = None,
    bias: Value = None,
) -> Value:
    bits = int(context.attribute("bits", 4))
    if order is not None or bits not in (2, 4, 8) or context.flag("weight_prepacked"):
        context.refuse("reordered weights, or this number of bits")
    sizes = [int(context.attribute(name)) for name in ("K", "N", "block_size")]
    known = _unpacked_once(context, b, scales, zeros, sizes, bits)
    if known is not None:
        return context.call(F.linear, a, known, bias)
    weight = context.call(unpacked_weight, b, scales, zeros, *sizes, bits)
    return context.call(F.linear, a, weight, bias)


def _unpacked_once(
    context: Context, b: Value, scales: Value, zeros: Value, sizes: list[int], bits: int
) -> Value:
    """The matrix of constants, at import; None once such matrices take half of the free memory."""
    if not isinstance(b, np.ndarray) or not isinstance(scales, np.ndarray):
        return None
    if zeros is not None and not isinstance(zeros, np.ndarray):
        return None
    k, n, block = sizes
    size_bytes = k * n * scales.itemsize
    shared = context.builder.shared
    if size_bytes > shared.spare_bytes:
        return None
    shared.spare_bytes -= size_bytes
    offsets = None if zeros is None else to_tensor(zeros)
    found = unpacked_weight(to_tensor(b), to_tensor(scales), offsets, k, n, block, bits)
    weight = to_array(found.contiguous())
    context.builder.takes_name(weight, context.node.input[1])
    return weight


def unpacked_weight(
    b: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor | None,
    k: int,
    n: int,
    block: int,
    bits: int,
) -> torch.Tensor:
    """[n, k] of the type of the scales; every block of a row has a scale and a zero point."""
    blocks = -(-k // block)
    values = unpacked(b.reshape(n, blocks, -1), bits)[..., :block].to(scales.dtype)
    if zeros is None:
        offset: torch.Tensor | float = float(2 ** (bits - 1))
    elif zeros.is_floating_point():
        offset = zeros.reshape(n, blocks, 1)
    else:
        offset = unpacked(zeros.reshape(n, -1), bits)[:, :blocks, None].to(scales.dtype)
    found = (values - offset) * scales.reshape(n, blocks, 1)
    return found.reshape(n, -1)[:, :k]


def unpacked(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """Low bits come first."""
    if bits == 8:
        return packed
    parts = [(packed >> shift) & (2**bits - 1) for shift in range(0, 8, bits)]
    return torch.stack(parts, -1).flatten(-2)


@op("GatherBlockQuantized", domain=MS)
def gather_blocks(
    context: Context, data: Value, indices: Value, scales: Value, zeros: Value = None
) -> Value:
    bits, block = int(context.attribute("bits", 4)), int(context.attribute("block_size", 128))
    rank = context.known_rank()
    axis = int(context.attribute("quantize_axis", 1))
    is_last = rank is not None and axis % rank == rank - 1
    if int(context.attribute("gather_axis", 0)) != 0 or not is_last:
        context.refuse("other axes than the first for rows and the last for blocks")
    packed = context.dtype_of(0) is torch.uint8 and bits < 8 and not _has_narrow_type(context)
    if not packed and not _has_narrow_type(context) and bits != 8:
        context.refuse("this type of data")
    return context.call(gathered_rows, data, indices, scales, zeros, block, bits, packed)


def _has_narrow_type(context: Context) -> bool:
    import onnx

    return context.onnx_type_of(0) in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4)


def gathered_rows(
    data: torch.Tensor,
    indices: torch.Tensor,
    scales: torch.Tensor,
    zeros: torch.Tensor | None,
    block: int,
    bits: int,
    packed: bool,
) -> torch.Tensor:
    """Rows are unpacked after they are chosen."""
    picks = torch.where(indices < 0, indices + data.shape[0], indices)
    values = unpacked(data[picks], bits) if packed else data[picks]
    factor = scales[picks].repeat_interleave(block, -1)[..., : values.shape[-1]]
    if zeros is None:
        offset: torch.Tensor | float = float(2 ** (bits - 1)) if not data.dtype.is_signed else 0.0
    else:
        rows = unpacked(zeros[picks], bits) if packed else zeros[picks]
        rows = rows[..., : scales.shape[-1]]
        offset = rows.repeat_interleave(block, -1)[..., : values.shape[-1]].to(scales.dtype)
    return (values.to(scales.dtype) - offset) * factor
