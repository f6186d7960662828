"""Propose inputs for a PyTorch model: from what it declares, else by trial. Job processes only."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch

from profiler.errors import ModelFileError
from profiler.inputs import make_arrays
from profiler.proposals import propose_input
from profiler.types import Fill, InputSpec, ModelKind, ModelSource, TensorSpec

Proposal = tuple[str, tuple[int, ...], tuple[str, ...], int | None]

IMAGE_SIZES = (224, 64, 32, 28, 256, 384)
SIGNAL_SIZES = (16_000, 512, 128)


def propose(
    module: torch.nn.Module, source: ModelSource, notes: list[str]
) -> tuple[list[InputSpec], list[TensorSpec]]:
    """Inputs that the model takes, and the outputs that it gave for them.

    What can't be told is added to `notes`. Raises ModelFileError for a model without tensor inputs.
    """
    if source.kind is ModelKind.TORCH_EXPORT and isinstance(module, torch.fx.GraphModule):
        inputs = [_from_placeholder(node) for node in module.graph.find_nodes(op="placeholder")]
    else:
        inputs = _by_trial(module, _argument_names(module, notes), notes)
    return inputs, _outputs(module, inputs, notes)


def _from_placeholder(node: torch.fx.Node) -> InputSpec:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        raise ModelFileError(
            f"Input {node.name} of the exported program is a {type(value).__name__}, no tensor.",
            "Export the model with tensor inputs only.",
        )
    dims = [int(d) if isinstance(d, int) else str(d) for d in value.shape]
    spec = propose_input(node.name, _dtype_name(value.dtype), dims)
    # The exporter's own example sizes are known to work.
    hints = tuple(
        spec.shape[i] if isinstance(d, int) else int(d.node.hint or spec.shape[i])
        for i, d in enumerate(value.shape)
    )
    return InputSpec(
        name=spec.name,
        dtype=spec.dtype,
        shape=hints,
        symbols=spec.symbols,
        fill=spec.fill,
        high=spec.high,
    )


def _argument_names(module: torch.nn.Module, notes: list[str]) -> list[str]:
    if not isinstance(module, torch.jit.ScriptModule):
        parameters = inspect.signature(module.forward).parameters.values()
        return [
            p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
    forward: Any = module.forward
    arguments = forward.schema.arguments[1:]
    names = []
    for argument in arguments:
        kind = str(argument.type)
        if kind == "Tensor":
            names.append(argument.name)
        elif not argument.has_default_value():
            notes.append(
                f"Argument {argument.name} of forward is a {kind}; only tensors can be fed, "
                "so this model can't be run as it is."
            )
    return names


def _by_trial(module: torch.nn.Module, names: list[str], notes: list[str]) -> list[InputSpec]:
    """The first candidate that runs; every tensor argument gets the same shape."""
    if not names:
        raise ModelFileError("The model takes no tensors.", "Open a model with tensor inputs.")
    candidates = [[_spec(name, found) for name in names] for found in _candidates(module)]
    for inputs in candidates:
        if _runs(module, inputs):
            return inputs
    notes.append("The input shapes could not be found by trial: set them in the inputs table.")
    return candidates[0]


def _spec(name: str, found: Proposal) -> InputSpec:
    dtype, shape, symbols, vocabulary = found
    spec = propose_input(name, dtype, list(symbols), vocabulary)
    return InputSpec(
        name=name,
        dtype=dtype,
        shape=shape,
        symbols=tuple(symbol or None for symbol in symbols),
        fill=Fill.INTEGERS if vocabulary else spec.fill,
        high=float(vocabulary or 1),
        guessed=True,
    )


def _candidates(module: torch.nn.Module) -> Iterator[Proposal]:
    """Shapes by the first layer with weights; `symbols` has "" where the layer fixes the size."""
    children: Iterator[Any] = module.modules()
    for child in children:
        kind = getattr(child, "original_name", type(child).__name__)
        if kind == "Embedding":
            rows = int(child.weight.shape[0])
            yield ("int64", (1, 128), ("batch", "sequence"), rows)
            yield ("int64", (1, 16), ("batch", "sequence"), rows)
        elif kind == "MultiheadAttention":
            width = int(child.out_proj.weight.shape[0])
            yield ("float32", (1, 128, width), ("batch", "sequence", ""), None)
        elif kind == "Conv2d":
            channels = _attribute(child, "in_channels", int(child.weight.shape[1]))
            for size in IMAGE_SIZES:
                symbols = ("batch", "", "height", "width")
                yield ("float32", (1, channels, size, size), symbols, None)
        elif kind == "Conv1d":
            channels = _attribute(child, "in_channels", int(child.weight.shape[1]))
            for size in SIGNAL_SIZES:
                yield ("float32", (1, channels, size), ("batch", "", "length"), None)
        elif kind == "Linear":
            yield ("float32", (1, int(child.weight.shape[1])), ("batch", ""), None)
            yield (
                "float32",
                (1, 128, int(child.weight.shape[1])),
                ("batch", "sequence", ""),
                None,
            )
        elif kind in ("LSTM", "GRU", "RNN"):
            width = int(child.weight_ih_l0.shape[1])
            yield ("float32", (1, 128, width), ("batch", "sequence", ""), None)
    yield ("float32", (1, 3, 224, 224), ("batch", "channels", "height", "width"), None)
    yield ("float32", (1, 128), ("batch", "features"), None)


def _attribute(child: Any, name: str, default: int) -> int:
    return int(getattr(child, name, default))


def _call(module: torch.nn.Module, inputs: list[InputSpec]) -> Any:
    arrays = make_arrays(inputs)
    with torch.inference_mode():
        return module(*(torch.from_numpy(arrays[spec.name]) for spec in inputs))


def _runs(module: torch.nn.Module, inputs: list[InputSpec]) -> bool:
    try:
        _call(module, inputs)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False
    return True


def _outputs(
    module: torch.nn.Module, inputs: list[InputSpec], notes: list[str]
) -> list[TensorSpec]:
    from profiler.engines.torch_common import flatten_outputs

    try:
        tensors = flatten_outputs(_call(module, inputs))
    except Exception as error:
        # Whatever the model raises is told; the inputs can still be changed.
        notes.append(f"A trial run failed: {type(error).__name__}: {str(error)[:300]}")
        return []
    return [
        TensorSpec(name=f"output {i}", dtype=_dtype_name(t.dtype), shape=tuple(t.shape))
        for i, t in enumerate(tensors)
    ]


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
