"""Steps of optimizers, which ONNX has as operators of its training preview."""

from __future__ import annotations

from typing import Any

import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value

DOMAIN = "ai.onnx.preview.training"
States = tuple[torch.Tensor, ...]


def _each(context: Context, function: Any, values: tuple[Value, ...], groups: int) -> Any:
    """Inputs come grouped by kind: all weights, all gradients, all of each state."""
    rate, step, *rest = values
    count = len(rest) // groups
    settings = {
        name: float(context.attribute(name, default))
        for name, default in (
            ("alpha", 0.9),
            ("beta", 0.999),
            ("epsilon", 1e-6),
            ("decay_factor", 0.0),
            ("norm_coefficient", 0.0),
            ("norm_coefficient_post", 0.0),
        )
    }
    mode = context.attribute("mode", "standard")
    found = [
        context.parts(
            context.call(function, rate, step, *rest[i::count], settings, mode), groups - 1
        )
        for i in range(count)
    ]
    return tuple(parts[kind] for kind in range(groups - 1) for parts in found)


@op("Adagrad", domain=DOMAIN)
def adagrad(context: Context, *values: Value) -> Any:
    return _each(context, adagrad_step, values, 3)


def adagrad_step(
    rate: torch.Tensor,
    step: torch.Tensor,
    x: torch.Tensor,
    gradient: torch.Tensor,
    squares: torch.Tensor,
    settings: dict[str, float],
    mode: str,
) -> States:
    del mode
    gradient = settings["norm_coefficient"] * x + gradient
    squares = squares + gradient * gradient
    rate = rate / (1 + step * settings["decay_factor"])
    return x - rate * gradient / (torch.sqrt(squares) + settings["epsilon"]), squares


@op("Adam", domain=DOMAIN)
def adam(context: Context, *values: Value) -> Any:
    return _each(context, adam_step, values, 4)


def adam_step(
    rate: torch.Tensor,
    step: torch.Tensor,
    x: torch.Tensor,
    gradient: torch.Tensor,
    mean: torch.Tensor,
    squares: torch.Tensor,
    settings: dict[str, float],
    mode: str,
) -> States:
    del mode
    alpha, beta = settings["alpha"], settings["beta"]
    gradient = settings["norm_coefficient"] * x + gradient
    mean = alpha * mean + (1 - alpha) * gradient
    squares = beta * squares + (1 - beta) * gradient * gradient
    corrected = rate * torch.sqrt(1 - beta**step) / (1 - alpha**step)
    rate = torch.where(step > 0, corrected, rate)
    x = x - rate * mean / (torch.sqrt(squares) + settings["epsilon"])
    return (1 - settings["norm_coefficient_post"]) * x, mean, squares


@op("Momentum", domain=DOMAIN)
def momentum(context: Context, *values: Value) -> Any:
    return _each(context, momentum_step, values, 3)


def momentum_step(
    rate: torch.Tensor,
    step: torch.Tensor,
    x: torch.Tensor,
    gradient: torch.Tensor,
    velocity: torch.Tensor,
    settings: dict[str, float],
    mode: str,
) -> States:
    gradient = settings["norm_coefficient"] * x + gradient
    beta = torch.where(step > 0, settings["beta"], 1.0)
    velocity = settings["alpha"] * velocity + beta * gradient
    if mode == "nesterov":
        return x - rate * (gradient + settings["alpha"] * velocity), velocity
    return x - rate * velocity, velocity
