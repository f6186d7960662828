"""What the PyTorch engines share: the model, its inputs, outputs as NumPy arrays, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from profiler.errors import EngineError, ProfilerError
from profiler.freed_memory import keep_freed_memory
from profiler.inputs import make_arrays
from profiler.outputs import save_outputs
from profiler.types import InputSpec, Load, ModelKind

NOTES = {
    ModelKind.ONNX: "imported from ONNX",
    ModelKind.TORCHSCRIPT: "TorchScript",
    ModelKind.TORCH_EXPORT: "exported program",
    ModelKind.AOT_INDUCTOR: "compiled package",
    ModelKind.PICKLED_MODULE: "nn.Module",
    ModelKind.STATE_DICT: "nn.Module of a factory",
    ModelKind.CHECKPOINT: "nn.Module of a factory",
    ModelKind.SAFETENSORS: "nn.Module of a factory",
    ModelKind.TRANSFORMERS: "transformers model",
}


def load_module(command: Load) -> torch.nn.Module:
    """The model as a module in evaluation mode; an ONNX file through the importer."""
    if command.model.kind is ModelKind.ONNX:
        from profiler.onnx_torch import import_onnx

        return import_onnx(Path(command.model.path))
    from profiler.call_by_name import positional
    from profiler.torch_files import load_torch_model

    return positional(load_torch_model(command.model), [spec.name for spec in command.inputs])


def load_python_module(command: Load) -> tuple[torch.nn.Module, str]:
    """The model as a module that runs without TorchScript, and a note on where it comes from.

    Raises EngineError for TorchScript that can't be brought into that form.
    """
    note = NOTES[command.model.kind]
    if command.model.kind is not ModelKind.TORCHSCRIPT:
        return load_module(command), note
    from torch._export.converter import TS2EPConverter

    try:
        # Outside of inference mode, whose tensors an export refuses.
        with torch.inference_mode(False), torch.no_grad():
            script = cast(torch.jit.ScriptModule, load_module(command))
            tensors = tuple(make_tensors(command, script))
            return TS2EPConverter(script, tensors).convert().module(), f"converted from {note}"
    except ProfilerError:
        raise
    except Exception as error:
        # The converter raises anything.
        raise EngineError(
            f"This TorchScript can't be run by {command.spec.engine.value}: "
            f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}",
            "Use the engine torch-script for it.",
        ) from error


def make_tensors(command: Load, module: torch.nn.Module) -> list[torch.Tensor]:
    """Inputs in the order of the module's arguments, on the lane's device."""
    return tensors_of(command.inputs, input_names(module), command.spec.device)


def input_names(module: torch.nn.Module) -> tuple[str, ...]:
    """In the order of the module's arguments; empty where they are the plan's."""
    return tuple(getattr(module, "meta", {}).get("input_names", ()))


def tensors_of(
    inputs: Sequence[InputSpec], names: Sequence[str], device: str
) -> list[torch.Tensor]:
    """The same for any inputs."""
    arrays = make_arrays(inputs)
    names = names or list(arrays)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise EngineError(f"The model takes inputs that have no values: {', '.join(missing)}.")
    return [to_tensor(arrays[name]).to(device) for name in names]


def to_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    """Shares memory where it can; bfloat16 (ml_dtypes) goes by its bits."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    # `ascontiguousarray` gives a scalar a dimension.
    return torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))


def set_up_process(options: Mapping[str, str | int | float | bool]) -> None:
    """Threads and memory are per process in PyTorch, and a lane is a process."""
    if options.get("keep_memory"):
        keep_freed_memory()
    if intra := int(options.get("intra_op_threads", 0)):
        torch.set_num_threads(intra)
    if inter := int(options.get("inter_op_threads", 0)):
        torch.set_num_interop_threads(inter)


def flatten_outputs(value: object) -> list[torch.Tensor]:
    """Tensors of a nest of tuples, lists and mappings, depth first, as exporters order them."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for item in value.values() for tensor in flatten_outputs(item)]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [tensor for item in value for tensor in flatten_outputs(item)]
    return []


def save_tensors(tensors: Sequence[torch.Tensor], path: Path) -> None:
    """Write one call's outputs; bfloat16 as float32, which holds all its values."""
    plain = [t.float() if t.dtype is torch.bfloat16 else t for t in tensors]
    save_outputs(path, [t.detach().cpu().numpy() for t in plain])
