"""LSTM, GRU and RNN: PyTorch's own where it has the variant, else step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Array, Value, to_tensor

States = tuple[torch.Tensor, ...]
DEFAULTS = {
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "RNN": ["Tanh"],
}
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
# ONNX's order of gates -> PyTorch's.
ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
FUNCTIONS: dict[str, Callable[[torch.Tensor, float, float], torch.Tensor]] = {
    "sigmoid": lambda x, _, __: torch.sigmoid(x),
    "tanh": lambda x, _, __: torch.tanh(x),
    "relu": lambda x, _, __: torch.relu(x),
    "affine": lambda x, a, b: a * x + b,
    "leakyrelu": lambda x, a, _: F.leaky_relu(x, a),
    "thresholdedrelu": lambda x, a, _: F.threshold(x, a, 0.0),
    "scaledtanh": lambda x, a, b: a * torch.tanh(b * x),
    "hardsigmoid": lambda x, a, b: torch.clamp(a * x + b, 0.0, 1.0),
    "elu": lambda x, a, _: F.elu(x, a),
    "softsign": lambda x, _, __: F.softsign(x),
    "softplus": lambda x, _, __: F.softplus(x),
}
# (alpha, beta) where the model gives none.
CONSTANTS = {
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01, 0.0),
    "thresholdedrelu": (1.0, 0.0),
    "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0, 0.0),
}


@op("LSTM", "GRU", "RNN")
def recurrent(
    context: Context,
    x: Value,
    w: Value,
    r: Value,
    b: Value = None,
    lengths: Value = None,
    hidden: Value = None,
    cell: Value = None,
    peepholes: Value = None,
) -> Value | tuple[Value, ...]:
    kind, direction = context.node.op_type, context.attribute("direction", "forward")
    count = 2 if direction == "bidirectional" else 1
    activations = _activations(context, kind, count)
    settings: dict[str, Any] = {
        "kind": kind,
        "direction": direction,
        "batch_first": context.flag("layout"),
        "after": kind != "GRU" or context.flag("linear_before_reset"),
    }
    if lengths is None and peepholes is None and _is_pytorchs(context, activations, settings):
        weights = _arranged_now(w, r, b, kind)
        if weights is None:
            found = context.call(by_pytorch, x, w, r, b, hidden, cell, settings)
        else:
            found = context.call(by_arranged, x, weights, hidden, cell, count, settings)
    else:
        settings |= {"activations": activations, "clip": context.attribute("clip")}
        settings["coupled"] = context.flag("input_forget")
        found = context.call(by_steps, x, w, r, b, lengths, hidden, cell, peepholes, settings)
    return context.parts(found)


def _is_pytorchs(
    context: Context, activations: list[tuple[str, float, float]], settings: dict[str, Any]
) -> bool:
    """Whether PyTorch's own modules have the variant."""
    count = 2 if settings["direction"] == "bidirectional" else 1
    names = [n.lower() for n in DEFAULTS[settings["kind"]]] * count
    return bool(
        [name for name, _, _ in activations] == names
        and not context.attribute("clip")
        and not context.flag("input_forget")
        and settings["after"]
        and settings["direction"] != "reverse"
    )


def _activations(context: Context, kind: str, count: int) -> list[tuple[str, float, float]]:
    names = context.attribute("activations") or DEFAULTS[kind] * count
    alphas = list(context.attribute("activation_alpha") or [])
    betas = list(context.attribute("activation_beta") or [])
    found = []
    for name in (str(n).lower() for n in names):
        if name not in FUNCTIONS:
            context.refuse(f"activation {name}")
        alpha, beta = CONSTANTS.get(name, (0.0, 0.0))
        if name in CONSTANTS and alphas:
            alpha = alphas.pop(0)
        if name in ("affine", "scaledtanh", "hardsigmoid") and betas:
            beta = betas.pop(0)
        found.append((name, float(alpha), float(beta)))
    return found


