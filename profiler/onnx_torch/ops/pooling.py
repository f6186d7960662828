"""Pooling: PyTorch's own where it has the variant, else over windows that are cut out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.ops.convolution import pad_flat, same_pads, settings
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

MAX_POOL: dict[int, Callable[..., Any]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG_POOL: dict[int, Callable[..., Any]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
# Kernel, strides, dilations, pads, auto_pad, and whether ceil_mode is on.
Geometry = tuple[list[int], list[int], list[int], list[int], str, bool]


class Window:
    """Attributes of a pooling; `mode` is auto_pad."""

    def __init__(self, context: Context) -> None:
        self.kernel = list(context.attribute("kernel_shape"))
        self.spatial = len(self.kernel)
        self.strides, self.dilations, self.pads = settings(context, self.spatial)
        self.mode = str(context.attribute("auto_pad", "NOTSET"))
        if self.mode == "VALID":
            self.pads = [0] * (2 * self.spatial)
        self.ceil = context.flag("ceil_mode")

    @property
    def is_plain(self) -> bool:
        """Whether PyTorch's own pooling has it: even pads of at most half of the kernel."""
        begin, end = self.pads[: self.spatial], self.pads[self.spatial :]
        return (
            self.mode in ("NOTSET", "VALID")
            and begin == end
            and self.spatial in MAX_POOL
            and all(2 * p <= k for p, k in zip(begin, self.kernel, strict=True))
        )

    @property
    def geometry(self) -> Geometry:
        return self.kernel, self.strides, self.dilations, self.pads, self.mode, self.ceil


@op("MaxPool")
def max_pool(context: Context, x: Value) -> Value | tuple[Value, ...]:
    window = Window(context)
    if context.wants(1):
        order = int(context.attribute("storage_order", 0))
        return context.parts(context.call(max_of_windows, x, window.geometry, order), 2)
    dtype = context.dtype_of(0)
    if not window.is_plain or dtype is None or not dtype.is_floating_point:
        return context.parts(context.call(max_of_windows, x, window.geometry, 0), 1)[0]
    return context.call(
        MAX_POOL[window.spatial],
        x,
        window.kernel,
        window.strides,
        window.pads[: window.spatial],
        window.dilations,
        ceil_mode=window.ceil,
    )


@op("AveragePool")
def average_pool(context: Context, x: Value) -> Value:
    window = Window(context)
    include = context.flag("count_include_pad")
    if window.is_plain and all(d == 1 for d in window.dilations):
        return context.call(
            AVG_POOL[window.spatial],
            x,
            window.kernel,
            window.strides,
            window.pads[: window.spatial],
            ceil_mode=window.ceil,
            count_include_pad=include,
        )
    return context.call(mean_of_windows, x, window.geometry, include)


@op("LpPool")
def lp_pool(context: Context, x: Value) -> Value:
    return context.call(norm_of_windows, x, Window(context).geometry, context.attribute("p", 2))


def windows(x: torch.Tensor, geometry: Geometry, fill: Any, beyond: Any) -> torch.Tensor:
    """[batch, channel, *positions, elements of a window]: pads hold `fill`, what ceil_mode adds
    after them holds `beyond`."""
    kernel, strides, dilations, pads, mode, ceil = geometry
    spatial = len(kernel)
    begin, end, extra = list(pads[:spatial]), list(pads[spatial:]), [0] * spatial
    for i in range(spatial):
        size, reach = x.shape[2 + i], (kernel[i] - 1) * dilations[i] + 1
        if mode.startswith("SAME"):
            begin[i], end[i] = same_pads(
                size, kernel[i], strides[i], dilations[i], mode == "SAME_LOWER"
            )
        rest = (size + begin[i] + end[i] - reach) % strides[i]
        if ceil and rest:
            count = (size + begin[i] + end[i] - reach) // strides[i] + 1
            # No window may start beyond the input and the pads before it.
            extra[i] = strides[i] - rest if count * strides[i] < size + begin[i] else 0
    x = F.pad(x, pad_flat(begin, end), value=fill)
    x = F.pad(x, pad_flat([0] * spatial, extra), value=beyond)
    for i in range(spatial):
        reach = (kernel[i] - 1) * dilations[i] + 1
        x = x.unfold(2 + i, reach, strides[i])[..., :: dilations[i]]
    return x.flatten(2 + spatial)


