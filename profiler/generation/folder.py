"""A folder that transformers saved a causal language model in, told from its JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from profiler import safetensors_file
from profiler.errors import ModelFileError
from profiler.types import CacheLayout

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
MOST_CONFIG_BYTES = 4 << 20
# Names that model families have for the same thing, the usual one first.
LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
HEADS = ("num_attention_heads", "n_head", "num_heads")
CACHE_HEADS = ("num_key_value_heads", "num_kv_heads", *HEADS)
WIDTH = ("hidden_size", "n_embd", "d_model")
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")


def is_model_folder(path: Path) -> bool:
    """Whether it looks like what `save_pretrained` writes."""
    return path.is_dir() and (path / CONFIG).is_file()


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json. Raises ModelFileError."""
    path = folder / CONFIG
    try:
        if path.stat().st_size > MOST_CONFIG_BYTES:
            raise ModelFileError(f"{path.name} of {folder.name} is no configuration: too large.")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{folder.name} has no readable {CONFIG}: {error}", "Copy or save the folder again."
        ) from error
    if not isinstance(found, dict):
        raise ModelFileError(f"{CONFIG} of {folder.name} is no configuration.")
    return found


def folder_files(folder: Path) -> tuple[Path, ...]:
    """The configuration, and the files with weights. Raises ModelFileError."""
    read_config(folder)
    if (folder / INDEX).is_file():
        parts: tuple[Path, ...] = (folder / INDEX, *safetensors_file.shards(folder / INDEX))
    elif (folder / WEIGHTS).is_file():
        parts = (folder / WEIGHTS,)
    else:
        pickled = any(folder.glob("*.bin"))
        raise ModelFileError(
            f"{folder.name} has no {WEIGHTS}"
            + (", only pickled weights, which are not loaded." if pickled else "."),
            "Save it with transformers: model.save_pretrained(folder).",
        )
    for part in parts:
        if part.name != INDEX:
            safetensors_file.read_header(part)
    return (folder / CONFIG, *parts)


def folder_layout(folder: Path) -> CacheLayout:
    """What the configuration tells of the model's cache. Raises ModelFileError."""
    config = read_config(folder)
    text = config.get("text_config")
    if isinstance(text, dict):
        config = config | text
    heads = _number(config, HEADS)
    size = _number(config, ("head_dim",)) or (_number(config, WIDTH) // heads if heads else 0)
    vocabulary = _number(config, ("vocab_size",))
    if not vocabulary:
        raise ModelFileError(
            f"{folder.name} is no causal language model: its {CONFIG} has no vocab_size.",
            "Open a folder of a model such as GPT-2 or Llama.",
        )
    return CacheLayout(
        convention="transformers",
        layers=_number(config, LAYERS),
        heads=_number(config, CACHE_HEADS),
        head_size=size,
        vocabulary=vocabulary,
        most_tokens=_number(config, POSITIONS),
    )


def _number(config: dict[str, Any], names: tuple[str, ...]) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
