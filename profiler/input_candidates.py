"""Shapes that a PyTorch model may take, told from names and first layers. Job processes only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

# dtype, shape, and a name for each dimension that may change ("" where a layer fixes the size).
Proposal = tuple[str, tuple[int, ...], tuple[str, ...]]
Candidate = dict[str, Proposal]

IMAGE_SIZES = (224, 64, 32, 28, 256, 384)
SIGNAL_SIZES = (16_000, 512, 128)
VOLUME_SIZES = (32, 16)
SEQUENCES = (128, 16)
TOKEN_NAMES = ("input_ids", "decoder_input_ids", "attention_mask", "token_type_ids", "position_ids")
INTEGERS = ("mask", "ids", "tokens", "indices", "positions", "labels")


def candidates(module: torch.nn.Module, names: list[str]) -> Iterator[Candidate]:
    """What to try, likeliest first; every input of a candidate has its own shape."""
    yield from _by_name(module, names)
    for proposal in _by_layers(module):
        yield dict.fromkeys(names, proposal)
    for length in SEQUENCES:
        yield {name: _tokens(length) if _is_tokens(name) else _rows(length) for name in names}


def _by_name(module: torch.nn.Module, names: list[str]) -> Iterator[Candidate]:
    """Names that transformers uses, with the sizes of the model's own configuration."""
    config: Any = getattr(module, "config", None)
    if all(name in TOKEN_NAMES for name in names):
        for length in SEQUENCES:
            yield {name: _tokens(length) for name in names}
    known: dict[str, Proposal] = {}
    if "pixel_values" in names:
        size = _first(getattr(config, "image_size", None), 224)
        channels = _first(getattr(config, "num_channels", None), 3)
        shape = (1, channels, size, size)
        known["pixel_values"] = ("float32", shape, ("batch", "", "height", "width"))
    if "input_features" in names:
        bins = _first(getattr(config, "num_mel_bins", None), 80)
        known["input_features"] = ("float32", (1, bins, 3000), ("batch", "", "frames"))
    if "input_values" in names:
        known["input_values"] = ("float32", (1, SIGNAL_SIZES[0]), ("batch", "length"))
    if known:
        yield {name: known.get(name, _tokens(SEQUENCES[1])) for name in names}


def _first(value: object, default: int) -> int:
    """An int, or the first of several."""
    if isinstance(value, list | tuple) and value:
        value = value[0]
    return value if isinstance(value, int) else default


def _is_tokens(name: str) -> bool:
    return any(part in name.lower() for part in INTEGERS)


def _tokens(length: int) -> Proposal:
    return ("int64", (1, length), ("batch", "sequence"))


def _rows(length: int) -> Proposal:
    return ("float32", (1, length), ("batch", "features"))


def _by_layers(module: torch.nn.Module) -> Iterator[Proposal]:
    """By the layers with weights, in the order in which they were made."""
    children: Iterator[Any] = module.modules()
    for child in children:
        kind = getattr(child, "original_name", type(child).__name__)
        weight = getattr(child, "weight", None)
        if kind in ("Embedding", "EmbeddingBag"):
            yield from (_tokens(length) for length in SEQUENCES)
        elif kind == "MultiheadAttention":
            width = int(child.out_proj.weight.shape[0])
            yield ("float32", (1, 128, width), ("batch", "sequence", ""))
        elif kind in ("Conv1d", "Conv2d", "Conv3d") and weight is not None:
            channels = int(getattr(child, "in_channels", weight.shape[1]))
            yield from _convolved(kind, channels)
        elif kind == "Linear" and weight is not None:
            features = int(weight.shape[1])
            yield ("float32", (1, features), ("batch", ""))
            yield ("float32", (1, 128, features), ("batch", "sequence", ""))
        elif kind in ("LSTM", "GRU", "RNN"):
            width = int(child.weight_ih_l0.shape[1])
            yield ("float32", (1, 128, width), ("batch", "sequence", ""))
    yield ("float32", (1, 3, 224, 224), ("batch", "channels", "height", "width"))
    yield _rows(128)


def _convolved(kind: str, channels: int) -> Iterator[Proposal]:
    if kind == "Conv1d":
        for size in SIGNAL_SIZES:
            yield ("float32", (1, channels, size), ("batch", "", "length"))
    elif kind == "Conv2d":
        for size in IMAGE_SIZES:
            yield ("float32", (1, channels, size, size), ("batch", "", "height", "width"))
    else:
        for size in VOLUME_SIZES:
            shape = (1, channels, size, size, size)
            yield ("float32", shape, ("batch", "", "depth", "height", "width"))
