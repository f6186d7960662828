"""Convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

CONV: dict[int, Callable[..., Any]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE: dict[int, Callable[..., Any]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


def spatial_rank(context: Context, weight_position: int = 1) -> int:
    kernel = context.attribute("kernel_shape")
    if kernel is not None:
        return len(kernel)
    return context.rank(weight_position) - 2


def settings(context: Context, spatial: int) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations, and pads as ONNX has them: all begins, then all ends."""
    ones = [1] * spatial
    strides = list(context.attribute("strides") or ones)
    dilations = list(context.attribute("dilations") or ones)
    return strides, dilations, list(context.attribute("pads") or [0] * (2 * spatial))


def same_pads(size: int, kernel: int, stride: int, dilation: int, lower: bool) -> tuple[int, int]:
    """Before and after, so that the output has ceil(size / stride) elements."""
    window = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def pad_flat(begin: Sequence[int], end: Sequence[int]) -> list[int]:
    """In the order of `F.pad`."""
    return [p for axis in reversed(range(len(begin))) for p in (begin[axis], end[axis])]


@op("Conv")
def conv(context: Context, x: Value, weight: Value, bias: Value = None) -> Value:
    spatial = spatial_rank(context)
    strides, dilations, pads = settings(context, spatial)
    mode = context.attribute("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        x = context.call(pad_to_same, x, weight, strides, dilations, mode == "SAME_LOWER")
    if mode != "NOTSET":
        pads = [0] * (2 * spatial)
    begin, end = pads[:spatial], pads[spatial:]
    if begin != end:
        # Uneven padding is done beforehand; even padding is left to the layer.
        x, begin = context.call(F.pad, x, pad_flat(begin, end)), [0] * spatial
    return context.call(
        CONV.get(spatial) or context.refuse(f"{spatial} spatial dimensions"),
        x,
        weight,
        bias,
        stride=strides,
        padding=begin,
        dilation=dilations,
        groups=int(context.attribute("group", 1)),
    )


def pad_to_same(
    x: torch.Tensor, weight: torch.Tensor, strides: list[int], dilations: list[int], lower: bool
) -> torch.Tensor:
    """auto_pad: the pads depend on the input's size."""
    sizes = zip(x.shape[2:], weight.shape[2:], strides, dilations, strict=True)
    pads = [same_pads(*size, lower) for size in sizes]
    return F.pad(x, [p for pair in reversed(pads) for p in pair])


@op("ConvTranspose")
def conv_transpose(context: Context, x: Value, weight: Value, bias: Value = None) -> Value:
    spatial = spatial_rank(context)
    strides, dilations, pads = settings(context, spatial)
    extra = list(context.attribute("output_padding") or [0] * spatial)
    mode, target = context.attribute("auto_pad", "NOTSET"), context.attribute("output_shape")
    function = CONV_TRANSPOSE.get(spatial) or context.refuse(f"{spatial} spatial dimensions")
    begin, end = pads[:spatial], pads[spatial:]
    named = {"stride": strides, "dilation": dilations, "groups": int(context.attribute("group", 1))}
    if target is None and mode in ("NOTSET", "VALID") and begin == end:
        padding = begin if mode == "NOTSET" else [0] * spatial
        if all(e < max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
            return context.call(
                function, x, weight, bias, padding=padding, output_padding=extra, **named
            )
    if mode == "VALID":
        begin, end = [0] * spatial, [0] * spatial
    return context.call(conv_transpose_cut, x, weight, bias, begin, end, extra, target, mode, named)


def conv_transpose_cut(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    begin: list[int],
    end: list[int],
    extra: list[int],
    target: list[int] | None,
    mode: str,
    named: dict[str, Any],
) -> torch.Tensor:
    """Uneven pads or a wanted size: the whole result, cut or filled afterwards."""
    y = CONV_TRANSPOSE[len(extra)](x, weight, None, **named)
    y = F.pad(y, pad_flat([0] * len(extra), extra))
    if mode.startswith("SAME"):
        target = [n * s for n, s in zip(x.shape[2:], named["stride"], strict=True)]
    if target is not None:
        target = target[-len(extra) :]
        totals = [n - t for n, t in zip(y.shape[2:], target, strict=True)]
        small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
        begin, end = (small, large) if mode == "SAME_UPPER" else (large, small)
    y = F.pad(y, pad_flat([-b for b in begin], [-e for e in end]))
    return y if bias is None else y + bias.reshape(-1, *[1] * len(extra))


@op("DeformConv")
def deform_conv(
    context: Context,
    x: Value,
    weight: Value,
    offset: Value,
    bias: Value = None,
    mask: Value = None,
) -> Value:
    spatial = spatial_rank(context)
    if spatial != 2:
        context.refuse(f"{spatial} spatial dimensions")
    strides, dilations, pads = settings(context, spatial)
    groups = [int(context.attribute(name, 1)) for name in ("group", "offset_group")]
    return context.call(
        deformed_conv2d, x, weight, offset, bias, mask, strides, dilations, pads, groups
    )


def deformed_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor | None,
    strides: list[int],
    dilations: list[int],
    pads: list[int],
    groups: list[int],
) -> torch.Tensor:
    """Each position of the kernel looks where its offset points (Dai et al. 2017)."""
    batch, channels, height, width = x.shape
    kernel = weight.shape[2:]
    group, offset_group = groups
    out_h, out_w = offset.shape[2:]
    offsets = offset.reshape(batch, offset_group, kernel[0], kernel[1], 2, out_h, out_w)
    rows, columns = (
        (torch.arange(n, device=x.device) * strides[i] - pads[i])
        for i, n in enumerate((out_h, out_w))
    )
    taps_y, taps_x = (torch.arange(kernel[i], device=x.device) * dilations[i] for i in range(2))
    at_y = offsets[:, :, :, :, 0] + (taps_y[:, None, None, None] + rows[None, None, :, None])
    at_x = offsets[:, :, :, :, 1] + (taps_x[None, :, None, None] + columns[None, None, None, :])
    grid_x = (2 * at_x + 1) / width - 1
    grid_y = (2 * at_y + 1) / height - 1
    grid = torch.stack((grid_x, grid_y), -1)
    grid = grid.reshape(batch * offset_group, kernel[0] * kernel[1] * out_h, out_w, 2)
    parts = x.reshape(batch * offset_group, channels // offset_group, height, width)
    seen = F.grid_sample(parts, grid.to(x.dtype), align_corners=False)
    seen = seen.reshape(batch, offset_group, -1, kernel[0] * kernel[1], out_h, out_w)
    if mask is not None:
        seen = seen * mask.reshape(batch, offset_group, 1, kernel[0] * kernel[1], out_h, out_w)
    columns_of = seen.reshape(batch, group, -1, out_h * out_w)
    rows_of = weight.reshape(group, weight.shape[0] // group, -1)
    y = torch.einsum("gok,bgkn->bgon", rows_of, columns_of).reshape(batch, -1, out_h, out_w)
    return y if bias is None else y + bias[:, None, None]


@op("Col2Im")
def col_to_im(context: Context, x: Value, image: Value, block: Value) -> Value:
    sizes, kernel = context.sizes(image), context.sizes(block)
    strides = context.attribute("strides")
    dilations, pads = context.attribute("dilations"), context.attribute("pads")
    return context.call(sum_of_blocks, x, sizes, kernel, strides, dilations, pads)


def sum_of_blocks(
    x: torch.Tensor,
    image: list[int],
    block: list[int],
    strides: list[int] | None,
    dilations: list[int] | None,
    pads: list[int] | None,
) -> torch.Tensor:
    """Blocks added where they overlap; any number of spatial dimensions."""
    spatial = len(image)
    strides, dilations = strides or [1] * spatial, dilations or [1] * spatial
    pads = pads or [0] * (2 * spatial)
    padded = [image[i] + pads[i] + pads[i + spatial] for i in range(spatial)]
    counts = [
        (padded[i] - dilations[i] * (block[i] - 1) - 1) // strides[i] + 1 for i in range(spatial)
    ]
    index = torch.zeros([1] * (2 * spatial), dtype=torch.int64, device=x.device)
    for i in range(spatial):
        rows, columns = (torch.arange(n, device=x.device) for n in (block[i], counts[i]))
        at = rows[:, None] * dilations[i] + columns * strides[i]
        shape = [1] * (2 * spatial)
        shape[i], shape[spatial + i] = block[i], counts[i]
        index = index * padded[i] + at.reshape(shape)
    flat = index.expand([*block, *counts]).reshape(-1)
    values = x.reshape(x.shape[0], -1, flat.numel())
    channels, total = values.shape[1], 1
    for size in padded:
        total *= size
    y = x.new_zeros(x.shape[0], channels, total)
    y = y.index_add(2, flat, values).reshape(x.shape[0], channels, *padded)
    return F.pad(y, pad_flat([-p for p in pads[:spatial]], [-p for p in pads[spatial:]]))


@op("CausalConvWithState")
def causal_conv(
    context: Context, x: Value, weight: Value, bias: Value = None, state: Value = None
) -> tuple[Value, ...]:
    activation = context.attribute("activation", "none")
    if activation not in ("none", "silu", "swish"):
        context.refuse(f"activation {activation}")
    return context.parts(
        context.call(conv_with_state, x, weight, bias, state, activation != "none"), 2
    )


def conv_with_state(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    state: torch.Tensor | None,
    activated: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One filter a channel; the state holds the last inputs of the call before."""
    length = weight.shape[-1] - 1
    if state is None:
        state = x.new_zeros(x.shape[0], x.shape[1], length)
    whole = torch.cat((state, x), -1)
    y = F.conv1d(whole, weight, bias, groups=x.shape[1])
    return (F.silu(y) if activated else y), whole[..., whole.shape[-1] - length :]
