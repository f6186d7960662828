"""Attention, MultiHeadAttention and RotaryEmbedding of com.microsoft."""

from __future__ import annotations

from typing import Any

import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.attention import attend, merge_heads, rotated, split_heads
from profiler.onnx_torch.ops.microsoft import MS
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

Tensors = tuple[torch.Tensor, ...]


def _settings(context: Context) -> dict[str, Any]:
    scale = float(context.attribute("scale", 0.0))
    return {
        "heads": int(context.attribute("num_heads")),
        "causal": context.flag("unidirectional"),
        "masked": float(context.attribute("mask_filter_value", -10000.0)),
        "scale": scale or None,
    }


@op("Attention", domain=MS)
def attention(
    context: Context,
    x: Value,
    weights: Value,
    bias: Value = None,
    mask: Value = None,
    past: Value = None,
    added: Value = None,
    past_length: Value = None,
) -> Value | tuple[Value, ...]:
    if past_length is not None or context.flag("do_rotary"):
        context.refuse("a shared buffer, or a rotary embedding")
    check_mask(context, 3)
    product = context.call(torch.matmul, x, weights)
    product = context.call(torch.add, product, bias) if bias is not None else product
    return attend_projected(context, product, mask, past, added)


def attend_projected(
    context: Context, product: Value, mask: Value, past: Value, added: Value
) -> tuple[Value, ...]:
    """From queries, keys and values in one tensor."""
    sizes = list(context.attribute("qkv_hidden_sizes") or [])
    found = context.call(attend_packed, product, mask, past, added, sizes, _settings(context))
    return context.parts(found, 2)


def check_mask(context: Context, position: int) -> None:
    """A mask of another rank than is known would be taken for one that is."""
    inputs = context.node.input
    if len(inputs) <= position or not inputs[position]:
        return
    shape = context.shape(position)
    if shape is None or len(shape) not in (1, 2, 3):
        context.refuse("a mask of this rank")


def attend_packed(
    product: torch.Tensor,
    mask: torch.Tensor | None,
    past: torch.Tensor | None,
    added: torch.Tensor | None,
    sizes: list[int],
    settings: dict[str, Any],
) -> Tensors:
    """[batch, steps, queries + keys + values]."""
    width = product.shape[-1] // 3
    parts = torch.split(product, sizes or [width] * 3, -1)
    q, k, v = (split_heads(part, settings["heads"]) for part in parts)
    before = past.shape[3] if past is not None else 0
    if past is not None:
        k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
    bias = additive_mask(mask, q, k, before, settings)
    bias = added if bias is None else bias if added is None else bias + added
    y, _ = attend(q, k, v, bias, scale=settings["scale"])
    # Keys and values may have different sizes: then there is no present to give.
    present = torch.stack((k, v)) if k.shape == v.shape else k
    return merge_heads(y), present


def additive_mask(
    mask: torch.Tensor | None,
    q: torch.Tensor,
    k: torch.Tensor,
    before: int,
    settings: dict[str, Any],
) -> torch.Tensor | None:
    """ONNX Runtime adds `mask_filter_value` to what is masked, once for each reason."""
    batch, queries, keys = q.shape[0], q.shape[2], k.shape[2]
    column = torch.arange(keys, device=q.device)
    bias: torch.Tensor | None = None
    if mask is not None:
        if mask.dim() == 1 and mask.shape[0] == batch:
            kept = column[None, None, None] < mask.reshape(-1, 1, 1, 1)
        elif mask.dim() == 1:
            # Ends of all sequences, then starts.
            ends, starts = (m.reshape(-1, 1, 1, 1) for m in mask[: 2 * batch].chunk(2))
            kept = (column < ends) & (column >= starts)
        else:
            kept = (mask > 0)[:, None, None] if mask.dim() == 2 else (mask > 0)[:, None]
        bias = torch.where(kept, 0.0, settings["masked"])
    if settings["causal"] and queries > 1:
        row = torch.arange(queries, device=q.device)[:, None]
        later = torch.where(column <= row + before, 0.0, settings["masked"])
        bias = later if bias is None else bias + later
    return bias


