"""What a transformers folder holds, without its weights. Runs in a job process only."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from profiler import safetensors_file
from profiler.errors import ModelFileError
from profiler.generation.folder import CONFIG, INDEX, folder_files, folder_layout, read_config
from profiler.types import ModelInfo, ModelSource, TensorSpec


def inspect_folder(source: ModelSource) -> ModelInfo:
    """Its layout from the configuration, its weights from the files' headers.

    Raises ModelFileError for a type that this transformers doesn't have.
    """
    folder = Path(source.path)
    layout = folder_layout(folder)
    config = read_config(folder)
    kind = str(config.get("model_type", ""))
    version = _check_type(folder, kind)
    weights = [
        tensor
        for path in folder_files(folder)
        if path.name not in (CONFIG, INDEX)
        for tensor in safetensors_file.read_header(path).values()
    ]
    sizes = [_count(tensor.shape) for tensor in weights]
    bits = sum(
        size * safetensors_file.SIZES_BITS[tensor.dtype]
        for size, tensor in zip(sizes, weights, strict=True)
    )
    dtypes = Counter(tensor.dtype for tensor in weights)
    cache = f", cache of {layout.heads} heads of {layout.head_size}" if layout.heads else ""
    notes = [
        f"{kind}: {layout.layers} layers{cache}",
        f"weights stored as {', '.join(dtypes)}",
    ]
    if config.get("auto_map"):
        notes.append("The folder names code of its own, which is not run.")
    return ModelInfo(
        source=msgspec.structs.replace(source, producer=f"transformers ({version} here)"),
        inputs=(),
        outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, 1, layout.vocabulary)),),
        parameter_count=sum(sizes),
        weights_bytes=bits // 8,
        notes=tuple(notes),
        generation=layout,
    )


def _check_type(folder: Path, kind: str) -> str:
    """The library's version. Raises ModelFileError where it is missing or lacks the type."""
    try:
        import transformers
        from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    except ImportError as error:
        raise ModelFileError(
            "A transformers folder needs the package transformers, which is not installed here.",
            "Install it: pip install transformers",
        ) from error
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelFileError(
            f"{folder.name} is of type {kind!r}, of which transformers {transformers.__version__} "
            "has no causal language model. Code that a folder brings along is not run.",
            "Update transformers, or export the model to ONNX with a KV cache.",
        )
    return str(transformers.__version__)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