def by_pytorch(
    x: torch.Tensor,
    w: torch.Tensor,
    r: torch.Tensor,
    b: torch.Tensor | None,
    hidden: torch.Tensor | None,
    cell: torch.Tensor | None,
    settings: dict[str, Any],
) -> States:
    """Weights that are not known at import."""
    return by_arranged(x, arranged(w, r, b, settings["kind"]), hidden, cell, w.shape[0], settings)


def _arranged_now(w: Value, r: Value, b: Value, kind: str) -> list[Array] | None:
    if not isinstance(w, np.ndarray) or not isinstance(r, np.ndarray):
        return None
    if b is not None and not isinstance(b, np.ndarray):
        return None
    bias = None if b is None else to_tensor(b)
    return [weight.numpy() for weight in arranged(to_tensor(w), to_tensor(r), bias, kind)]


def arranged(
    w: torch.Tensor, r: torch.Tensor, b: torch.Tensor | None, kind: str
) -> list[torch.Tensor]:
    """Weights and biases, one direction after the other, with the gates in PyTorch's order."""
    weights = []
    for d in range(w.shape[0]):
        weights += [_reordered(w[d], kind), _reordered(r[d], kind)]
        if b is not None:
            weights += [_reordered(part, kind) for part in b[d].chunk(2)]
    return weights


def by_arranged(
    x: torch.Tensor,
    weights: list[torch.Tensor],
    hidden: torch.Tensor | None,
    cell: torch.Tensor | None,
    count: int,
    settings: dict[str, Any],
) -> States:
    """Through torch.lstm and its kin."""
    kind, size = settings["kind"], weights[1].shape[-1]
    batch_first = settings["batch_first"]
    x = x.transpose(0, 1) if batch_first else x
    zero = x.new_zeros(count, x.shape[1], size)
    states = [_state(s, batch_first, zero) for s in (hidden, cell)]
    rest = (weights, len(weights) == 4 * count, 1, 0.0, False, count == 2, False)
    if kind == "LSTM":
        y, *last = torch.lstm(x, states, *rest)
    else:
        function: Any = torch.gru if kind == "GRU" else torch.rnn_tanh
        y, *last = function(x, states[0], *rest)
    y = y.reshape(y.shape[0], y.shape[1], count, size).transpose(1, 2)
    return _placed(y, last, batch_first)


def _reordered(weight: torch.Tensor, kind: str) -> torch.Tensor:
    parts = weight.chunk(GATES[kind])
    return torch.cat([parts[i] for i in ORDER[kind]])


def _state(state: torch.Tensor | None, batch_first: bool, zero: torch.Tensor) -> torch.Tensor:
    if state is None:
        return zero
    return state.transpose(0, 1).contiguous() if batch_first else state


def _placed(y: torch.Tensor, last: Any, batch_first: bool) -> States:
    """[steps, directions, batch, size], or with the batch first."""
    if not batch_first:
        return (y, *last)
    return (y.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in last))


def by_steps(
    x: torch.Tensor,
    w: torch.Tensor,
    r: torch.Tensor,
    b: torch.Tensor | None,
    lengths: torch.Tensor | None,
    hidden: torch.Tensor | None,
    cell: torch.Tensor | None,
    peepholes: torch.Tensor | None,
    settings: dict[str, Any],
) -> States:
    """Any variant."""
    kind, count, size = settings["kind"], w.shape[0], r.shape[-1]
    x = x.transpose(0, 1) if settings["batch_first"] else x
    zero = x.new_zeros(count, x.shape[1], size)
    states = [_state(s, settings["batch_first"], zero) for s in (hidden, cell)]
    each = len(settings["activations"]) // count
    found = []
    for d in range(count):
        functions = [_function(a) for a in settings["activations"][d * each : (d + 1) * each]]
        bias = b[d] if b is not None else x.new_zeros(2 * w.shape[1])
        parts = (w[d], r[d], *bias.chunk(2), None if peepholes is None else peepholes[d])
        backwards = settings["direction"] == "reverse" or d == 1
        first = [s[d] for s in states]
        found.append(_one_direction(x, parts, first, lengths, backwards, functions, settings))
    y = torch.stack([f[0] for f in found], 1)
    last = [torch.stack([f[1][i] for f in found]) for i in range(2 if kind == "LSTM" else 1)]
    return _placed(y, last, settings["batch_first"])


