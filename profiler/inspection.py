"""Look inside of a model: inputs, outputs, operators. Runs in a job process only."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from profiler.types import ModelInfo, ModelKind, ModelSource


def inspect(source: ModelSource) -> ModelInfo:
    """What can be told of the model without running it on real data.

    Raises ModelFileError, UnsafeModelError.
    """
    if source.kind is ModelKind.ONNX:
        from profiler import onnx_inspection

        return onnx_inspection.inspect(source)
    if source.kind is ModelKind.TRANSFORMERS:
        from profiler.generation.folder_inspection import inspect_folder

        return inspect_folder(source)
    return _inspect_torch(source)


def _inspect_torch(source: ModelSource) -> ModelInfo:
    import torch

    from profiler import torch_inputs
    from profiler.torch_files import load_torch_model

    notes: list[str] = []
    module = load_torch_model(source, notes)
    weights = [*module.parameters(), *module.buffers()]
    inputs, outputs = torch_inputs.propose(module, source, notes)
    op_counts: Counter[str] = Counter()
    if isinstance(module, torch.fx.GraphModule):
        op_counts.update(
            str(node.target) for node in module.graph.nodes if node.op == "call_function"
        )
    elif isinstance(module, torch.jit.ScriptModule):
        op_counts.update(node.kind() for node in module.inlined_graph.nodes())
    else:
        op_counts.update(
            type(child).__name__ for child in module.modules() if not any(child.children())
        )
    return ModelInfo(
        source=msgspec.structs.replace(
            source, producer=f"PyTorch {_torch_version(source)}".strip()
        ),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        parameter_count=sum(weight.numel() for weight in module.parameters()),
        weights_bytes=sum(weight.numel() * weight.element_size() for weight in weights),
        node_count=sum(op_counts.values()),
        op_counts=dict(op_counts.most_common()),
        notes=tuple(notes),
    )


def _torch_version(source: ModelSource) -> str:
    """The archive's format version: torch.save keeps no version of PyTorch itself."""
    import zipfile

    if not zipfile.is_zipfile(source.path):
        return ""
    with zipfile.ZipFile(Path(source.path)) as archive:
        for name in archive.namelist():
            if name.partition("/")[2] in ("version", "archive_version"):
                version = archive.read(name)[:20].decode("ascii", "replace").strip()
                return f"(archive version {version})"
    return ""
