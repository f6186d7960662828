"""Resize and Upsample: PyTorch's own where the numbers agree, else by weights along each axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}
HALF_PIXEL = ("half_pixel", "pytorch_half_pixel")


@op("Upsample")
def upsample(context: Context, x: Value, scales: Value = None) -> Value:
    return _upsampled(context, x, scales)


def _upsampled(context: Context, x: Value, scales: Value) -> Value:
    if scales is None:
        scales = np.array(context.attribute("scales"), dtype=np.float32)
    mode = {"bilinear": "linear"}.get(context.attribute("mode", "nearest")) or context.attribute(
        "mode", "nearest"
    )
    return _resized(context, x, None, scales, None, _plan(context, "asymmetric", "simple", mode))


@op("Resize")
def resize(
    context: Context, x: Value, roi: Value = None, scales: Value = None, sizes: Value = None
) -> Value:
    if context.opset < 11:
        return _upsampled(context, x, roi)
    plan = _plan(
        context,
        context.attribute("coordinate_transformation_mode", "half_pixel"),
        context.attribute("nearest_mode", "round_prefer_floor"),
        context.attribute("mode", "nearest"),
    )
    return _resized(context, x, roi, scales, sizes, plan)


def _plan(context: Context, coordinates: str, nearest: str, mode: str) -> dict[str, Any]:
    return {
        "coordinates": coordinates,
        "nearest": nearest,
        "mode": mode,
        "cubic": float(context.attribute("cubic_coeff_a", -0.75)),
        "exclude": context.flag("exclude_outside"),
        "antialias": context.flag("antialias"),
        "beyond": float(context.attribute("extrapolation_value", 0.0)),
        "axes": context.attribute("axes"),
        "policy": context.attribute("keep_aspect_ratio_policy", "stretch"),
    }


def _resized(
    context: Context, x: Value, roi: Value, scales: Value, sizes: Value, plan: dict[str, Any]
) -> Value:
    if isinstance(scales, np.ndarray) and not scales.size:
        scales = None
    if plan["coordinates"] != "tf_crop_and_resize":
        roi = None
    given: Any = None
    if sizes is not None:
        given = context.sizes(sizes)
    elif isinstance(scales, np.ndarray):
        given = [float(s) for s in scales]
    elif scales is not None:
        given = context.reads_data(read_floats, scales)
    if (plain := _by_pytorch(context, x, given, sizes is not None, plan)) is not None:
        return plain
    return context.call(resize_axes, x, roi, given, sizes is not None, plan)


def read_floats(x: torch.Tensor) -> list[float]:
    found: list[float] = x.tolist()
    return found


def _by_pytorch(
    context: Context, x: Value, given: Any, by_size: bool, plan: dict[str, Any]
) -> Value | None:
    rank, shape = context.known_rank(), context.shape()
    if rank not in LINEAR or not isinstance(given, list) or len(given) != rank:
        return None
    dtype = context.dtype_of(0)
    if plan["axes"] or plan["policy"] != "stretch" or plan["exclude"] or plan["antialias"]:
        return None
    lead = [shape[0], shape[1]] if by_size and shape else [1.0, 1.0]
    if given[:2] != lead or dtype is None or not dtype.is_floating_point:
        return None
    named: dict[str, Any] = {"size" if by_size else "scale_factor": given[2:]}
    coordinates, mode = plan["coordinates"], plan["mode"]
    if mode == "nearest":
        whole = _whole_factors(shape, given, by_size)
        agrees = coordinates in HALF_PIXEL or (
            coordinates == "asymmetric" and plan["nearest"] in ("floor", "simple")
        )
        return context.call(F.interpolate, x, **named, mode="nearest") if whole and agrees else None
    name = LINEAR[rank] if mode == "linear" else "bicubic"
    if mode == "cubic" and (rank != 4 or plan["cubic"] != -0.75):
        return None
    if coordinates == "half_pixel" or (
        coordinates == "align_corners" and _more_than_one(context, given, by_size)
    ):
        corners = coordinates == "align_corners"
        if corners and not by_size and any(s != int(s) for s in given):
            # ONNX takes the size before it is rounded down.
            return None
        return context.call(F.interpolate, x, **named, mode=name, align_corners=corners)
    return None


def _more_than_one(context: Context, given: list[Any], by_size: bool) -> bool:
    if by_size:
        return all(isinstance(s, int) and s > 1 for s in given[2:])
    shape = context.shape() or ()
    return all(n is not None and n * s > 1 for n, s in zip(shape[2:], given[2:], strict=True))


def _whole_factors(shape: Any, given: list[Any], by_size: bool) -> bool:
    """Whether each element is repeated the same number of times: then all roundings agree."""
    if not by_size:
        return all(s == int(s) and s >= 1 for s in given[2:])
    return shape is not None and all(
        isinstance(s, int) and n and s >= n and s % n == 0
        for n, s in zip(shape[2:], given[2:], strict=True)
    )


def resize_axes(
    x: torch.Tensor, roi: torch.Tensor | None, given: list[Any], by_size: bool, plan: dict[str, Any]
) -> torch.Tensor:
    """Any variant, one axis after the other, as ONNX defines it."""
    dtype = x.dtype
    axes = [a % x.dim() for a in plan["axes"] or range(x.dim())]
    sizes, factors = _targets(x, axes, given, by_size, plan["policy"])
    y = x if dtype is torch.float64 else x.to(torch.float32)
    for position, axis in enumerate(axes):
        span = None
        if roi is not None:
            span = (roi[position].item(), roi[position + len(axes)].item())
        if span is None and factors[position] == 1 and sizes[position] == x.shape[axis]:
            continue
        y = _along(y, axis, sizes[position], factors[position], span, plan)
    if not dtype.is_floating_point:
        y = torch.round(y) if plan["mode"] == "cubic" else y
        info = torch.iinfo(dtype)
        y = y.clamp(info.min, info.max)
    return y.to(dtype)


def _targets(
    x: torch.Tensor, axes: list[int], given: list[Any], by_size: bool, policy: str
) -> tuple[list[int], list[float]]:
    """Size and factor of each axis."""
    old = [x.shape[a] for a in axes]
    if not by_size:
        return [int(n * s) for n, s in zip(old, given, strict=True)], list(given)
    if policy == "stretch":
        return list(given), [s / n for s, n in zip(given, old, strict=True)]
    choose = min if policy == "not_larger" else max
    factor = choose(s / n for s, n in zip(given, old, strict=True))
    return [int(factor * n + 0.5) for n in old], [factor] * len(old)


def _along(
    x: torch.Tensor, axis: int, size: int, factor: float, span: Any, plan: dict[str, Any]
) -> torch.Tensor:
    old = x.shape[axis]
    at = _sources(size, factor, old, span, plan["coordinates"]).to(x.device)
    if plan["mode"] == "nearest":
        index = _nearest(at, plan["nearest"], factor).clamp(0, old - 1)
        y = torch.index_select(x, axis, index)
    else:
        index, weights = _weights(at, factor, old, plan)
        shape = [1] * (x.dim() + 1)
        shape[axis : axis + 2] = list(weights.shape)
        taken = torch.index_select(x, axis, index.clamp(0, old - 1).reshape(-1))
        taken = taken.reshape(*x.shape[:axis], *weights.shape, *x.shape[axis + 1 :])
        y = (taken * weights.reshape(shape).to(x.dtype)).sum(axis + 1)
    if plan["coordinates"] == "tf_crop_and_resize":
        outside = (at < 0) | (at > old - 1)
        shape = [1] * x.dim()
        shape[axis] = size
        y = torch.where(outside.reshape(shape), plan["beyond"], y)
    return y


def _sources(size: int, factor: float, old: int, span: Any, coordinates: str) -> torch.Tensor:
    """Where each new element stands among the old ones."""
    at = torch.arange(size, dtype=torch.float64)
    whole = factor * old
    found: torch.Tensor = (at + 0.5) / factor - 0.5
    match coordinates:
        case "align_corners":
            found = at * (old - 1) / (whole - 1) if whole != 1 else at * 0
        case "asymmetric":
            found = at / factor
        case "tf_crop_and_resize":
            first, last = span[0] * (old - 1), span[1] * (old - 1)
            step = (last - first) / (whole - 1) if whole != 1 else 0.0
            found = first + at * step if whole != 1 else at * 0 + first + (last - first) / 2
        case "pytorch_half_pixel" if whole == 1:
            found = torch.full_like(at, -0.5)
        case "half_pixel_symmetric":
            found = found + old / 2 * (1 - size / whole)
    return found


def _nearest(at: torch.Tensor, how: str, factor: float) -> torch.Tensor:
    match how:
        case "round_prefer_floor":
            found = torch.ceil(at - 0.5)
        case "round_prefer_ceil":
            found = torch.floor(at + 0.5)
        case "ceil":
            found = torch.ceil(at)
        case "simple":
            # Opset 10 and before: ONNX Runtime rounds up where it makes smaller.
            found = torch.ceil(at) if factor < 1 else torch.floor(at)
        case _:
            found = torch.floor(at)
    return found.to(torch.int64)


def _weights(
    at: torch.Tensor, factor: float, old: int, plan: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Indices and weights of the old elements that each new one is made of."""
    shrink = min(factor, 1.0) if plan["antialias"] else 1.0
    reach = 1 if plan["mode"] == "linear" else 2
    first = int(np.floor(-reach / shrink)) + 1
    taps = torch.arange(first, reach + 1 - first if shrink < 1 else reach + 1)
    if shrink < 1:
        taps = torch.arange(first, first + 2 * (reach - first) if reach == 1 else 3 - first)
    low = torch.ceil(at) - 1
    taps = taps.to(at.device)
    ratio = at - low
    distance = (taps[None, :] - ratio[:, None]).abs() * shrink
    weights = _linear(distance) if reach == 1 else _cubic(distance, plan["cubic"])
    index = (low[:, None] + taps[None, :]).to(torch.int64)
    if plan["exclude"]:
        weights = torch.where((index < 0) | (index >= old), 0.0, weights)
    total = weights.sum(-1, keepdim=True)
    return index, weights / torch.where(total == 0, 1.0, total)


def _linear(distance: torch.Tensor) -> torch.Tensor:
    return torch.clamp(1 - distance, 0, 1)


def _cubic(x: torch.Tensor, a: float) -> torch.Tensor:
    """Keys 1981."""
    near: torch.Tensor = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far: torch.Tensor = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))