@op("MultiHeadAttention", domain=MS)
def multi_head_attention(
    context: Context,
    q: Value,
    k: Value = None,
    v: Value = None,
    bias: Value = None,
    mask: Value = None,
    added: Value = None,
    past_key: Value = None,
    past_value: Value = None,
    past_length: Value = None,
    indirection: Value = None,
) -> Value | tuple[Value, ...]:
    if past_length is not None or indirection is not None or context.wants(3):
        context.refuse("a shared buffer, a beam, or the scores")
    check_mask(context, 4)
    values = (q, k, v, bias, mask, added, past_key, past_value)
    return context.parts(context.call(attend_heads, *values, _settings(context)), 3)


def attend_heads(
    q: torch.Tensor,
    k: torch.Tensor | None,
    v: torch.Tensor | None,
    bias: torch.Tensor | None,
    mask: torch.Tensor | None,
    added: torch.Tensor | None,
    past_key: torch.Tensor | None,
    past_value: torch.Tensor | None,
    settings: dict[str, Any],
) -> Tensors:
    """The result, keys and values with those of the past."""
    q, k, v = _three(q, k, v, bias, settings["heads"])
    before = 0
    if past_key is not None and past_value is not None:
        before = past_key.shape[2]
        k, v = torch.cat((past_key, k), 2), torch.cat((past_value, v), 2)
    total = additive_mask(mask, q, k, before, settings)
    total = added if total is None else total if added is None else total + added
    y, _ = attend(q, k, v, total, scale=settings["scale"])
    return merge_heads(y), k, v


def _three(
    q: torch.Tensor,
    k: torch.Tensor | None,
    v: torch.Tensor | None,
    bias: torch.Tensor | None,
    heads: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[batch, heads, steps, size] of each, from packed or separate inputs."""
    if q.dim() == 5:
        q, k, v = (part.flatten(2) for part in q.unbind(3))
    elif k is not None and k.dim() == 5:
        k, v = (part.flatten(2) for part in k.unbind(3))
    assert k is not None and v is not None
    if bias is not None:
        sizes = [_width(part, heads) for part in (q, k, v)]
        parts = torch.split(bias, sizes)
        q, k, v = (_with_bias(x, part, heads) for x, part in zip((q, k, v), parts, strict=True))
    found = [x if x.dim() == 4 else split_heads(x, heads) for x in (q, k, v)]
    return found[0], found[1], found[2]


def _width(x: torch.Tensor, heads: int) -> int:
    return int(x.shape[-1] * heads if x.dim() == 4 else x.shape[-1])


def _with_bias(x: torch.Tensor, bias: torch.Tensor, heads: int) -> torch.Tensor:
    return x + (bias.reshape(heads, 1, -1) if x.dim() == 4 else bias)


@op("RotaryEmbedding", domain=MS)
def rotary_embedding(context: Context, x: Value, positions: Value, cos: Value, sin: Value) -> Value:
    if context.flag("is_packed_batching") or float(context.attribute("scale", 1.0)) != 1.0:
        context.refuse("packed batches, or a scale")
    heads, size = (int(context.attribute(n, 0)) for n in ("num_heads", "rotary_embedding_dim"))
    flag = context.flag("interleaved")
    return context.call(rotated_from, x, positions, cos, sin, flag, size, heads)


def rotated_from(
    x: torch.Tensor,
    positions: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    interleaved: bool,
    size: int,
    heads: int,
) -> torch.Tensor:
    """One position is that of the first step; without a number of heads the tables tell it."""
    steps = x.shape[1] if x.dim() == 3 else x.shape[2]
    if positions.dim() == 1:
        positions = (positions + torch.arange(steps, device=x.device))[None].expand(x.shape[0], -1)
    heads = heads or x.shape[-1] // (2 * cos.shape[-1])
    return rotated(x, cos, sin, positions, interleaved, size, heads)
