"""Propose inputs for a PyTorch model: from what it declares, else by trial. Job processes only."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
import torch

from profiler import torch_limits
from profiler.aot_package import PackagedModel
from profiler.call_by_name import positional
from profiler.engines.torch_common import flatten_outputs, to_tensor
from profiler.errors import ModelFileError
from profiler.input_candidates import Candidate, Proposal, candidates
from profiler.inputs import make_arrays
from profiler.proposals import propose_input
from profiler.types import InputSpec, ModelKind, ModelSource, TensorSpec

# Real trials of larger models take too long; on the meta device they cost nothing.
MOST_REAL_BYTES = 2 << 30


def propose(
    module: torch.nn.Module, source: ModelSource, notes: list[str]
) -> tuple[list[InputSpec], list[TensorSpec]]:
    """Inputs that the model takes, and the outputs that it gave for them.

    What can't be told is added to `notes`. Raises ModelFileError for a model without tensor inputs.
    """
    if isinstance(module, PackagedModel):
        return _of_package(module, notes), []
    if source.kind is ModelKind.TORCH_EXPORT and isinstance(module, torch.fx.GraphModule):
        limits = torch_limits.by_graph(module)
        nodes = module.graph.find_nodes(op="placeholder")
        inputs = [_from_placeholder(node, limits.get(node.name)) for node in nodes]
    else:
        inputs = _by_trial(module, _argument_names(module, notes), notes)
    return inputs, _outputs(module, inputs, notes)


def _of_package(module: PackagedModel, notes: list[str]) -> list[InputSpec]:
    """Compiled code checks no shapes: nothing is tried, a wrong one could crash it."""
    notes.append(
        "A compiled package does not tell its inputs' shapes: set them as they were compiled."
    )
    proposal: Proposal = ("float32", (1, 3, 224, 224), ("batch", "", "height", "width"))
    return [_spec(f"input_{i}", proposal) for i in range(module.argument_count())]


def _from_placeholder(node: torch.fx.Node, limit: int | None) -> InputSpec:
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        raise ModelFileError(
            f"Input {node.name} of the exported program is a {type(value).__name__}, no tensor.",
            "Export the model with tensor inputs only.",
        )
    dims = [int(d) if isinstance(d, int) else str(d) for d in value.shape]
    spec = propose_input(node.name, _dtype_name(value.dtype), dims, limit)
    # The exporter's own example sizes are known to work.
    hints = tuple(
        spec.shape[i] if isinstance(d, int) else int(d.node.hint or spec.shape[i])
        for i, d in enumerate(value.shape)
    )
    return msgspec.structs.replace(spec, shape=hints)


def _argument_names(module: torch.nn.Module, notes: list[str]) -> list[str]:
    if not isinstance(module, torch.jit.ScriptModule):
        return _python_names(module)
    forward: Any = module.forward
    names = []
    for argument in forward.schema.arguments[1:]:
        kind = str(argument.type)
        if kind == "Tensor":
            names.append(argument.name)
        elif not argument.has_default_value():
            notes.append(
                f"Argument {argument.name} of forward is a {kind}; only tensors can be fed, "
                "so this model can't be run as it is."
            )
    return names


def _python_names(module: torch.nn.Module) -> list[str]:
    """Arguments without a default; of a transformers model, its main input and the mask."""
    parameters = inspect.signature(module.forward).parameters
    main = getattr(module, "main_input_name", None)
    if isinstance(main, str) and main in parameters:
        names = [main]
        if main == "input_ids" and "attention_mask" in parameters:
            names.append("attention_mask")
        if getattr(getattr(module, "config", None), "is_encoder_decoder", False):
            names.append("decoder_input_ids")
        return names
    plain = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = [p.name for p in plain if p.default is p.empty]
    if needed or not parameters:
        return needed
    return [plain[0].name] if plain else ["input"]


def _by_trial(module: torch.nn.Module, names: list[str], notes: list[str]) -> list[InputSpec]:
    """The first candidate that runs: without memory on the meta device, else for real."""
    if not names:
        raise ModelFileError("The model takes no tensors.", "Open a model with tensor inputs.")
    tried = [_specs(found) for found in candidates(module, names)]
    for inputs in tried:
        if _runs_on_meta(module, inputs) and _runs(module, inputs):
            return _limited(module, inputs)
    size_bytes = sum(p.numel() * p.element_size() for p in module.parameters())
    for inputs in tried if size_bytes < MOST_REAL_BYTES else tried[:1]:
        if _runs(module, inputs):
            return _limited(module, inputs)
    notes.append("The input shapes could not be found by trial: set them in the inputs table.")
    return tried[0]


def _specs(candidate: Candidate) -> list[InputSpec]:
    return [_spec(name, proposal) for name, proposal in candidate.items()]


def _spec(name: str, proposal: Proposal) -> InputSpec:
    dtype, shape, symbols = proposal
    is_index = dtype.startswith("int")
    spec = propose_input(name, dtype, list(symbols), 2 if is_index else None)
    return msgspec.structs.replace(
        spec,
        shape=shape,
        symbols=tuple(symbol or None for symbol in symbols),
        limit=None,
        guessed=True,
    )


def _limited(module: torch.nn.Module, inputs: list[InputSpec]) -> list[InputSpec]:
    """With the rows of the tables that they index; indices of an unknown one stay 0 and 1."""
    if isinstance(module, torch.jit.ScriptModule):
        limits = torch_limits.by_script(module)
    else:
        tensors = _tensors(inputs)
        limits = torch_limits.by_hooks(module, tensors, lambda: _called(module, tensors))
    return [
        msgspec.structs.replace(spec, high=float(limits[spec.name]), limit=limits[spec.name])
        if spec.name in limits
        else spec
        for spec in inputs
    ]


def _tensors(inputs: list[InputSpec]) -> dict[str, torch.Tensor]:
    return {name: to_tensor(array) for name, array in make_arrays(inputs).items()}


def _called(module: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> Any:
    with torch.inference_mode():
        return positional(module, list(tensors))(*tensors.values())


def _runs(module: torch.nn.Module, inputs: list[InputSpec]) -> bool:
    try:
        _called(module, _tensors(inputs))
    except Exception:
        # A model raises anything on what it doesn't take; the last trial's reason is told.
        return False
    return True


def _runs_on_meta(module: torch.nn.Module, inputs: list[InputSpec]) -> bool:
    """Shapes only: no memory, no arithmetic. TorchScript and some modules can't."""
    if isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule):
        return False
    named = positional(module, [spec.name for spec in inputs])
    state = {
        name: torch.empty_like(value, device="meta")
        for name, value in (*named.named_parameters(), *named.named_buffers())
    }
    tensors = tuple(tensor.to("meta") for tensor in _tensors(inputs).values())
    try:
        with torch.no_grad():
            torch.func.functional_call(named, state, tensors)
    except Exception:
        # What has no shape function, or makes tensors of its own, is tried for real.
        return False
    return True


def _outputs(
    module: torch.nn.Module, inputs: list[InputSpec], notes: list[str]
) -> list[TensorSpec]:
    try:
        tensors = flatten_outputs(_called(module, _tensors(inputs)))
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
