"""Normalizations that ONNX Runtime fuses: with a sum before, with an embedding, channels last."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.microsoft import MS, channels_first, channels_last
from profiler.onnx_torch.ops.normalization import epsilon_of
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

Parts = tuple[torch.Tensor, ...]


@op("SimplifiedLayerNormalization")
@op("SimplifiedLayerNormalization", domain=MS)
def simplified(context: Context, x: Value, scale: Value) -> tuple[Value, ...]:
    axis = int(context.attribute("axis", -1))
    return context.parts(context.call(root_mean_square, x, scale, axis, epsilon_of(context)))


def root_mean_square(x: torch.Tensor, scale: torch.Tensor, axis: int, epsilon: float) -> Parts:
    """The result, and 1 / root mean square."""
    axes = list(range(axis % x.dim(), x.dim()))
    wide = x.float()
    inverse = torch.rsqrt((wide * wide).mean(axes, keepdim=True) + epsilon)
    return (wide * inverse).to(x.dtype) * scale, inverse


@op("SkipLayerNormalization", domain=MS)
def skip_layer_norm(
    context: Context,
    x: Value,
    skip: Value,
    gamma: Value,
    beta: Value = None,
    bias: Value = None,
) -> Value | tuple[Value, ...]:
    epsilon = epsilon_of(context, 1e-12)
    if context.wants(1) or context.wants(2):
        context.refuse("the mean or the deviation")
    total = _sum(context, x, skip, bias)
    found = context.call(layer_norm, total, gamma, beta, epsilon)
    return found, None, None, total


def _sum(context: Context, x: Value, skip: Value, bias: Value) -> Value:
    total = context.call(torch.add, x, skip)
    return context.call(torch.add, total, bias) if bias is not None else total


def layer_norm(
    x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor | None, epsilon: float
) -> torch.Tensor:
    """Over the last dimension."""
    return F.layer_norm(x, gamma.shape, gamma, beta, epsilon)


@op("SkipSimplifiedLayerNormalization", domain=MS)
def skip_simplified(
    context: Context, x: Value, skip: Value, gamma: Value, bias: Value = None
) -> tuple[Value, ...]:
    if context.wants(1):
        context.refuse("the mean")
    total = _sum(context, x, skip, bias)
    found = context.call(root_mean_square, total, gamma, -1, epsilon_of(context, 1e-12))
    y, inverse = context.parts(found, 2)
    return y, None, inverse, total


@op("EmbedLayerNormalization", domain=MS)
def embed_layer_norm(
    context: Context,
    ids: Value,
    segments: Value,
    words: Value,
    positions: Value,
    kinds: Value = None,
    gamma: Value = None,
    beta: Value = None,
    mask: Value = None,
    position_ids: Value = None,
) -> tuple[Value, ...]:
    epsilon = epsilon_of(context, 1e-12)
    tables = (words, positions, kinds, gamma, beta)
    found = context.call(embedded, ids, segments, *tables, mask, position_ids, epsilon)
    return context.parts(found, 3)


def embedded(
    ids: torch.Tensor,
    segments: torch.Tensor | None,
    words: torch.Tensor,
    positions: torch.Tensor,
    kinds: torch.Tensor | None,
    gamma: torch.Tensor,
    beta: torch.Tensor,
    mask: torch.Tensor | None,
    position_ids: torch.Tensor | None,
    epsilon: float,
) -> Parts:
    """Normalized sum of the embeddings, length of each sequence, and the sum."""
    if position_ids is None:
        position_ids = torch.arange(ids.shape[1], device=ids.device)[None]
    total = F.embedding(ids, words) + F.embedding(position_ids, positions)
    if segments is not None and kinds is not None:
        total = total + F.embedding(segments, kinds)
    if mask is None:
        lengths = torch.zeros(ids.shape[0], dtype=torch.int32, device=ids.device)
    else:
        lengths = mask.sum(1).to(torch.int32)
    return layer_norm(total, gamma, beta, epsilon), lengths, total


@op("GroupNorm", domain=MS)
def group_norm(context: Context, x: Value, gamma: Value, beta: Value) -> Value:
    settings = (int(context.attribute("groups")), epsilon_of(context))
    flags = (context.flag("activation"), context.flag("channels_last", 1))
    return context.call(grouped, x, gamma, beta, *settings, *flags)


@op("SkipGroupNorm", domain=MS)
def skip_group_norm(
    context: Context, x: Value, gamma: Value, beta: Value, skip: Value, bias: Value = None
) -> tuple[Value, ...]:
    rank = context.known_rank(3)
    if rank == 2:
        skip = context.call(torch.unsqueeze, context.call(torch.unsqueeze, skip, 1), 1)
    total = _sum(context, x, skip, bias)
    return group_norm(context, total, gamma, beta), total


def grouped(
    x: torch.Tensor,
    gamma: torch.Tensor,
    beta: torch.Tensor,
    groups: int,
    epsilon: float,
    activation: bool,
    last: bool,
) -> torch.Tensor:
    """In float32, with SiLU after it if `activation`."""
    inner = channels_first(x) if last else x
    y = F.group_norm(inner.float(), groups, gamma.float(), beta.float(), epsilon)
    y = (F.silu(y) if activation else y).to(x.dtype)
    return channels_last(y) if last else y