def max_of_windows(
    x: torch.Tensor, geometry: Geometry, order: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest of each window, and where in the whole tensor it is (order 1: columns first)."""
    least = float("-inf") if x.is_floating_point() else torch.iinfo(x.dtype).min
    values, index = windows(x, geometry, least, least).max(-1)
    sizes = list(x.shape[2:])
    count = x[0, 0].numel()
    places = torch.arange(count, device=x.device).reshape(sizes)
    if order:
        places = torch.arange(count, device=x.device).reshape(sizes[::-1])
        places = places.permute(*reversed(range(len(sizes))))
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device) * count
    planes = planes.reshape(x.shape[:2] + (1,) * len(sizes))
    seen = windows((places + planes).to(torch.int64), geometry, 0, 0)
    return values, torch.gather(seen, -1, index[..., None]).squeeze(-1)


def mean_of_windows(x: torch.Tensor, geometry: Geometry, include: bool) -> torch.Tensor:
    counts = windows(torch.ones_like(x[:1, :1]), geometry, float(include), 0.0).sum(-1)
    return windows(x, geometry, 0.0, 0.0).sum(-1) / counts


def norm_of_windows(x: torch.Tensor, geometry: Geometry, p: int) -> torch.Tensor:
    seen = windows(x, geometry, 0.0, 0.0)
    found: torch.Tensor = torch.linalg.vector_norm(seen, ord=p, dim=-1)
    return found


@op("MaxUnpool")
def max_unpool(context: Context, x: Value, places: Value, target: Value = None) -> Value:
    kernel = list(context.attribute("kernel_shape"))
    strides, _, pads = settings(context, len(kernel))
    sizes = context.sizes(target) if target is not None else None
    return context.call(put_back, x, places, sizes, kernel, strides, pads)


def put_back(
    x: torch.Tensor,
    places: torch.Tensor,
    target: list[int] | None,
    kernel: list[int],
    strides: list[int],
    pads: list[int],
) -> torch.Tensor:
    """Values at their places; the places are of the size that the pooling took, without target."""
    spatial = len(kernel)
    sizes = [
        (x.shape[2 + i] - 1) * strides[i] + kernel[i] - pads[i] - pads[i + spatial]
        for i in range(spatial)
    ]
    plain = [*x.shape[:2], *sizes]
    y = x.new_zeros(plain).reshape(-1).scatter(0, places.reshape(-1), x.reshape(-1)).reshape(plain)
    if target is None or list(target) == plain:
        return y
    ends = [t - n for t, n in zip(target, plain, strict=True)]
    return F.pad(y, pad_flat([0] * len(ends), ends))


def _over_space(context: Context, function: Callable[..., Any], x: Value) -> Value:
    rank = context.known_rank()
    if rank is None:
        return context.call(reduce_space, x, function is torch.amax)
    return context.call(function, x, list(range(2, rank)), keepdim=True)


def reduce_space(x: torch.Tensor, largest: bool) -> torch.Tensor:
    """Where the rank is not known at import."""
    function = torch.amax if largest else torch.mean
    return function(x, list(range(2, x.dim())), keepdim=True)


@op("GlobalAveragePool")
def global_average_pool(context: Context, x: Value) -> Value:
    return _over_space(context, torch.mean, x)


@op("GlobalMaxPool")
def global_max_pool(context: Context, x: Value) -> Value:
    return _over_space(context, torch.amax, x)


@op("GlobalLpPool")
def global_lp_pool(context: Context, x: Value) -> Value:
    return context.call(norm_of_space, x, context.attribute("p", 2))


def norm_of_space(x: torch.Tensor, p: int) -> torch.Tensor:
    axes = list(range(2, x.dim()))
    found: torch.Tensor = torch.linalg.vector_norm(x, ord=p, dim=axes, keepdim=True)
    return found
