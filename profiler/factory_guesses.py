"""Which factory may these weights belong to? Looks in installed packages. Child processes only."""

from __future__ import annotations

import importlib
import importlib.util
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from profiler.errors import ModelFileError
from profiler.factories import build_module
from profiler.types import Factory, Guesses, ModelSource
from profiler.weights import Tensors, best_fit, load_tensors

TIME_LIMIT_S = 25.0
ENOUGH = 3
MOST_KEYS = 12
# What torchvision and timm call a classifier's last layer, or the module that it is in.
HEADS = frozenset({"fc", "head", "heads", "classifier", "last_linear"})


def guess(source: ModelSource) -> Guesses:
    """Factories of transformers, timm and torchvision whose names and shapes fit strictly.

    Modules are built without memory (on the meta device). Raises ModelFileError, UnsafeModelError.
    """
    mappings, notes = load_tensors(source)
    path, tensors = Path(source.path), mappings[0][1]
    deadline = time.monotonic() + TIME_LIMIT_S
    found: list[Factory] = []
    for factory in _candidates(path, tensors, notes):
        if time.monotonic() > deadline or len(found) == ENOUGH:
            break
        reason = _misfit(factory, mappings)
        if not reason:
            found.append(factory)
        elif factory.target.startswith("transformers:"):
            notes.append(f"{factory.target} of config.json does not fit: {reason}")
    return Guesses(
        factories=tuple(found),
        keys=tuple(sorted(tensors)[:MOST_KEYS]),
        count=len(tensors),
        notes=tuple(notes),
    )


def _misfit(factory: Factory, mappings: list[tuple[str, Tensors]]) -> str:
    """Empty when every name and shape fits."""
    try:
        with torch.device("meta"):
            module = build_module(factory)
    except ModelFileError as error:
        return error.message
    fit = best_fit(module, mappings)
    first = [*fit.missing, *fit.unexpected, *fit.shapes][:3]
    return f"{fit.errors} names or shapes differ, such as {', '.join(first)}" if first else ""


def _candidates(path: Path, tensors: Tensors, notes: list[str]) -> Iterator[Factory]:
    config = _config(path.with_name("config.json"))
    for name in config.get("architectures") or ():
        if isinstance(name, str) and _is_model_class(name, notes):
            yield Factory(target=f"transformers:{name}", arguments={"config": str(path.parent)})
    classes = _classes(tensors)
    stem = _plain(path.stem)
    architecture = config.get("architecture")
    # A plain name: timm also takes places to load from.
    if isinstance(architecture, str) and architecture.isidentifier() and _has("timm"):
        yield _timm(architecture, int(config.get("num_classes") or classes))
    for name in _by_likeness(stem, _listed("torchvision.models", notes)):
        yield Factory(target=f"torchvision.models:{name}", arguments={"num_classes": classes})
    for name in _by_likeness(stem, _listed("timm", notes)):
        if _plain(name) in stem:
            yield _timm(name, classes)


def _is_model_class(name: str, notes: list[str]) -> bool:
    """Whether transformers has such a model class: a stranger wrote the name, and it is called."""
    if not (name.isidentifier() and _has("transformers")):
        return False
    try:
        transformers: Any = importlib.import_module("transformers")
        found = getattr(transformers, name, None)
        fits = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
    except Exception as error:
        # A package for another version of PyTorch raises anything.
        notes.append(f"transformers can't be imported here: {str(error)[:200]}")
        return False
    if not fits:
        notes.append(f"{name} of config.json is no model class of transformers.")
    return fits


def _timm(name: str, classes: int) -> Factory:
    return Factory(
        target="timm:create_model", arguments={"model_name": name, "num_classes": classes}
    )


def _listed(module: str, notes: list[str]) -> list[str]:
    """The models of a package; none, and a note, where it is installed but can't be imported."""
    package = module.partition(".")[0]
    if not _has(package):
        return []
    try:
        found: Any = importlib.import_module(module)
        # torchvision's detectors and the like take other arguments; these are the classifiers.
        names: list[str] = (
            found.list_models(module=found) if package == "torchvision" else found.list_models()
        )
    except Exception as error:
        # A package for another version of PyTorch raises anything.
        notes.append(f"{package} can't be imported here: {str(error)[:200]}")
        return []
    return names


def _by_likeness(stem: str, names: list[str]) -> list[str]:
    """Those that the file's name has in it first, the longest of them before others."""
    return sorted(names, key=lambda name: (_plain(name) not in stem, -len(name)))


def _plain(text: str) -> str:
    return text.lower().replace("-", "").replace("_", "").replace(".", "")


def _classes(tensors: Tensors) -> int:
    """Rows of a classifier's last layer: by the name of its matrix, else the last vector's length.

    safetensors files have their tensors in another order than the module.
    """
    heads = [
        name
        for name, value in tensors.items()
        if value.ndim >= 2 and name.endswith(".weight") and HEADS & set(name.split("."))
    ]
    if heads:
        return len(tensors[min(heads, key=_place)])
    vectors = [len(value) for value in tensors.values() if value.ndim == 1]
    return vectors[-1] if vectors else 1000


def _place(name: str) -> tuple[int, list[int]]:
    """The outermost of the heads first, and of several there the one with the highest numbers."""
    parts = name.split(".")
    return len(parts), [-int(part) for part in parts if part.isdecimal()]


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
