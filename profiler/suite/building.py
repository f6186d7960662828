"""Write a model with random weights, as transformers saves it. Runs in a job process only."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import torch

from profiler.errors import ModelFileError
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
        model.eval().save_pretrained(Path(job.path))
    except Exception as error:
        # The library raises anything.
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelFileError(
            f"transformers {transformers.__version__} can't build {job.model_class}: {first[:400]}",
            "Another version of transformers may.",
        ) from error