def _function(activation: tuple[str, float, float]) -> Callable[[torch.Tensor], torch.Tensor]:
    name, alpha, beta = activation
    return lambda x: FUNCTIONS[name](x, alpha, beta)


def _one_direction(
    x: torch.Tensor,
    parts: Any,
    states: list[torch.Tensor],
    lengths: torch.Tensor | None,
    backwards: bool,
    functions: list[Callable[[torch.Tensor], torch.Tensor]],
    settings: dict[str, Any],
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    step = {"LSTM": _lstm_step, "GRU": _gru_step, "RNN": _rnn_step}[settings["kind"]]
    outputs: list[torch.Tensor] = []
    steps = range(x.shape[0])
    for t in reversed(steps) if backwards else steps:
        new = step(x[t], states, parts, functions, settings)
        y = new[0]
        if lengths is not None:
            # Steps beyond a sequence's end leave its state alone, and give 0.
            runs = (lengths > t)[:, None]
            new = [torch.where(runs, a, b) for a, b in zip(new, states, strict=False)]
            y = torch.where(runs, y, 0.0)
        states = new
        outputs.append(y)
    return torch.stack(outputs[::-1] if backwards else outputs), states


def _clipped(x: torch.Tensor, settings: dict[str, Any]) -> torch.Tensor:
    clip = settings["clip"]
    return x.clamp(-clip, clip) if clip else x


def _lstm_step(
    x: torch.Tensor, states: list[torch.Tensor], parts: Any, f: Any, settings: dict[str, Any]
) -> list[torch.Tensor]:
    w, r, wb, rb, peepholes = parts
    hidden, cell = states
    i, o, forget, c = (F.linear(x, w, wb) + F.linear(hidden, r, rb)).chunk(4, -1)
    if peepholes is not None:
        pi, po, pf = peepholes.chunk(3)
        i, forget = i + pi * cell, forget + pf * cell
    i = f[0](_clipped(i, settings))
    forget = 1 - i if settings["coupled"] else f[0](_clipped(forget, settings))
    cell = forget * cell + i * f[1](_clipped(c, settings))
    o = o + po * cell if peepholes is not None else o
    return [f[0](_clipped(o, settings)) * f[2](cell), cell]


def _gru_step(
    x: torch.Tensor, states: list[torch.Tensor], parts: Any, f: Any, settings: dict[str, Any]
) -> list[torch.Tensor]:
    w, r, wb, rb, _ = parts
    hidden = states[0]
    z, reset, new = F.linear(x, w, wb).chunk(3, -1)
    (rz, rr, rn), (bz, br, bn) = r.chunk(3), rb.chunk(3)
    z = f[0](_clipped(z + F.linear(hidden, rz, bz), settings))
    reset = f[0](_clipped(reset + F.linear(hidden, rr, br), settings))
    if settings["after"]:
        new = new + reset * F.linear(hidden, rn, bn)
    else:
        new = new + F.linear(reset * hidden, rn, bn)
    return [(1 - z) * f[1](_clipped(new, settings)) + z * hidden]


def _rnn_step(
    x: torch.Tensor, states: list[torch.Tensor], parts: Any, f: Any, settings: dict[str, Any]
) -> list[torch.Tensor]:
    w, r, wb, rb, _ = parts
    total = F.linear(x, w, wb) + F.linear(states[0], r, rb)
    return [f[0](_clipped(total, settings))]
