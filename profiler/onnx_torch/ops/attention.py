"""Attention of ONNX's own domain, and what it shares with that of com.microsoft."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import DTYPES, Value


@op("Attention")
def attention(
    context: Context,
    q: Value,
    k: Value,
    v: Value,
    mask: Value = None,
    past_key: Value = None,
    past_value: Value = None,
    lengths: Value = None,
) -> Value | tuple[Value, ...]:
    heads = [context.attribute(name) for name in ("q_num_heads", "kv_num_heads")]
    softcap, mode = float(context.attribute("softcap", 0.0)), None
    if context.wants(3):
        mode = int(context.attribute("qk_matmul_output_mode", 0))
        if mode == 0 and softcap:
            context.refuse("the raw product beside a softcap")
    precision = context.attribute("softmax_precision")
    settings = {
        "causal": context.flag("is_causal"),
        "scale": context.attribute("scale"),
        "softcap": softcap,
        "window": tuple(
            int(context.attribute(f"{side}_window_size", -1)) for side in ("left", "right")
        ),
        "softmax_type": DTYPES[int(precision)] if precision else None,
        "mode": mode,
    }
    values = (q, k, v, mask, past_key, past_value, lengths)
    return context.parts(context.call(attend_with_cache, *values, heads, settings), 4)


def attend_with_cache(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    past_key: torch.Tensor | None,
    past_value: torch.Tensor | None,
    lengths: torch.Tensor | None,
    heads: list[int | None],
    settings: dict[str, Any],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The result, keys and values with those of the past, and the scores if `mode` names them."""
    is_packed = q.dim() == 3
    if is_packed:
        q, k, v = (split_heads(x, n) for x, n in zip((q, k, v), (*heads, heads[1]), strict=True))
    before = 0
    if past_key is not None and past_value is not None:
        before = past_key.shape[2]
        k, v = torch.cat((past_key, k), 2), torch.cat((past_value, v), 2)
    limits = dict(settings)
    mode, causal = limits.pop("mode"), limits.pop("causal")
    window = limits.pop("window")
    is_plain = causal and mask is None and lengths is None and not before and window == (-1, -1)
    if is_plain and mode is None and not limits["softcap"] and limits["softmax_type"] is None:
        each = q.shape[1] != k.shape[1]
        y = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=limits["scale"], enable_gqa=each
        )
        return (merge_heads(y) if is_packed else y), k, v, None
    bias = full_mask(q, k, mask, causal, before, lengths, window)
    y, scores = attend(q, k, v, bias, mode, **limits)
    return (merge_heads(y) if is_packed else y), k, v, scores


def split_heads(x: torch.Tensor, heads: int | None) -> torch.Tensor:
    """[batch, steps, heads * size] -> [batch, heads, steps, size]."""
    return x.reshape(x.shape[0], x.shape[1], heads or 1, -1).transpose(1, 2)


def merge_heads(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)


def full_mask(
    q: torch.Tensor,
    k: torch.Tensor,
    mask: torch.Tensor | None,
    causal: bool,
    before: int,
    lengths: torch.Tensor | None,
    window: tuple[int, ...] = (-1, -1),
) -> torch.Tensor | None:
    """What is allowed: booleans, or numbers to add, that broadcast to the scores.

    Query i stands at i + `before` keys, or, with `lengths` of the keys that are filled, so that the
    last query meets the last of them.
    """
    queries, keys = q.shape[2], k.shape[2]
    if mask is not None and mask.shape[-1] < keys:
        rest = keys - mask.shape[-1]
        fill = False if mask.dtype is torch.bool else float("-inf")
        mask = torch.cat((mask, mask.new_full((*mask.shape[:-1], rest), fill)), -1)
    allowed = None
    column = torch.arange(keys, device=q.device)
    row: torch.Tensor = torch.arange(queries, device=q.device)[:, None] + before
    if lengths is not None:
        filled = lengths.reshape(-1, 1, 1, 1).to(torch.int64)
        allowed = column < filled
        row = row + (filled - queries)
    limits = (0 if causal else -1, window[1])
    for limit in limits:
        if limit >= 0:
            near = column <= row + limit
            allowed = near if allowed is None else allowed & near
    if window[0] >= 0:
        near = column >= row - window[0]
        allowed = near if allowed is None else allowed & near
    return joined_masks(mask, allowed)


def joined_masks(mask: torch.Tensor | None, allowed: torch.Tensor | None) -> torch.Tensor | None:
    if mask is None or allowed is None:
        return allowed if mask is None else mask
    if mask.dtype is torch.bool:
        return mask & allowed
    return torch.where(allowed, mask, float("-inf"))


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bias: torch.Tensor | None,
    mode: int | None = None,
    *,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_type: torch.dtype | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """[batch, heads, steps, size] of each; keys and values may have fewer heads."""
    each = q.shape[1] // k.shape[1]
    if each > 1:
        k, v = k.repeat_interleave(each, 1), v.repeat_interleave(each, 1)
    is_plain = mode is None and not softcap
    if is_plain and softmax_type in (None, q.dtype):
        if bias is not None and bias.dtype is not torch.bool:
            bias = bias.to(q.dtype)
        return F.scaled_dot_product_attention(q, k, v, bias, scale=scale), None
    factor = (q.shape[-1] ** -0.5 if scale is None else scale) ** 0.5
    scores = (q * factor) @ (k * factor).transpose(-1, -2)
    if softcap:
        scores = torch.tanh(scores / softcap) * softcap
    shown = scores
    scores, empty = with_bias(scores, bias)
    shown = scores if mode == 2 else shown
    weights = torch.softmax(scores.to(softmax_type or scores.dtype), -1)
    weights = torch.where(empty, 0.0, weights).to(q.dtype) if empty is not None else weights
    weights = weights.to(q.dtype)
    return weights @ v, weights if mode == 3 else shown


