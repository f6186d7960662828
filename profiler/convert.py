"""PyTorch model -> ONNX file, checked against PyTorch and cached. Runs in a job process only."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import torch

from profiler import conversion_check
from profiler.call_by_name import ByName, positional
from profiler.conversion_check import reason
from profiler.conversion_time import keep_duration
from profiler.engines.torch_common import to_tensor
from profiler.errors import ConversionError
from profiler.inputs import make_arrays
from profiler.torch_files import load_program, load_torch_model
from profiler.types import InputSpec, ModelKind, ModelSource

# Part of the cache's key: raise it when the same input would give another file.
CACHE_VERSION = 2
# A protocol buffer ends at 2 GiB; weights above this go beside the file.
EXTERNAL_ABOVE_BYTES = 1 << 30
MODEL, NOTES, DRAFT = "model.onnx", "notes.json", ".part"
# No conversion may take this long (`jobs.CONVERT_TIMEOUT_S`).
ABANDONED_AFTER_S = 2 * 3600.0
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
    if not _is_whole(target):
        _make(source, inputs, target, progress)
    notes = json.loads((target / NOTES).read_text(encoding="utf-8"))
    found = identify(target / MODEL)
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


def _is_whole(folder: Path) -> bool:
    return (folder / MODEL).exists() and (folder / NOTES).exists()


def _make(
    source: ModelSource, inputs: Sequence[InputSpec], target: Path, progress: Progress
) -> None:
    """Convert in a folder beside the target: another process may be at the same, or kill this."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, suffix=DRAFT) as folder:
        draft = Path(folder) / target.name
        draft.mkdir()
        with keep_duration(draft):
            notes = _convert(source, inputs, draft / MODEL, progress)
        (draft / NOTES).write_text(json.dumps(notes), encoding="utf-8")
        try:
            draft.rename(target)
        except OSError:
            # Another process was faster, unless an older version left half of a conversion.
            if not _is_whole(target):
                shutil.rmtree(target)
                draft.rename(target)


def _sweep(folder: Path) -> None:
    """Remove what conversions that were killed have left."""
    for draft in folder.glob(f"*{DRAFT}"):
        if time.time() - draft.stat().st_mtime > ABANDONED_AFTER_S:
            shutil.rmtree(draft, ignore_errors=True)


def _key(source: ModelSource, inputs: Sequence[InputSpec]) -> str:
    """Shapes count: where dynamic export fails, the file fits one shape only."""
    parts = [str(CACHE_VERSION), torch.__version__, source.sha256]
    parts += [f"{spec.name}:{spec.dtype}:{spec.shape}" for spec in inputs]
    if source.factory is not None:
        parts.append(msgspec.json.encode(source.factory).decode())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _convert(
    source: ModelSource, inputs: Sequence[InputSpec], path: Path, progress: Progress
) -> list[str]:
    if source.kind is ModelKind.AOT_INDUCTOR:
        raise ConversionError(
            "An AOTInductor package is native code, which has no graph to convert.",
            "Open the torch.export .pt2 that it was compiled from.",
        )
    progress("loading the PyTorch model")
    if source.kind is ModelKind.TRANSFORMERS:
        from profiler.generation.cache_export import export_with_cache

        return export_with_cache(Path(source.path), path)
    module = positional(load_torch_model(source), [spec.name for spec in inputs])
    arrays = make_arrays(inputs)
    tensors = tuple(to_tensor(arrays[spec.name]) for spec in inputs)
    conversion_check.expected_outputs(module, inputs)
    reasons = []
    for name, export in _ways(source, module, tensors, inputs):
        progress(f"converting with {name}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                export(path)
            progress("comparing outputs with PyTorch")
            return [f"Converted with {name}.", *conversion_check.check(path, module, inputs)]
        except ConversionError:
            raise
        except Exception as error:
            # Exporters raise anything; the next way may work, and every reason is told.
            reasons.append(f"{name}: {reason(error)}")
    raise ConversionError(
        "The model could not be converted to ONNX. " + " | ".join(reasons),
        "The PyTorch lane still runs. Operators named above may need a newer exporter.",
    )


def _ways(
    source: ModelSource,
    module: torch.nn.Module,
    tensors: tuple[torch.Tensor, ...],
    inputs: Sequence[InputSpec],
) -> list[tuple[str, Callable[[Path], Any]]]:
    """Exporters in the order to try, each with its name."""
    names = [spec.name for spec in inputs]
    size_bytes = sum(p.numel() * p.element_size() for p in module.parameters())
    beside = size_bytes > EXTERNAL_ABOVE_BYTES

    def dynamo(program: Any, **more: Any) -> Callable[[Path], Any]:
        def export(path: Path) -> Any:
            return torch.onnx.export(
                program, f=path, dynamo=True, external_data=beside, input_names=names, **more
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
    each = tuple(
        {i: torch.export.Dim.AUTO for i, symbol in enumerate(spec.symbols) if symbol}
        for spec in inputs
    )
    shapes: Any = {"inputs": each} if isinstance(module, ByName) else each
    return [
        (
            "torch.onnx (dynamo, dynamic shapes)",
            dynamo(module, args=tensors, dynamic_shapes=shapes),
        ),
        ("torch.onnx (dynamo, fixed shapes)", dynamo(module, args=tensors)),
    ]


def _dynamic_axes(spec: InputSpec) -> dict[int, str]:
    return {i: symbol for i, symbol in enumerate(spec.symbols) if symbol}
