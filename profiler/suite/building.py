"""Write a model with random weights, as transformers saves it. Runs in a job process only."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from profiler.errors import ModelFileError
from profiler.generation.folder import WEIGHTS
from profiler.types import BuildJob


def build(job: BuildJob) -> None:
    """The configuration and the weights into the job's folder; the same weights each time.

    Raises ModelFileError where transformers lacks the class, or refuses the configuration.
    """
    # Before the library is imported: nothing is looked up.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    transformers: Any = importlib.import_module("transformers")
    try:
        config = getattr(transformers, job.config_class)(**job.config)
        torch.manual_seed(job.seed)
        model: Any = getattr(transformers, job.model_class)(config)
        _save(model.eval(), Path(job.path), pretrained=job.pretrained)
    except Exception as error:
        # The library raises anything.
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelFileError(
            f"transformers {transformers.__version__} can't build {job.model_class}: {first[:400]}",
            "Another version of transformers may.",
        ) from error


def _save(model: Any, folder: Path, *, pretrained: bool) -> None:
    """`save_pretrained` gives some weights the names that they had in older versions."""
    if pretrained:
        model.save_pretrained(folder)
        return
    model.config.save_pretrained(folder)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
