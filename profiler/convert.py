"""PyTorch model -> ONNX file, checked against PyTorch and cached. Runs in a job process only."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from profiler.engines.torch_common import flatten_outputs, to_tensor
from profiler.errors import ConversionError
from profiler.inputs import make_arrays
from profiler.outputs import compare_outputs
from profiler.torch_files import first_line, load_program, load_torch_model
from profiler.types import InputSpec, ModelKind, ModelSource

# Part of the cache's key: raise it when the same input would give another file.
CACHE_VERSION = 1
ANSI_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
Progress = Callable[[str], None]


def convert_to_onnx(
    source: ModelSource, inputs: Sequence[InputSpec], out_dir: Path, progress: Progress
) -> tuple[ModelSource, tuple[str, ...]]:
    """Convert, compare outputs with PyTorch's, keep the file by the source's hash.

    Returns the ONNX file and notes (how it was converted, how far outputs differ).
    Raises ConversionError with the exporters' reasons, UnsafeModelError, ModelFileError.
    """
    from profiler.model_file import identify

    target = out_dir / _key(source, inputs)
    model_path, notes_path = target / "model.onnx", target / "notes.json"
    if not (notes_path.exists() and model_path.exists()):
        target.mkdir(parents=True, exist_ok=True)
        notes = _convert(source, inputs, model_path, progress)
        notes_path.write_text(json.dumps(notes), encoding="utf-8")
    notes = json.loads(notes_path.read_text(encoding="utf-8"))
    found = identify(model_path)
    model = ModelSource(
        path=found.path,
        kind=found.kind,
        sha256=found.sha256,
        size_bytes=found.size_bytes,
        opset=found.opset,
        producer=found.producer,
        derived_from=source.sha256,
    )
    return model, tuple(notes)


def _key(source: ModelSource, inputs: Sequence[InputSpec]) -> str:
    """Shapes count: where dynamic export fails, the file fits one shape only."""
    parts = [str(CACHE_VERSION), torch.__version__, source.sha256]
    parts += [f"{spec.name}:{spec.dtype}:{spec.shape}" for spec in inputs]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _convert(
    source: ModelSource, inputs: Sequence[InputSpec], path: Path, progress: Progress
) -> list[str]:
    progress("loading the PyTorch model")
    module = load_torch_model(source)
    arrays = make_arrays(inputs)
    tensors = tuple(to_tensor(arrays[spec.name]) for spec in inputs)
    expected = _outputs(module, tensors)
    reasons = []
    for name, export in _ways(source, module, tensors, inputs):
        progress(f"converting with {name}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                export(path)
            progress("comparing outputs with PyTorch")
            return [f"Converted with {name}.", *_check(path, inputs, expected)]
        except ConversionError:
            raise
        except Exception as error:
            # Exporters raise anything; the next way may work, and every reason is told.
            reasons.append(f"{name}: {_reason(error)}")
    raise ConversionError(
        "The model could not be converted to ONNX. " + " | ".join(reasons),
        "The PyTorch lane still runs. Operators named above may need a newer exporter.",
    )


def _outputs(module: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> list[Any]:
    """Arrays that PyTorch gives. Raises ConversionError where the model doesn't take the inputs."""
    try:
        with torch.inference_mode():
            return [
                t.float().numpy() if t.dtype is torch.bfloat16 else t.numpy()
                for t in flatten_outputs(module(*tensors))
            ]
    except Exception as error:
        # A model raises anything.
        shapes = ", ".join(str(list(tensor.shape)) for tensor in tensors)
        raise ConversionError(
            f"The model fails in PyTorch on inputs of shape {shapes}: {_reason(error)}",
            "Give the inputs shapes and dtypes that the model takes.",
        ) from error


def _reason(error: BaseException) -> str:
    """The exporter's wrapper errors say little: the first line of what is at the bottom."""
    while error.__cause__ is not None:
        error = error.__cause__
    return ANSI_COLOURS.sub("", first_line(error))


def _ways(
    source: ModelSource,
    module: torch.nn.Module,
    tensors: tuple[torch.Tensor, ...],
    inputs: Sequence[InputSpec],
) -> list[tuple[str, Callable[[Path], Any]]]:
    """Exporters in the order to try, each with its name."""
    names = [spec.name for spec in inputs]

    def dynamo(program: Any, **more: Any) -> Callable[[Path], Any]:
        def export(path: Path) -> Any:
            return torch.onnx.export(
                program, f=path, dynamo=True, external_data=False, input_names=names, **more
            )

        return export

    if source.kind is ModelKind.TORCH_EXPORT:

        def from_file(path: Path) -> Any:
            return dynamo(load_program(Path(source.path)))(path)

        return [("torch.onnx (dynamo)", from_file)]
    if source.kind is ModelKind.TORCHSCRIPT:
        from torch._export.converter import TS2EPConverter

        def through_export(path: Path) -> Any:
            return dynamo(TS2EPConverter(cast(torch.jit.ScriptModule, module), tensors).convert())(
                path
            )

        def older(path: Path) -> Any:
            axes = {spec.name: _dynamic_axes(spec) for spec in inputs}
            return torch.onnx.export(
                module, tensors, str(path), dynamo=False, input_names=names, dynamic_axes=axes
            )

        return [
            ("TS2EPConverter and torch.onnx (dynamo)", through_export),
            ("torch.onnx (TorchScript exporter)", older),
        ]
    shapes = tuple(
        {i: torch.export.Dim.AUTO for i, symbol in enumerate(spec.symbols) if symbol}
        for spec in inputs
    )
    return [
        (
            "torch.onnx (dynamo, dynamic shapes)",
            dynamo(module, args=tensors, dynamic_shapes=shapes),
        ),
        ("torch.onnx (dynamo, fixed shapes)", dynamo(module, args=tensors)),
    ]


def _dynamic_axes(spec: InputSpec) -> dict[int, str]:
    return {i: symbol for i, symbol in enumerate(spec.symbols) if symbol}


def _check(path: Path, inputs: Sequence[InputSpec], expected: list[Any]) -> list[str]:
    """Compare ONNX Runtime's outputs with PyTorch's. Raises ConversionError on other shapes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    arrays = make_arrays(inputs)
    known = {item.name for item in session.get_inputs()}
    actual = session.run(None, {name: value for name, value in arrays.items() if name in known})
    names = [item.name for item in session.get_outputs()]
    differences = compare_outputs(names, expected, [np.asarray(value) for value in actual])
    if any(not np.isfinite(d.max_abs) for d in differences):
        notes = "; ".join(f"{d.name}: {d.note}" for d in differences)
        raise ConversionError(
            f"The converted model gives other outputs than PyTorch: {notes}.",
            "The exporter mistook the model; the PyTorch lane still runs.",
        )
    worst = max((d.max_abs for d in differences), default=0.0)
    verdict = (
        "within tolerance"
        if all(d.within_tolerance for d in differences)
        else "PAST TOLERANCE: the conversion changed the model's results"
    )
    return [f"Largest difference of its outputs from PyTorch's: {worst:.3g} ({verdict})."]
