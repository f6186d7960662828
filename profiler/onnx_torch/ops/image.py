"""Sampling of images at given places."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

MODES = {
    "linear": "bilinear",
    "bilinear": "bilinear",
    "cubic": "bicubic",
    "bicubic": "bicubic",
    "nearest": "nearest",
}


@op("GridSample")
def grid_sample(context: Context, x: Value, grid: Value) -> Value:
    mode = MODES[context.attribute("mode", "linear")]
    rank = context.rank()
    if rank not in (4, 5) or (mode == "bicubic" and rank != 4):
        context.refuse(f"mode {mode} over {rank - 2} dimensions")
    return context.call(
        F.grid_sample,
        x,
        grid,
        mode=mode,
        padding_mode=context.attribute("padding_mode", "zeros"),
        align_corners=context.flag("align_corners"),
    )


@op("AffineGrid")
def affine_grid(context: Context, theta: Value, size: Value) -> Value:
    return context.call(
        F.affine_grid, theta, context.sizes(size), align_corners=context.flag("align_corners")
    )


@op("MaxRoiPool")
def max_roi_pool(context: Context, x: Value, rois: Value) -> Value:
    size = tuple(int(n) for n in context.attribute("pooled_shape"))
    factor = float(context.attribute("spatial_scale", 1.0))
    return context.call(largest_of_regions, x, rois, size, factor)


def largest_of_regions(
    x: torch.Tensor, rois: torch.Tensor, size: tuple[int, int], factor: float
) -> torch.Tensor:
    """Regions of whole pixels (Girshick 2015); each is (image, left, top, right, bottom)."""
    corners = rois[:, 1:] * factor
    left, top, right, bottom = (corners.sign() * (corners.abs() + 0.5).floor()).unbind(1)
    rows = _pixels_of_bins(top, bottom, size[0], x.shape[2])
    columns = _pixels_of_bins(left, right, size[1], x.shape[3])
    found = x[rois[:, 0].to(torch.int64)]
    lowest = float("-inf")
    for axis, bins in ((3, columns), (2, rows)):
        shape = [-1, 1, 1, 1]
        shape[axis] = x.shape[axis]
        parts = [torch.where(one.reshape(shape), found, lowest).amax(axis) for one in bins]
        found = torch.stack(parts, axis)
    return torch.where(found == lowest, 0.0, found)


def _pixels_of_bins(
    first: torch.Tensor, last: torch.Tensor, bins: int, pixels: int
) -> list[torch.Tensor]:
    """For each bin: which pixels it has in each region, [regions, pixels]. Bins may overlap."""
    step = (last - first + 1).clamp(min=1)[:, None] / bins
    places = torch.arange(pixels, device=first.device) - first[:, None]
    return [
        (places >= (i * step).floor()) & (places < ((i + 1) * step).ceil()) for i in range(bins)
    ]


@op("RoiAlign")
def roi_align(context: Context, x: Value, rois: Value, batches: Value) -> Value:
    half = "half_pixel" if context.opset >= 16 else "output_half_pixel"
    settings = {
        "size": (
            int(context.attribute("output_height", 1)),
            int(context.attribute("output_width", 1)),
        ),
        "samples": int(context.attribute("sampling_ratio", 0)),
        "factor": float(context.attribute("spatial_scale", 1.0)),
        "shifted": context.attribute("coordinate_transformation_mode", half) == "half_pixel",
        "largest": context.attribute("mode", "avg") == "max",
    }
    if settings["samples"] > 0:
        return context.call(aligned_regions, x, rois, batches, settings)
    return context.reads_data(aligned_regions, x, rois, batches, settings)


def aligned_regions(
    x: torch.Tensor, rois: torch.Tensor, batches: torch.Tensor, settings: dict[str, Any]
) -> torch.Tensor:
    """Regions pooled from samples between pixels (He et al. 2017)."""
    height, width = settings["size"]
    boxes = rois * settings["factor"] - (0.5 if settings["shifted"] else 0.0)
    extent = boxes[:, 2:] - boxes[:, :2]
    if not settings["shifted"]:
        extent = extent.clamp(min=1.0)
    step_x, step_y = extent[:, 0] / width, extent[:, 1] / height
    if settings["samples"] > 0:
        counts = (settings["samples"], settings["samples"])
        return _sampled(x, boxes, batches.to(torch.int64), (step_y, step_x), counts, settings)
    found = []
    for i in range(rois.shape[0]):
        one = slice(i, i + 1)
        counts = (max(math.ceil(step_y[i].item()), 1), max(math.ceil(step_x[i].item()), 1))
        steps = (step_y[one], step_x[one])
        picks = batches[one].to(torch.int64)
        found.append(_sampled(x, boxes[one], picks, steps, counts, settings))
    if not found:
        return x.new_zeros(0, x.shape[1], height, width)
    return torch.cat(found)


def _sampled(
    x: torch.Tensor,
    boxes: torch.Tensor,
    batches: torch.Tensor,
    steps: tuple[torch.Tensor, torch.Tensor],
    counts: tuple[int, int],
    settings: dict[str, Any],
) -> torch.Tensor:
    at = []
    for axis in (0, 1):
        cells, count = settings["size"][axis], counts[axis]
        within = (torch.arange(count, device=x.device) + 0.5) / count
        places = (torch.arange(cells, device=x.device)[:, None] + within).reshape(-1)
        at.append(boxes[:, 1 - axis, None] + places * steps[axis][:, None])
    y, seen_y = _held(at[0], x.shape[2])
    column, seen_x = _held(at[1], x.shape[3])
    corners = []
    for row, row_weight in y:
        for col, col_weight in column:
            pixels = x[batches[:, None, None], :, row[:, :, None], col[:, None, :]]
            weight = row_weight[:, :, None] * col_weight[:, None, :]
            weight = weight * (seen_y[:, :, None] & seen_x[:, None, :])
            corners.append(pixels * weight[..., None])
    parts = torch.stack(corners)
    values = parts.amax(0) if settings["largest"] else parts.sum(0)
    shape = (settings["size"][0], counts[0], settings["size"][1], counts[1], x.shape[1])
    values = values.reshape(values.shape[0], *shape)
    values = values.amax((2, 4)) if settings["largest"] else values.mean((2, 4))
    return values.permute(0, 3, 1, 2)


def _held(
    at: torch.Tensor, size: int
) -> tuple[list[tuple[torch.Tensor, torch.Tensor]], torch.Tensor]:
    """The two pixels around each place with their weights, and which places are in the image."""
    inside = (at >= -1.0) & (at <= size)
    at = at.clamp(min=0.0)
    low = at.to(torch.int64).clamp(max=size - 1)
    high = (low + 1).clamp(max=size - 1)
    share = torch.where(low >= size - 1, 0.0, at - low)
    return [(low, 1 - share), (high, share)], inside
