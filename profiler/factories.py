"""Build the module that a file of weights belongs to. Runs code: in child processes only."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import torch

from profiler.errors import ModelFileError, UnsafeModelError
from profiler.model_file import file_hash
from profiler.types import Factory, ModelSource


def build(source: ModelSource) -> torch.nn.Module:
    """What the source's factory returns, in evaluation mode.

    Raises UnsafeModelError without consent, ModelFileError when there is no such factory or it
    fails, with the line where it failed.
    """
    factory = source.factory
    if factory is None:
        raise ModelFileError(
            f"{Path(source.path).name} holds weights without a model.",
            "Name the factory that builds its module.",
        )
    if not source.trusted:
        raise UnsafeModelError(
            f"The factory {factory.target} was not run without consent.",
            "Give it with --trust, or in the window.",
        )
    return build_module(factory)


def build_module(factory: Factory) -> torch.nn.Module:
    """The same for a factory that may run: one of the person's, or of an installed package."""
    # Whatever a factory wants to download: there is no network.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    made = _call(factory, _resolve(factory))
    if not isinstance(made, torch.nn.Module):
        raise ModelFileError(
            f"The factory {factory.target} returned a {type(made).__name__}, not a module.",
            "It has to return a torch.nn.Module.",
        )
    return made.eval()


def _resolve(factory: Factory) -> Any:
    place, _, name = factory.target.rpartition(":")
    try:
        found: Any = _from_file(factory, Path(place)) if place.endswith(".py") else _module(place)
        for part in name.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        raise ModelFileError(
            f"The factory {factory.target} needs the Python module {error.name}, which is not "
            "installed here.",
            f"Install {error.name}, or put it beside the factory's file.",
        ) from error
    except AttributeError as error:
        raise ModelFileError(
            f"{place} has no {name!r}.", "Write package.module:name or path/to/file.py:name."
        ) from error
    if not callable(found):
        raise ModelFileError(f"{factory.target} can't be called.", "Name a function or a class.")
    return found


def _module(name: str) -> Any:
    return importlib.import_module(name)


def _from_file(factory: Factory, path: Path) -> Any:
    if file_hash(path) != factory.sha256:
        raise UnsafeModelError(
            f"{path.name} has changed since consent was given.", "Look at it, and agree again."
        )
    # Its neighbours are modules to it, as when Python runs it.
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ModelFileError(f"{path.name} can't be imported.", "Name a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError:
        raise
    except Exception as error:
        raise ModelFileError(
            f"{path.name} fails when it is imported: {told(error)}", "Mend it, and try again."
        ) from error
    return module


def _call(factory: Factory, found: Any) -> Any:
    arguments = dict(factory.arguments)
    if isinstance(arguments.get("config"), str) and hasattr(found, "config_class"):
        arguments["config"] = _transformers_config(arguments["config"])
    try:
        return found(**arguments)
    except Exception as error:
        # A factory raises anything.
        raise ModelFileError(
            f"The factory {factory.target} failed: {told(error)}",
            "Give its arguments as --factory-arg NAME=VALUE, or mend it.",
        ) from error


def _transformers_config(folder: str) -> Any:
    """The configuration that lies beside the weights. Code in that folder is not run."""
    transformers: Any = importlib.import_module("transformers")
    config = transformers.AutoConfig.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    if hasattr(config, "use_cache"):
        # Else the model returns a cache beside its outputs, which no other engine has.
        config.use_cache = False
    return config


def told(error: BaseException) -> str:
    """The error, and the last line of a person's own code that it came from."""
    text = (
        f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300] if str(error) else ''}"
    )
    trace, place = error.__traceback__, ""
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if "site-packages" not in path.parts and path.parent != Path(__file__).parent:
            place = f" ({path.name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return text.rstrip(": ") + ("" if "<frozen" in place else place)
