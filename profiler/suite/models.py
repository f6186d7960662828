"""The suite's models as files in the cache, built once for a recipe and its versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from profiler.errors import PlanError
from profiler.generation.folder import CONFIG, WEIGHTS
from profiler.jobs import build_model, cache_dir, inspect_model
from profiler.model_file import identify
from profiler.suite.catalogue import SuiteModel
from profiler.types import BuildJob, Factory, ModelInfo

LIBRARY = "transformers"
# Part of the cache's key: raise it when the same recipe would give other files.
RECIPE_VERSION = 1
SEED = 0
# In the model's folder once its ONNX form was made; without it, it is made within the run.
PREPARED = "prepared"


def check_library() -> None:
    """Raises PlanError where the library that has the models' code is missing."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise PlanError(
            f"The suite builds its models with the package {LIBRARY}, which is not installed here.",
            f"Install it: pip install {LIBRARY}",
        )


def model_folder(model: SuiteModel) -> Path:
    """Where the model lies, or will; named by a hash of its recipe and of the versions."""
    recipe = (model.model_class, model.config_class, model.config, SEED, RECIPE_VERSION)
    versions = [importlib.metadata.version(name) for name in ("torch", LIBRARY)]
    key = hashlib.sha256(msgspec.json.encode((recipe, versions), order="sorted")).hexdigest()
    return cache_dir().parent / "suite" / f"{model.key}-{key[:16]}"


def is_built(model: SuiteModel) -> bool:
    """Whether the cache has it."""
    folder = model_folder(model)
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def is_prepared(model: SuiteModel) -> bool:
    """Whether it was built, and exported once."""
    return is_built(model) and (model_folder(model) / PREPARED).is_file()


def mark_prepared(model: SuiteModel) -> None:
    """It was exported."""
    (model_folder(model) / PREPARED).touch()


def built(model: SuiteModel, cancelled: Callable[[], bool]) -> ModelInfo:
    """The model's file, built if need be by a child process. Blocks.

    Consent to its factory needs no asking: this program wrote the weights, and the factory is the
    library's own class. Raises ModelFileError, CancelledError.
    """
    folder = model_folder(model)
    if not is_built(model):
        _build(model, folder, cancelled)
    if model.generates:
        return inspect_model(folder, cancelled=cancelled)
    factory = Factory(target=f"{LIBRARY}:{model.model_class}", arguments={"config": str(folder)})
    source = msgspec.structs.replace(
        identify(folder / WEIGHTS, cancelled), factory=factory, trusted=True
    )
    return ModelInfo(source=source, inputs=model.inputs, outputs=())


def _build(model: SuiteModel, folder: Path, cancelled: Callable[[], bool]) -> None:
    """In a folder beside the target, so that half of a model is never taken for a whole one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, suffix=".part") as draft:
        made = Path(draft) / folder.name
        job = BuildJob(
            model_class=model.model_class,
            config_class=model.config_class,
            config=model.config,
            pretrained=model.generates,
            seed=SEED,
            path=str(made),
        )
        build_model(job, cancelled=cancelled)
        # Half of a model, or another process's, which is the same.
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
