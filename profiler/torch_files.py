"""Load PyTorch files without running code of theirs. Runs in child processes only."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from profiler import factories, pickle_safety, program_safety, weights
from profiler.errors import ModelFileError, UnsafeModelError
from profiler.model_file import WEIGHTS_KINDS, file_hash
from profiler.types import ModelKind, ModelSource

WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


# Where trainers put the module in a mapping that they pickle whole; averaged weights come first.
HOLDERS = ("ema", "model", "module", "net", "state")
EMPTIED = "The sample inputs in the file were left out: they name {}."


def load_torch_model(source: ModelSource, notes: list[str] | None = None) -> torch.nn.Module:
    """The model on the CPU, in evaluation mode where it has one; `notes` get what was left out.

    Raises UnsafeModelError before anything is loaded, ModelFileError when loading fails.
    """
    path = Path(source.path)
    told: list[str] = [] if notes is None else notes
    try:
        if source.trusted and source.kind not in WEIGHTS_KINDS:
            _check_trusted_bytes(source)
        match source.kind:
            case ModelKind.TORCHSCRIPT:
                return load_torchscript(path).eval()
            case ModelKind.TORCH_EXPORT:
                return load_program(path, told).module()
            case ModelKind.AOT_INDUCTOR:
                from profiler.aot_package import load_package

                return load_package(source)
            case ModelKind.PICKLED_MODULE if source.trusted:
                return load_foreign_module(path, told).eval()
            case ModelKind.PICKLED_MODULE:
                return load_pickled_module(path, told).eval()
            case _:
                pickle_safety.check_globals(path, source.kind)
                module = factories.build(source)
                told += weights.fill(module, source)
                return module
    except (UnsafeModelError, ModelFileError):
        raise
    except Exception as error:
        raise ModelFileError(
            f"PyTorch {torch.__version__} can't load {path.name}: {first_line(error)}",
            "It may come from another version of PyTorch, or be damaged.",
        ) from error


def _check_trusted_bytes(source: ModelSource) -> None:
    """Consent counts for the bytes that the person was asked about."""
    if file_hash(Path(source.path)) != source.sha256:
        raise UnsafeModelError(
            f"{Path(source.path).name} has changed since consent was given.",
            "Open it again, and look at what it would run.",
        )


def load_program(path: Path, notes: list[str] | None = None) -> torch.export.ExportedProgram:
    """Raises UnsafeModelError. `torch.export.load` itself would unpickle anything.

    Sample inputs that name more than data are left out, by way of a copy without them.
    """
    outside, inside = pickle_safety.program_globals(path)
    if outside:
        raise pickle_safety.refusal(path, outside)
    program_safety.check_program(path)
    with tempfile.TemporaryDirectory(prefix="dualscope-") as folder:
        if inside:
            path = program_safety.without_sample_inputs(path, Path(folder) / path.name)
            if notes is not None:
                notes.append(EMPTIED.format(", ".join(".".join(found) for found in inside[:6])))
        return _load_checked_program(path)


def _load_checked_program(path: Path) -> torch.export.ExportedProgram:
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
    pickle_safety.check_globals(path, ModelKind.TORCHSCRIPT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module: torch.jit.ScriptModule = torch.jit.load(str(path), map_location="cpu")
    return module


def load_pickled_module(path: Path, notes: list[str] | None = None) -> torch.nn.Module:
    """`torch.load` with weights_only, and an allow-list of just the classes that the file names.

    Raises UnsafeModelError.
    """
    pickle_safety.check_globals(path, ModelKind.PICKLED_MODULE)
    parts: list[Any] = [_torch_nn_part(*found) for found in pickle_safety.module_parts(path)]
    with torch.serialization.safe_globals(parts):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    return _module_in(loaded, path, notes)


def load_foreign_module(path: Path, notes: list[str] | None = None) -> torch.nn.Module:
    """Unpickle a file that the person trusts; its classes may lie beside it.

    Raises ModelFileError that says which Python module or class is missing.
    """
    sys.path.insert(0, str(path.parent))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=False)
    except ModuleNotFoundError as error:
        raise ModelFileError(
            f"{path.name} needs the Python module {error.name}, which is neither installed here "
            "nor beside the file.",
            f"Install {error.name}, or put it beside {path.name}.",
        ) from error
    except AttributeError as error:
        raise ModelFileError(
            f"{path.name} needs a class that is not there: {first_line(error)}",
            "A class of a script (__main__) can't be found again: save a state dict, and name the "
            "class by --factory path/to/file.py:Class.",
        ) from error
    return _module_in(loaded, path, notes)


def _module_in(loaded: object, path: Path, notes: list[str] | None) -> torch.nn.Module:
    """The object itself, or the module in a mapping that a trainer saved."""
    if isinstance(loaded, torch.nn.Module):
        return loaded
    if isinstance(loaded, Mapping):
        for name in (*HOLDERS, *loaded):
            found = loaded.get(name)
            if isinstance(found, torch.nn.Module):
                if notes is not None:
                    notes.append(f"The module was taken from [{name!r}] of the file.")
                return found
    raise ModelFileError(
        f"{path.name} holds a {type(loaded).__name__}, not a module.",
        "Save the module itself, with torch.export.save or torch.save.",
    )


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
