"""Fourier transforms and filters of signals."""

from __future__ import annotations

import math
from typing import Any

import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import DTYPES, Value


@op("DFT")
def fourier(context: Context, x: Value, length: Value = None, axis: Value = None) -> Value:
    if context.opset < 20:
        over = int(context.attribute("axis", 1))
    else:
        over = context.number(axis) if axis is not None else -2
    count = context.number(length) if length is not None else None
    return context.call(
        fourier_of, x, count, over, context.flag("inverse"), context.flag("onesided")
    )


def fourier_of(
    x: torch.Tensor, count: int | None, axis: int, inverse: bool, one_sided: bool
) -> torch.Tensor:
    """The last dimension holds real and imaginary parts, or real parts alone."""
    axis = axis % x.dim()
    signal = torch.view_as_complex(x.contiguous()) if x.shape[-1] == 2 else x[..., 0]
    found: torch.Tensor
    if inverse and one_sided:
        size = 2 * (x.shape[axis] - 1) if count is None else count
        found = torch.fft.irfft(signal, size, axis)
        return found.unsqueeze(-1).to(x.dtype)
    found = (torch.fft.ifft if inverse else torch.fft.fft)(signal, count, axis)
    if one_sided:
        found = found.narrow(axis, 0, found.shape[axis] // 2 + 1)
    return torch.view_as_real(found).to(x.dtype)


@op("STFT")
def short_time_fourier(
    context: Context, x: Value, step: Value, window: Value = None, length: Value = None
) -> Value:
    size = context.number(length) if length is not None else None
    return context.call(
        fourier_of_frames, x, context.number(step), window, size, context.flag("onesided", 1)
    )


def fourier_of_frames(
    x: torch.Tensor, step: int, window: torch.Tensor | None, length: int | None, one_sided: bool
) -> torch.Tensor:
    """[batch, frames, frequencies, 2]."""
    if length is None:
        length = window.shape[0] if window is not None else x.shape[1]
    signal = torch.view_as_complex(x.contiguous()) if x.shape[-1] == 2 else x.reshape(x.shape[:2])
    frames = signal.unfold(1, length, step)
    frames = frames * window if window is not None else frames
    if one_sided and not frames.is_complex():
        return torch.view_as_real(torch.fft.rfft(frames)).to(x.dtype)
    found = torch.fft.fft(frames)
    if one_sided:
        found = found[..., : length // 2 + 1]
    return torch.view_as_real(found).to(x.dtype)


@op("MelWeightMatrix")
def mel_weights(
    context: Context, bins: Value, length: Value, rate: Value, low: Value, high: Value
) -> Value:
    dtype = DTYPES[int(context.attribute("output_datatype", 1))]
    numbers = [context.number(value) for value in (bins, length, rate, low, high)]
    return context.make(triangles, *numbers, dtype)


def triangles(
    bins: int,
    length: int,
    rate: int,
    low: float,
    high: float,
    dtype: torch.dtype,
    device: torch.device | None = None,
) -> torch.Tensor:
    """Triangular filters with corners at equal distances on the mel scale."""
    first, last = (2595 * math.log10(1 + f / 700) for f in (low, high))
    step = (last - first) / (bins + 2)
    corners = [
        int((length + 1) * (700 * (10 ** ((first + i * step) / 2595) - 1)) // rate)
        for i in range(bins + 2)
    ]
    found = torch.zeros(length // 2 + 1, bins, dtype=torch.float64)
    for i in range(bins):
        start, middle, end = corners[i : i + 3]
        if start == middle:
            found[middle, i] = 1
        for j in range(start, middle + 1 if start < middle else start):
            found[j, i] = (j - start) / (middle - start)
        for j in range(middle, end):
            found[j, i] = (end - j) / (end - middle)
    return found.to(dtype).to(device)


def _window(context: Context, length: Value, terms: list[float]) -> Value:
    dtype = DTYPES[int(context.attribute("output_datatype", 1))]
    count = context.number(length)
    return context.make(cosine_window, count, context.flag("periodic", 1), terms, dtype)


@op("HannWindow")
def hann(context: Context, length: Value) -> Value:
    return _window(context, length, [0.5, -0.5])


@op("HammingWindow")
def hamming(context: Context, length: Value) -> Value:
    return _window(context, length, [25 / 46, -21 / 46])


@op("BlackmanWindow")
def blackman(context: Context, length: Value) -> Value:
    return _window(context, length, [0.42, -0.5, 0.08])


def cosine_window(
    count: Any,
    periodic: bool,
    terms: list[float],
    dtype: torch.dtype,
    device: torch.device | None = None,
) -> torch.Tensor:
    """A sum of cosines over one period."""
    period = count if periodic else count - 1
    at = torch.arange(count, dtype=torch.float64) * (2 * math.pi / period)
    total = sum(term * torch.cos(at * i) for i, term in enumerate(terms))
    return torch.as_tensor(total).to(dtype).to(device)
