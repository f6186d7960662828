"""Weights without a model: read as data, and fitted to a module's names. Child processes only."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from profiler import pickle_safety, pickle_walk, safetensors_file
from profiler.errors import ModelFileError
from profiler.types import ModelKind, ModelSource

Tensors = dict[str, torch.Tensor]
DEEPEST = 3
MOST_NAMED = 6
# Batch norms before PyTorch 0.4.1 had no such counter, and inference doesn't read it.
MAY_BE_MISSING = "num_batches_tracked"


class LeftOut(dict[Any, Any]):
    """Stands for an object of a class that is neither data nor torch.nn: it keeps nothing."""

    def __new__(cls, *_: object, **__: object) -> LeftOut:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        del state

    def __hash__(self) -> int:  # type: ignore[override]  # a dict has none
        return id(self)


@dataclass
class Fit:
    """How the tensors of a file and a module's names go together."""

    place: str
    prefix: str
    added: str
    tensors: Tensors
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    outside: int = 0

    @property
    def whole(self) -> bool:
        return not (self.missing or self.unexpected or self.shapes)

    @property
    def errors(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.shapes)


def load_tensors(source: ModelSource) -> tuple[list[tuple[str, Tensors]], list[str]]:
    """Every mapping of names to tensors in the file, with its place; and notes.

    No class of the file is looked up: inert objects stand in for all that is no data.
    Raises UnsafeModelError, ModelFileError.
    """
    path = Path(source.path)
    if source.kind is ModelKind.SAFETENSORS:
        tensors: Tensors = {}
        for part in safetensors_file.weights_files(path):
            tensors.update(_load_safetensors(part))
        return [("", tensors)], []
    pickle_safety.check_globals(path, source.kind)
    names = pickle_safety.foreign_globals(path, source.kind)
    stubs: list[Any] = [(LeftOut, f"{module}.{name}") for module, name in names]
    try:
        with path.open("rb") as file:
            is_zip = not pickle_walk.is_legacy(file.read(32))
        with torch.serialization.safe_globals(stubs):
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip or None)
    except Exception as error:
        raise ModelFileError(
            f"PyTorch can't read the weights in {path.name}: {str(error).strip()[:300]}",
            "Save them again with torch.save(module.state_dict(), ...).",
        ) from error
    found = sorted(_mappings("", loaded, 0), key=lambda item: -len(item[1]))
    if not found:
        raise ModelFileError(
            f"{path.name} holds no tensors by name.", "Save the module's state_dict()."
        )
    left_out = ", ".join(".".join(name) for name in names[:MOST_NAMED])
    return found, [f"Objects of these classes were left out: {left_out}."] if names else []


