"""Which files may run code: what asks for consent, and what was agreed to. In the parent.

Consent counts for one file by its sha256: the model file for a pickled module and an AOTInductor
package, the Python file for a factory, or a factory's name where it belongs to a package. For a
factory it counts for just these arguments, too: they choose what its code does.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from profiler import model_file, pickle_safety, settings_folder
from profiler.console import printable
from profiler.errors import ModelFileError, PlanError, ProfilerError, UnsafeModelError
from profiler.pickle_walk import Global
from profiler.types import Factory, Guesses, ModelKind, ModelSource, RunPlan, SearchPlan

FILE_NAME = "trusted.json"
VERSION = 1
MOST_LISTED = 40
FACTORY = "The factory"


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """One consent: `sha256` is the key, the rest is for people to read."""

    sha256: str
    name: str
    what: str
    names: tuple[str, ...] = ()
    given: str = ""


class TrustFile(msgspec.Struct, frozen=True, kw_only=True):
    """The file in the configuration folder."""

    version: int = VERSION
    trusted: tuple[Trusted, ...] = ()


class ConsentNeededError(UnsafeModelError):
    """Loading runs code once the person agrees.

    `source` is the file, `entry` what would be kept, `names` the (module, name) pairs that loading
    looks up.
    """

    def __init__(self, source: ModelSource, entry: Trusted, names: Sequence[Global]) -> None:
        listed = "".join(f"\n  {mark(found)}" for found in names[:MOST_LISTED])
        more = f"\n  and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
        super().__init__(
            f"{entry.what}{listed}{more}" + ("\n" if names else " ") + "It was not loaded.",
            "If you trust its author, give consent: --trust on the command line.",
        )
        self.source = source
        self.entry = entry
        self.names = tuple(names)


class FactoryNeededError(ModelFileError):
    """The file holds weights only. `source` is the file, `guesses` the factories that may fit."""

    def __init__(self, source: ModelSource, guesses: Guesses) -> None:
        keys = ", ".join(guesses.keys[:4])
        fitting = "".join(f"\n  fits: --factory {written(f)}" for f in guesses.factories)
        notes = "".join(f"\n  note: {note}" for note in guesses.notes)
        super().__init__(
            f"{Path(source.path).name} is a {WHAT[source.kind]}: {guesses.count} tensors "
            f"({keys}, ...) without a model.{notes}{fitting}",
            "Name what builds its module: --factory package.module:name or "
            "--factory path/to/file.py:name, with --trust.",
        )
        self.source = source
        self.guesses = guesses


WHAT = {
    ModelKind.STATE_DICT: "state dict",
    ModelKind.CHECKPOINT: "training checkpoint",
    ModelKind.SAFETENSORS: "safetensors file",
}


def mark(found: Global) -> str:
    """A name as it is listed, with a mark where it is known to run commands or code."""
    return pickle_safety.shown(found) + (
        "  (DANGEROUS)" if pickle_safety.is_dangerous(found) else ""
    )


def listed(entry: Trusted) -> str:
    """What was agreed to, as it is listed: a file, or a factory with the arguments it gets."""
    is_factory = entry.what.startswith(FACTORY)
    return f"{entry.name}  {' '.join(entry.names)}".rstrip() if is_factory else entry.name


def written(factory: Factory) -> str:
    """A factory as it is written on the command line."""
    arguments = "".join(
        f" --factory-arg {key}={msgspec.json.encode(value).decode()}"
        for key, value in factory.arguments.items()
    )
    return factory.target + arguments


def checked(source: ModelSource, factory: Factory | None = None, *, trust: bool) -> ModelSource:
    """The source as children may load it: with its factory, and `trusted` where code may run.

    `trust`: the person agrees now. Raises ConsentNeededError, UnsafeModelError for what no consent
    lets pass, and PlanError for a factory that the file has no use for.
    """
    if source.kind in model_file.WEIGHTS_KINDS:
        pickle_safety.check_globals(Path(source.path), source.kind)
        return source if factory is None else _with_factory(source, factory, trust)
    if factory is not None:
        raise PlanError(
            f"{Path(source.path).name} is a whole model: a factory is for weights.",
            "Leave out the factory.",
        )
    if source.kind is ModelKind.AOT_INDUCTOR:
        what = f"{Path(source.path).name} is an AOTInductor package: native code."
        return _agreed(
            source, Trusted(sha256=source.sha256, name=source.path, what=what), (), trust
        )
    if source.kind is ModelKind.PICKLED_MODULE:
        names = pickle_safety.foreign_globals(Path(source.path), source.kind)
        if names:
            what = f"Loading {Path(source.path).name} would run code that it names:"
            entry = Trusted(
                sha256=source.sha256,
                name=source.path,
                what=what,
                names=tuple(".".join(found) for found in names),
            )
            return _agreed(source, entry, names, trust)
    if source.kind is ModelKind.TORCHSCRIPT:
        pickle_safety.check_globals(Path(source.path), source.kind)
    return source


def _with_factory(source: ModelSource, factory: Factory, trust: bool) -> ModelSource:
    factory = _hashed(factory)
    named = msgspec.structs.replace(source, factory=factory)
    given = _encoded(factory.arguments)
    # One encoding of all three, so that no part of one passes for a part of another.
    parts = ["factory", factory.target, factory.sha256, given]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    shown = f"{printable(factory.target)} with the arguments {given}"
    what = f"{FACTORY} {shown} is code that would run."
    entry = Trusted(
        sha256=key, name=factory.target, what=what, names=(given,) if factory.arguments else ()
    )
    return _agreed(named, entry, (), trust)


def _encoded(arguments: dict[str, Any]) -> str:
    """The same text for the same arguments, in ASCII: it is shown, too."""
    return json.dumps(arguments, sort_keys=True)


def _hashed(factory: Factory) -> Factory:
    """With the hash of its Python file, and that file's full path. Raises ModelFileError."""
    place, _, name = factory.target.rpartition(":")
    if not place or not name:
        raise ModelFileError(
            f"{factory.target!r} names no factory.",
            "Write package.module:name or path/to/file.py:name.",
        )
    if not place.endswith(".py"):
        return factory
    path = Path(place).expanduser().resolve()
    if not path.is_file():
        raise ModelFileError(f"{path} does not exist.", "Name the Python file that builds it.")
    return msgspec.structs.replace(
        factory, target=f"{path}:{name}", sha256=model_file.file_hash(path)
    )


