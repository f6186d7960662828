"""Load a transformers folder without running code of its own. Child processes only."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

# Before the library is imported: nothing is looked up, and there is no network anyway.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

from profiler.errors import EngineError, ModelFileError
from profiler.generation.folder import read_config


def load_causal_model(folder: Path, dtype: torch.dtype, attention: str = "sdpa") -> Any:
    """The folder's causal language model, on the CPU, in evaluation mode.

    Only classes that the library itself has are used, and only safetensors are read. Raises
    ModelFileError for a folder that brings its own code, EngineError without the library.
    """
    try:
        from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM
    except ImportError as error:
        raise EngineError(
            "A transformers folder needs the package transformers, which is not installed here.",
            "Install it: pip install transformers",
        ) from error
    kind = str(read_config(folder).get("model_type", ""))
    if kind not in CONFIG_MAPPING:
        raise ModelFileError(
            f"{folder.name} is of type {kind!r}, which this transformers doesn't have. Code that "
            "a folder brings along is not run.",
            "Update transformers, or export the model to ONNX where you trust that code.",
        )
    try:
        config = AutoConfig.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
        _refuse_state(AutoModelForCausalLM._model_mapping.get(type(config), None), folder)
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            config=config,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            attn_implementation=attention,
        )
    except ModelFileError:
        raise
    except Exception as error:
        # The library raises anything.
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelFileError(
            f"transformers can't load {folder.name}: {first[:400]}",
            "It has to be a causal language model with its weights as safetensors.",
        ) from error
    return model.eval()


def _refuse_state(model_class: Any, folder: Path) -> None:
    """Mamba and RWKV keep a state of fixed size: there is no cache that grows with the text."""
    stateful = getattr(model_class, "_is_stateful", False)
    if stateful and not getattr(model_class, "_supports_sdpa", False):
        raise ModelFileError(
            f"{folder.name} ({model_class.__name__}) keeps a state in place of a KV cache; "
            "generation is measured of models with a cache.",
            "Export it to ONNX and open that file, to measure single calls.",
        )


def cache_argument(model: Any) -> str:
    """What the model's forward calls its cache: `cache`, or `past_key_values` in older versions."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
