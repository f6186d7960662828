"""A suite's folder: `suite.json` with everything, `suite.md` to read, and a session a run."""

from __future__ import annotations

from pathlib import Path

import msgspec

from profiler.errors import PlanError, SessionFileError
from profiler.session_schema import SUFFIX
from profiler.suite.records import Claim, EntryResult, SuiteFinished, SuitePlan
from profiler.suite.state import Suite
from profiler.suite.table import markdown

JSON, MARKDOWN = "suite.json", "suite.md"
FORMAT, VERSION = "dualscope suite", 1
# Results of another machine, or of other versions, don't belong into one table.
SAME = (
    "cpu",
    "cores",
    "gpu",
    "dualscope",
    "torch",
    "onnxruntime",
    "onnxruntime-gpu",
    "transformers",
)


class SuiteFile(msgspec.Struct, kw_only=True):
    """What `suite.json` holds; `claims` are worked out from the results, for other readers."""

    format: str
    version: int
    dualscope_version: str
    started_ns: int
    prepared_s: float
    plan: SuitePlan
    environment: dict[str, str]
    results: dict[str, EntryResult]
    finished: str = ""
    claims: tuple[Claim, ...] = ()


def write_suite(suite: Suite, folder: Path) -> None:
    """Both files, each at once or not at all. Raises SessionFileError."""
    if suite.plan is None:
        return
    content = SuiteFile(
        format=FORMAT,
        version=VERSION,
        dualscope_version=suite.version,
        started_ns=suite.started_ns,
        prepared_s=suite.prepared_s,
        plan=suite.plan,
        environment=suite.environment,
        results=suite.results,
        finished=suite.finished.reason if suite.finished else "",
        claims=suite.claims(),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / JSON, msgspec.json.format(msgspec.json.encode(content)))
        _replace(folder / MARKDOWN, markdown(suite).encode())
    except OSError as error:
        raise SessionFileError(
            f"{folder} can't be written: {error.strerror}", "Choose another folder."
        ) from error


def _replace(target: Path, content: bytes) -> None:
    draft = target.with_name(f".{target.name}.part")
    draft.write_bytes(content)
    draft.replace(target)


def read_suite(folder: Path) -> Suite:
    """The suite of a folder, or of its `suite.json`. Raises SessionFileError."""
    path = folder if folder.is_file() else folder / JSON
    try:
        found = msgspec.json.decode(path.read_bytes(), type=SuiteFile)
    except OSError as error:
        raise SessionFileError(
            f"{path} can't be read: {error.strerror}", f"Choose a folder with a {JSON}."
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SessionFileError(f"{path.name} is no suite: {error}.") from error
    if found.format != FORMAT or found.version != VERSION:
        raise SessionFileError(
            f"{path.name} is of another version: {found.version}.", f"This one reads {VERSION}."
        )
    return Suite(
        plan=found.plan,
        environment=found.environment,
        version=found.dualscope_version,
        started_ns=found.started_ns,
        prepared_s=found.prepared_s,
        results=found.results,
        finished=SuiteFinished(time_ns=0, reason=found.finished) if found.finished else None,
    )


def holds_suite(folder: Path) -> bool:
    """Whether a suite was begun there."""
    return (folder / JSON).is_file()


def check_free(folder: Path, plan: SuitePlan) -> None:
    """Refuse a folder where sessions of someone else's would be replaced. Raises PlanError."""
    taken = [name for e in plan.entries if (folder / (name := f"{e.key}{SUFFIX}")).exists()]
    if taken:
        raise PlanError(
            f"{folder} has a {taken[0]}, but no {JSON}: that session is no suite's.",
            "Choose another folder.",
        )


def check_same(before: Suite, plan: SuitePlan, environment: dict[str, str]) -> None:
    """Refuse to go on with a suite of other models, of another machine or versions.

    Raises PlanError.
    """
    old = before.plan
    if old is None or (old.entries, old.quick) != (plan.entries, plan.quick):
        raise PlanError(
            "The folder holds a suite of other models or another --quick.",
            "Choose another folder, or repeat the command that began it.",
        )
    if old.execution_providers != plan.execution_providers:
        raise PlanError("The folder holds a suite of other lanes.", "Choose another folder.")
    changed = [n for n in SAME if before.environment.get(n) != environment.get(n)]
    if changed:
        name = changed[0]
        raise PlanError(
            f"The folder's suite was made with {name} {before.environment.get(name, 'unknown')}, "
            f"here is {environment.get(name, 'none')}.",
            "Choose another folder.",
        )