def _agreed(
    source: ModelSource, entry: Trusted, names: Sequence[Global], trust: bool
) -> ModelSource:
    if not trust and not is_kept(entry.sha256):
        raise ConsentNeededError(source, entry, names)
    return msgspec.structs.replace(source, trusted=True)


def asked_again(
    source: ModelSource, *, trust: bool, cancelled: model_file.Cancelled | None = None
) -> ModelSource:
    """A source from elsewhere, such as a session, with consent as this person gave it.

    What has to be asked depends on the file's kind, which only the file itself can tell.
    Raises ModelFileError for a file that changed, ConsentNeededError, UnsafeModelError,
    CancelledError.
    """
    found = model_file.identify(Path(source.path), cancelled)
    if found.sha256 != source.sha256 or found.kind is not source.kind:
        raise ModelFileError(
            f"{Path(source.path).name} has changed since it was opened.", "Open it again (Ctrl+O)."
        )
    return checked(untrusted(source), source.factory, trust=trust)


def renewed(
    plan: RunPlan, *, trust: bool, cancelled: model_file.Cancelled | None = None
) -> RunPlan:
    """The plan on the files as they are now, with consent asked anew for each.

    Raises ModelFileError for a file that changed, ConsentNeededError, UnsafeModelError,
    CancelledError.
    """

    def renew(source: ModelSource) -> ModelSource:
        if source.kind is ModelKind.ENDPOINT:
            # There is no file.
            return source
        return asked_again(source, trust=trust, cancelled=cancelled)

    engines = tuple(
        msgspec.structs.replace(spec, model=renew(spec.model)) if spec.model else spec
        for spec in plan.engines
    )
    return msgspec.structs.replace(plan, model=renew(plan.model), engines=engines)


def renewed_search(
    plan: SearchPlan, *, trust: bool = False, cancelled: model_file.Cancelled | None = None
) -> SearchPlan:
    """The search on the file as it is now; raises as `renewed` does."""
    model = asked_again(plan.model, trust=trust, cancelled=cancelled)
    return msgspec.structs.replace(plan, model=model)


def without_consent(plan: RunPlan) -> RunPlan:
    """A plan from a file: whoever wrote that file can't have given this person's consent."""
    engines = tuple(
        msgspec.structs.replace(spec, model=untrusted(spec.model)) if spec.model else spec
        for spec in plan.engines
    )
    return msgspec.structs.replace(plan, model=untrusted(plan.model), engines=engines)


def untrusted(source: ModelSource) -> ModelSource:
    """The same file, with no consent to its code."""
    return msgspec.structs.replace(source, trusted=False)


# --- what is kept -------------------------------------------------------------------------------


def kept() -> tuple[Trusted, ...]:
    """Every consent that was given and not taken back; none where the file can't be read."""
    try:
        found = msgspec.json.decode(_path().read_bytes(), type=TrustFile)
    except (OSError, msgspec.DecodeError):
        return ()
    return found.trusted if found.version == VERSION else ()


def is_kept(sha256: str) -> bool:
    """Whether consent was given for the file with this hash."""
    return bool(sha256) and any(entry.sha256 == sha256 for entry in kept())


def keep(entry: Trusted) -> None:
    """Remember a consent. Raises ProfilerError when it can't be written."""
    given = msgspec.structs.replace(entry, given=time.strftime("%Y-%m-%d %H:%M"))
    _write((*(e for e in kept() if e.sha256 != entry.sha256), given))


def take_back(sha256: str) -> None:
    """Forget a consent: the file asks again. Raises ProfilerError when it can't be written."""
    _write(tuple(entry for entry in kept() if entry.sha256 != sha256))


def _path() -> Path:
    return settings_folder.config_folder() / FILE_NAME


def _write(trusted: tuple[Trusted, ...]) -> None:
    target = _path()
    draft = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        content = msgspec.json.format(msgspec.json.encode(TrustFile(trusted=trusted)))
        draft.write_bytes(content)
        draft.replace(target)
    except OSError as error:
        raise ProfilerError(
            f"{target} can't be written: {error.strerror}.", "Check the folder's permissions."
        ) from error