def with_bias(
    scores: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The scores, and which rows have no key at all."""
    if bias is None:
        return scores, None
    if bias.dtype is torch.bool:
        return scores.masked_fill(~bias, float("-inf")), ~bias.any(-1, keepdim=True)
    return scores + bias, torch.isneginf(bias.amax(-1, keepdim=True))


@op("RotaryEmbedding")
def rotary_embedding(
    context: Context, x: Value, cos: Value, sin: Value, positions: Value = None
) -> Value:
    heads, size = (int(context.attribute(n, 0)) for n in ("num_heads", "rotary_embedding_dim"))
    return context.call(rotated, x, cos, sin, positions, context.flag("interleaved"), size, heads)


def rotated(
    x: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    positions: torch.Tensor | None,
    interleaved: bool,
    size: int,
    heads: int,
) -> torch.Tensor:
    """Pairs of elements turned by the angle of their position (Su et al. 2021).

    [batch, steps, heads * head size], or [batch, heads, steps, head size].
    """
    shape = x.shape
    parts = split_heads(x, heads) if x.dim() == 3 else x
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
    size = size or parts.shape[-1]
    turned, rest = parts[..., :size], parts[..., size:]
    if interleaved:
        first, second = turned[..., 0::2], turned[..., 1::2]
    else:
        first, second = turned.chunk(2, -1)
    real, imaginary = cos * first - sin * second, sin * first + cos * second
    if interleaved:
        turned = torch.stack((real, imaginary), -1).flatten(-2)
    else:
        turned = torch.cat((real, imaginary), -1)
    y = torch.cat((turned, rest), -1) if rest.shape[-1] else turned
    return y.transpose(1, 2).reshape(shape) if len(shape) == 3 else y


@op("SwiGLU")
def swiglu(context: Context, gate: Value, x: Value) -> Value:
    alpha = float(context.attribute("alpha", 1.0))
    return context.call(gated, gate, x, alpha)


def gated(gate: torch.Tensor, x: torch.Tensor, alpha: float) -> torch.Tensor:
    return gate * torch.sigmoid(gate * alpha) * x


@op("LinearAttention")
def linear_attention(
    context: Context,
    q: Value,
    k: Value,
    v: Value,
    past: Value = None,
    decay: Value = None,
    beta: Value = None,
) -> tuple[Value, ...]:
    settings = {
        "heads": [int(context.attribute(f"{side}_num_heads")) for side in ("q", "kv")],
        "scale": float(context.attribute("scale", 0.0)),
        "rule": context.attribute("update_rule", "gated_delta"),
    }
    return context.parts(context.call(attend_by_state, q, k, v, past, decay, beta, settings), 2)


def attend_by_state(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    past: torch.Tensor | None,
    decay: torch.Tensor | None,
    beta: torch.Tensor | None,
    settings: dict[str, Any],
) -> tuple[torch.Tensor, torch.Tensor]:
    """A state of [key size, value size] a head, moved on by each step; computed in float32."""
    heads, kv_heads = settings["heads"]
    dtype = q.dtype
    q = split_heads(q, heads).float()
    k, v = (split_heads(x, kv_heads).float() for x in (k, v))
    fade, rate = (None if g is None else _per_head(g, kv_heads) for g in (decay, beta))
    factor = settings["scale"] or q.shape[-1] ** -0.5
    state = k.new_zeros(*k.shape[:2], k.shape[-1], v.shape[-1]) if past is None else past.float()
    outputs = []
    for t in range(q.shape[2]):
        key, value = k[:, :, t, :, None], v[:, :, t, None, :]
        if fade is not None and settings["rule"].startswith("gated"):
            state = state * torch.exp(fade[:, :, t, :, None])
        if settings["rule"].endswith("delta"):
            value = value - (key * state).sum(-2, keepdim=True)
            value = value if rate is None else value * rate[:, :, t, :, None]
        state = state + key * value
        seen = state.repeat_interleave(heads // kv_heads, 1)
        outputs.append(factor * (q[:, :, t, :, None] * seen).sum(-2))
    y = merge_heads(torch.stack(outputs, 2))
    return y.to(dtype), state.to(past.dtype if past is not None else dtype)


def _per_head(x: torch.Tensor, heads: int) -> torch.Tensor:
    """One number of a step may be meant for all heads."""
    x = x.expand(-1, -1, heads) if x.shape[-1] == 1 else x
    return split_heads(x, heads).float()
