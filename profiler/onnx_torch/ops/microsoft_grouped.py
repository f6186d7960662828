"""GroupQueryAttention of com.microsoft: fewer heads of keys than of queries, with a cache."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.attention import attend, merge_heads, rotated, split_heads
from profiler.onnx_torch.ops.microsoft import MS
from profiler.onnx_torch.ops.microsoft_attention import Tensors
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value


@op("GroupQueryAttention", domain=MS)
def group_query_attention(
    context: Context,
    q: Value,
    k: Value = None,
    v: Value = None,
    past_key: Value = None,
    past_value: Value = None,
    lengths: Value = None,
    total: Value = None,
    cos: Value = None,
    sin: Value = None,
    positions: Value = None,
    added: Value = None,
    *rest: Value,
) -> tuple[Value, ...]:
    if any(value is not None for value in rest) or context.wants(3):
        context.refuse("a sink, a quantized cache, or the scores")
    if context.flag("smooth_softmax") or not context.flag("causal", 1):
        context.refuse("a smooth softmax, or attention that is not causal")
    if context.flag("sliding_window_cache"):
        context.refuse("a cache that slides")
    scale = float(context.attribute("scale", 0.0))
    settings = {
        "heads": [int(context.attribute(n)) for n in ("num_heads", "kv_num_heads")],
        "scale": scale or None,
        "softcap": float(context.attribute("softcap", 0.0)),
        "window": int(context.attribute("local_window_size", -1)),
        "rotary": context.flag("do_rotary"),
        "interleaved": context.flag("rotary_interleaved"),
    }
    count = context.number(total)
    values = (q, k, v, past_key, past_value, lengths, count, cos, sin, positions, added)
    return context.parts(context.call(attend_grouped, *values, settings), 3)


def attend_grouped(
    q: torch.Tensor,
    k: torch.Tensor | None,
    v: torch.Tensor | None,
    past_key: torch.Tensor | None,
    past_value: torch.Tensor | None,
    lengths: torch.Tensor,
    total: int,
    cos: torch.Tensor | None,
    sin: torch.Tensor | None,
    positions: torch.Tensor | None,
    added: torch.Tensor | None,
    settings: dict[str, Any],
) -> Tensors:
    """`lengths` holds the last filled place of each sequence, the new steps included."""
    heads, kv_heads = settings["heads"]
    if k is None or v is None:
        size = q.shape[-1] // (heads + 2 * kv_heads)
        q, k, v = torch.split(q, [heads * size, kv_heads * size, kv_heads * size], -1)
    q = split_heads(q, heads)
    k, v = split_heads(k, kv_heads), split_heads(v, kv_heads)
    steps = torch.arange(q.shape[2], device=q.device)[None]
    start = lengths.reshape(-1, 1).to(torch.int64) + 1 - q.shape[2]
    if q.shape[2] == total:
        # A prompt starts at 0, shorter sequences are filled up after their end.
        start = torch.zeros_like(start)
    places = start + steps
    if settings["rotary"] and cos is not None and sin is not None:
        where = places if positions is None else positions
        q, k = (
            rotated(x, cos, sin, where, settings["interleaved"], 2 * cos.shape[-1], 0)
            for x in (q, k)
        )
    keys, values = (
        _put(past, new, places, total) for past, new in ((past_key, k), (past_value, v))
    )
    bias = _mask(places, keys.shape[2], settings["window"], added)
    y, _ = attend(q, keys, values, bias, scale=settings["scale"], softcap=settings["softcap"])
    return merge_heads(y), keys, values


def _mask(places: torch.Tensor, size: int, window: int, added: torch.Tensor | None) -> torch.Tensor:
    """Which keys each step sees: those up to its place, and no more than the window."""
    column = torch.arange(size, device=places.device)
    row = places[:, None, :, None]
    allowed = column <= row
    if window > 0:
        allowed = allowed & (column > row - window)
    if added is None:
        return allowed
    rest = size - added.shape[-1]
    wide = F.pad(added, (0, rest)) if rest > 0 else added
    return torch.where(allowed, wide[..., :size], float("-inf"))


def _put(
    past: torch.Tensor | None, new: torch.Tensor, places: torch.Tensor, total: int
) -> torch.Tensor:
    """The cache with the new steps at their places, and 0 where nothing was written."""
    before = past.shape[2] if past is not None else 0
    size = max(total, before)
    rest = new.new_zeros(new.shape[0], new.shape[1], size - before, new.shape[3])
    cache = rest if past is None else torch.cat((past, rest), 2)
    is_filled = torch.arange(size, device=new.device) < places[:, :1]
    cache = torch.where(is_filled[:, None, :, None], cache, 0.0)
    index = places[:, None, :, None].expand(-1, new.shape[1], -1, new.shape[3])
    return torch.scatter(cache, 2, index, new)
