"""A transformers folder -> ONNX with a KV cache, in Optimum's names. Runs in a job process only."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import onnx
import torch

from profiler.errors import ConversionError
from profiler.generation.causal_models import cache_argument, load_causal_model

EXTERNAL_ABOVE_BYTES = 1 << 30
# Sizes of the example: none is 0 or 1, which an export would take for fixed, and none equal.
BATCH, TOKENS, PAST = 2, 3, 5


class WithCache(torch.nn.Module):
    """`forward(input_ids, attention_mask, position_ids, past)` -> last logits, then the cache.

    As `generate()` does, only the last token's logits are worked out: [batch, 1, vocabulary].
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.argument = cache_argument(model)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past: list[tuple[torch.Tensor, torch.Tensor]],
    ) -> tuple[torch.Tensor, ...]:
        from transformers import DynamicCache

        cache: Any = DynamicCache(ddp_cache_data=[tuple(pair) for pair in past])
        found = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            use_cache=True,
            logits_to_keep=1,
            **{self.argument: cache},
        )
        tensors = [t for layer in cache.layers for t in (layer.keys, layer.values)]
        return (found.logits, *tensors)


def export_with_cache(folder: Path, path: Path) -> list[str]:
    """Write the ONNX file; returns notes. Raises ConversionError, ModelFileError, EngineError."""
    model = load_causal_model(folder, torch.float32)
    export_model(model, path)
    return ["Exported with its KV cache by torch.onnx; fp32, the last token's logits only."]


def export_model(model: Any, path: Path) -> None:
    """Export a causal model with `past_key_values.*` and `present.*`. Raises ConversionError."""
    pairs = _example_cache(model)
    auto: Any = torch.export.Dim.AUTO
    both = {0: auto, 1: auto}
    example = (
        torch.zeros((BATCH, TOKENS), dtype=torch.int64),
        torch.ones((BATCH, PAST + TOKENS), dtype=torch.int64),
        torch.arange(PAST, PAST + TOKENS).repeat(BATCH, 1),
        pairs,
    )
    shapes: Any = {
        "input_ids": both,
        "attention_mask": both,
        "position_ids": both,
        "past": [({0: auto, 2: auto},) * 2] * len(pairs),
    }
    parts = [f"{layer}.{part}" for layer in range(len(pairs)) for part in ("key", "value")]
    size_bytes = sum(p.nbytes for p in model.parameters())
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                WithCache(model).eval(),
                example,
                str(path),
                dynamo=True,
                dynamic_shapes=shapes,
                external_data=size_bytes > EXTERNAL_ABOVE_BYTES,
                input_names=[
                    *("input_ids", "attention_mask", "position_ids"),
                    *(f"past_key_values.{part}" for part in parts),
                ],
                output_names=["logits", *(f"present.{part}" for part in parts)],
                verbose=False,
            )
    except Exception as error:
        # The exporter raises anything.
        lines = [line for line in str(error).splitlines() if line.startswith("<class")]
        told = (lines or str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionError(
            f"The model could not be exported with its KV cache: {told[:400]}",
            "The PyTorch lanes still run. Optimum may have an export of its own for it.",
        ) from error
    _name_dimensions(path)


def _example_cache(model: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """A cache of the model's own making: its shapes are no guess."""
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=model.config)
    tokens = torch.zeros((BATCH, PAST), dtype=torch.int64)
    with torch.no_grad():
        model(input_ids=tokens, use_cache=True, **{cache_argument(model): cache})
    pairs: list[tuple[Any, Any]] = [
        (getattr(n, "keys", None), getattr(n, "values", None)) for n in cache.layers
    ]
    if not all(isinstance(k, torch.Tensor) and k.ndim == 4 for k, _ in pairs):
        raise ConversionError(
            "The model's cache is more than keys and values: it can't be exported.",
            "The PyTorch lanes still run.",
        )
    return [(k.clone(), v.clone()) for k, v in pairs]


def _name_dimensions(path: Path) -> None:
    """The exporter's symbols (s26, s70) in words, where a dimension is a plain input's."""
    model = onnx.load(str(path), load_external_data=False)
    words = {
        "input_ids": ("batch_size", "sequence_length"),
        "attention_mask": ("batch_size", "total_sequence_length"),
    }
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        names: tuple[str, ...] = words.get(value.name, ())
        if value.name == "position_ids":
            names = words["input_ids"]
        if value.name.startswith("past_key_values"):
            names = ("batch_size", "", "past_sequence_length", "")
        for dim, name in zip(dims, names, strict=False):
            if name and dim.dim_param:
                dim.dim_param = name
    for value in model.graph.output:
        dims = value.type.tensor_type.shape.dim
        if dims and dims[0].dim_param:
            dims[0].dim_param = "batch_size"
        if value.name.startswith("present") and dims[2].dim_param:
            dims[2].dim_param = "total_sequence_length"
    onnx.save_model(model, str(path))
