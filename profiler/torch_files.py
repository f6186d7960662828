"""Load PyTorch files without running code of theirs. Runs in child processes only."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from profiler import pickle_safety, program_safety
from profiler.errors import ModelFileError, UnsafeModelError
from profiler.types import ModelKind, ModelSource

WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def load_torch_model(source: ModelSource) -> torch.nn.Module:
    """The model on the CPU, in evaluation mode where it has one.

    Raises UnsafeModelError before anything is loaded, ModelFileError when loading fails.
    """
    path = Path(source.path)
    try:
        if source.kind is ModelKind.TORCHSCRIPT:
            return load_torchscript(path).eval()
        if source.kind is ModelKind.TORCH_EXPORT:
            return load_program(path).module()
        return load_pickled_module(path).eval()
    except (UnsafeModelError, ModelFileError):
        raise
    except Exception as error:
        raise ModelFileError(
            f"PyTorch {torch.__version__} can't load {path.name}: {first_line(error)}",
            "It may come from another version of PyTorch, or be damaged.",
        ) from error


def load_program(path: Path) -> torch.export.ExportedProgram:
    """Raises UnsafeModelError. `torch.export.load` itself would unpickle anything."""
    pickle_safety.check_globals(path, ModelKind.TORCH_EXPORT)
    program_safety.check_program(path)
    # A second wall: no pickle that the checks overlooked can name a function.
    before = os.environ.get(WEIGHTS_ONLY)
    os.environ[WEIGHTS_ONLY] = "1"
    try:
        return torch.export.load(path)
    finally:
        if before is None:
            del os.environ[WEIGHTS_ONLY]
        else:
            os.environ[WEIGHTS_ONLY] = before


def load_torchscript(path: Path) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
            str(path), map_location="cpu"
        )
    return module


def load_pickled_module(path: Path) -> torch.nn.Module:
    """`torch.load` with weights_only, and an allow-list of just the classes that the file names.

    Raises UnsafeModelError.
    """
    pickle_safety.check_globals(path, ModelKind.PICKLED_MODULE)
    parts: list[Any] = [_torch_nn_part(*found) for found in pickle_safety.module_parts(path)]
    with torch.serialization.safe_globals(parts):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, torch.nn.Module):
        raise ModelFileError(
            f"{path.name} holds a {type(loaded).__name__}, not a module.",
            "Save the module itself, with torch.export.save or torch.save.",
        )
    return loaded


def _torch_nn_part(module: str, name: str) -> Callable[..., Any]:
    """Only a Module class that torch.nn itself defines passes, and an activation function."""
    found: object = getattr(importlib.import_module(module), name, None)
    if callable(found) and (module, name) in pickle_safety.MODULE_FUNCTIONS:
        return found
    if (
        isinstance(found, type)
        and issubclass(found, torch.nn.Module)
        and found.__module__ == module
    ):
        return found
    raise UnsafeModelError(
        f"The file names {module}.{name}, which is no module class of torch.nn.",
        "It was made by another version of PyTorch, or to do harm.",
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's text, cut to a readable length."""
    lines = str(error).strip().splitlines()
    return lines[0][:400] if lines else type(error).__name__