def _load_safetensors(path: Path) -> Tensors:
    safetensors_file.read_header(path)
    try:
        found: Tensors = safetensors.torch.load_file(path)
    except (OSError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise ModelFileError(
            f"{path.name} can't be read: {str(error)[:300]}", "Copy or download it again."
        ) from error
    return found


def _mappings(place: str, value: object, depth: int) -> Iterator[tuple[str, Tensors]]:
    if not isinstance(value, Mapping):
        return
    tensors = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    if tensors:
        yield place, tensors
    if depth < DEEPEST:
        for key, item in value.items():
            yield from _mappings(f"{place}[{key!r}]", item, depth + 1)


def fill(module: torch.nn.Module, source: ModelSource) -> list[str]:
    """Put the file's weights into the module, all of them or none. Returns notes.

    Raises ModelFileError that lists what is missing, unexpected or of another shape.
    """
    mappings, notes = load_tensors(source)
    fit = best_fit(module, mappings)
    if not fit.whole:
        raise _misfit(module, source, fit)
    tied = _tied(module)
    module.load_state_dict(fit.tensors, strict=False, assign=True)
    for names in tied:
        given = next((name for name in names if name in fit.tensors), None)
        if given is not None:
            parameter = module.get_parameter(given)
            for name in names:
                owner, _, attribute = name.rpartition(".")
                setattr(module.get_submodule(owner), attribute, parameter)
    return [*notes, *_how(fit)]


def best_fit(module: torch.nn.Module, mappings: list[tuple[str, Tensors]]) -> Fit:
    """By exact names, or by one prefix that the file's names have or lack; the fewest errors.

    A model of `transformers` also takes the names that its library writes and has since changed.
    """
    mappings = [*mappings, *_renamed(module, mappings)]
    wanted = {name: tuple(value.shape) for name, value in _tensor_state(module).items()}
    tied = _tied(module)
    ignored = getattr(module, "_keys_to_ignore_on_load_unexpected", None) or []
    fits = [
        _fit(wanted, tied, ignored, place, tensors, prefix, added)
        for place, tensors in mappings
        for prefix, added in _prefixes(wanted, tensors)
    ]
    return min(fits, key=lambda fit: (fit.errors, len(fit.prefix) + len(fit.added)))


def _renamed(
    module: torch.nn.Module, mappings: list[tuple[str, Tensors]]
) -> Iterator[tuple[str, Tensors]]:
    """The same tensors by the names of today's class; what the library would compute stays."""
    library: Any = sys.modules.get("transformers")
    if library is None or not isinstance(module, library.PreTrainedModel):
        return
    try:
        from transformers.conversion_mapping import get_model_conversion_mapping
        from transformers.core_model_loading import WeightRenaming, rename_source_key
    except ImportError:
        # Before version 5 names were never changed.
        return
    model: Any = module
    renamings = [
        step for step in get_model_conversion_mapping(model) if isinstance(step, WeightRenaming)
    ]
    state, prefix = model.state_dict(), model.base_model_prefix
    for place, tensors in mappings:
        yield (
            place,
            {rename_source_key(k, renamings, [], prefix, state)[0]: v for k, v in tensors.items()},
        )


def _tensor_state(module: torch.nn.Module) -> Tensors:
    return {k: v for k, v in module.state_dict().items() if isinstance(v, torch.Tensor)}


def _prefixes(wanted: Mapping[str, object], tensors: Tensors) -> list[tuple[str, str]]:
    """(what the file's names have more, what they have less)."""
    found = {("", "")}
    for name in list(wanted)[:3]:
        found |= {(k.removesuffix(name), "") for k in tensors if k.endswith(f".{name}")}
    for key in list(tensors)[:3]:
        found |= {("", n.removesuffix(key)) for n in wanted if n.endswith(f".{key}")}
    return sorted(found)


def _fit(
    wanted: Mapping[str, tuple[int, ...]],
    tied: list[list[str]],
    ignored: list[str],
    place: str,
    tensors: Tensors,
    prefix: str,
    added: str,
) -> Fit:
    inside = {k: v for k, v in tensors.items() if k.startswith(prefix)}
    named = {added + k.removeprefix(prefix): v for k, v in inside.items()}
    fit = Fit(place, prefix, added, {k: v for k, v in named.items() if k in wanted})
    fit.outside = len(tensors) - len(inside)
    fit.unexpected = [
        k for k in named if k not in wanted and not any(re.search(p, k) for p in ignored)
    ]
    others = {name for names in tied for name in names if any(n in named for n in names)}
    fit.missing = [
        name
        for name in wanted
        if name not in named and name not in others and not name.endswith(MAY_BE_MISSING)
    ]
    fit.shapes = [
        f"{name} is {list(value.shape)}, the module's {list(wanted[name])}"
        for name, value in fit.tensors.items()
        if tuple(value.shape) != wanted[name]
    ]
    return fit


def _tied(module: torch.nn.Module) -> list[list[str]]:
    """Names of parameters that are one and the same."""
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for name, parameter in module.named_parameters(remove_duplicate=False):
        groups[id(parameter)].append(name)
    return [names for names in groups.values() if len(names) > 1]


def _how(fit: Fit) -> list[str]:
    notes = []
    if fit.place:
        notes.append(f"The weights were taken from {fit.place} of the file.")
    if fit.prefix:
        left = f"; {fit.outside} tensors outside of it were left out" if fit.outside else ""
        notes.append(f"The prefix {fit.prefix!r} was taken off the weights' names{left}.")
    if fit.added:
        notes.append(f"The prefix {fit.added!r} was put before the weights' names.")
    dtypes = {str(t.dtype).removeprefix("torch.") for t in fit.tensors.values()}
    low = sorted(dtypes & {"float16", "bfloat16"})
    if low:
        notes.append(f"The weights are {' and '.join(low)}, and the module runs in that precision.")
    return notes


def _misfit(module: torch.nn.Module, source: ModelSource, fit: Fit) -> ModelFileError:
    parts = [
        f"{title}: {', '.join(names[:MOST_NAMED])}"
        + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
        for title, names in (
            ("missing", fit.missing),
            ("unexpected", fit.unexpected),
            ("of another shape", fit.shapes),
        )
        if names
    ]
    prefix = f" (after the prefix {fit.prefix!r} was taken off)" if fit.prefix else ""
    return ModelFileError(
        f"The weights in {Path(source.path).name} don't fit {type(module).__name__}{prefix}. "
        + "; ".join(parts)
        + ".",
        "Take another factory, or give its arguments (such as num_classes).",
    )
