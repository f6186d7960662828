"""Runs the suite, model by model, each as a run of its own; resumes at what is left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import msgspec

from profiler.environment import describe_environment
from profiler.errors import CancelledError, ProfilerError
from profiler.recorder import record
from profiler.session import Session
from profiler.session_file import read_events, session_of
from profiler.session_schema import SUFFIX
from profiler.suite.models import built, check_library
from profiler.suite.planning import expected_beside_s, run_plan, time_limit_s
from profiler.suite.preparing import prepare
from profiler.suite.records import (
    Entry,
    EntryFinished,
    EntryResult,
    EntryStarted,
    SuiteFinished,
    SuitePlan,
    SuitePrepared,
    SuiteStarted,
)
from profiler.suite.results import rows
from profiler.suite.state import Suite
from profiler.suite.suite_file import (
    check_free,
    check_same,
    holds_suite,
    read_suite,
    write_suite,
)
from profiler.types import Event, OpTimings, Phase, PointState, Progress
from profiler.version import VERSION


def run_suite(
    plan: SuitePlan,
    folder: Path,
    *,
    cancelled: Callable[[], bool],
) -> Iterator[Event]:
    """Measure every model that the folder has no result of yet, and tell everything as events.

    Sessions, and the suite's own files, are written while it goes on. A model that can't be
    measured is told with its reason, and the next one follows. Events of results that the folder
    had come first. Raises PlanError, SessionFileError.
    """
    check_library()
    environment = describe_environment()
    suite = Suite()
    started = SuiteStarted(
        time_ns=time.time_ns(), plan=plan, environment=environment, dualscope_version=VERSION
    )
    known: list[EntryResult] = []
    if holds_suite(folder):
        before = read_suite(folder)
        check_same(before, plan, environment)
        known = [result for entry in plan.entries for result in _known(before, entry, folder)]
        suite.prepared_s = before.prepared_s
        # From the start, so that no file is ever written without them.
        suite.results = {result.key: result for result in known}
    else:
        check_free(folder, plan)
    for event in _events(suite, started, known, folder, cancelled):
        suite.apply(event)
        if isinstance(event, SuiteStarted | SuitePrepared | EntryFinished | SuiteFinished):
            write_suite(suite, folder)
        yield event


def _known(before: Suite, entry: Entry, folder: Path) -> list[EntryResult]:
    """The entry's result where it was measured to its end: figures are worked out anew from its
    session, which has to be there.
    """
    result = before.results.get(entry.key)
    if result is None or result.state is not PointState.DONE:
        return []
    path = folder / result.session
    if not path.is_file():
        return []
    session = session_of(read_events(path, traces=False), path)
    return [msgspec.structs.replace(result, rows=rows(entry, session))]


def _events(
    suite: Suite,
    started: SuiteStarted,
    known: list[EntryResult],
    folder: Path,
    cancelled: Callable[[], bool],
) -> Iterator[Event]:
    yield started
    for result in known:
        yield EntryFinished(time_ns=time.time_ns(), result=result)
    plan, left, began_s = started.plan, suite.unfinished(), time.monotonic()
    # A resumed suite has its share of the budget.
    ends_s = began_s + plan.budget_s * len(left) / max(1, len(plan.entries))
    with contextlib.suppress(CancelledError):
        yield from prepare([entry.model for entry in left], cancelled)
    yield SuitePrepared(time_ns=time.time_ns(), wall_s=time.monotonic() - began_s)
    while left:
        if cancelled():
            break
        beside_s = [expected_beside_s(e, plan) for e in left]
        limit_s = time_limit_s(ends_s - time.monotonic(), beside_s)
        entry, *left = left
        yield from _entry(plan, entry, folder, limit_s, cancelled)
    reason = "stopped" if cancelled() else "all models done"
    yield SuiteFinished(time_ns=time.time_ns(), reason=reason)


def _entry(
    plan: SuitePlan,
    entry: Entry,
    folder: Path,
    limit_s: float,
    cancelled: Callable[[], bool],
) -> Iterator[Event]:
    began_s, path = time.monotonic(), folder / f"{entry.key}{SUFFIX}"
    yield EntryStarted(
        time_ns=time.time_ns(), key=entry.key, session=path.name, time_limit_s=limit_s
    )
    session = Session()
    try:
        yield from _measure(plan, entry, path, limit_s, session, cancelled)
        state, reason = _outcome(session)
    except CancelledError:
        state, reason = PointState.STOPPED, ""
    except ProfilerError as error:
        state, reason = PointState.FAILED, str(error)
    result = EntryResult(
        key=entry.key,
        state=state,
        reason=reason,
        session=path.name if path.exists() else "",
        rows=rows(entry, session),
        wall_s=time.monotonic() - began_s,
    )
    yield EntryFinished(time_ns=time.time_ns(), result=result)


def _measure(
    plan: SuitePlan,
    entry: Entry,
    path: Path,
    limit_s: float,
    session: Session,
    cancelled: Callable[[], bool],
) -> Generator[Event, None, None]:
    """Build the model and record its run. Raises ProfilerError."""
    yield Progress(time_ns=time.time_ns(), phase=Phase.LOADING, detail=entry.model.title)
    info = built(entry.model, cancelled)
    made = run_plan(entry, plan, info, limit_s)
    # What a run that was stopped has left is measured anew.
    for part in (path, path.with_name(f"{path.name}.wal")):
        part.unlink(missing_ok=True)
    for event in record(made, path, cancelled=cancelled):
        if not isinstance(event, OpTimings):
            session.apply(event)
        yield event


def _outcome(session: Session) -> tuple[PointState, str]:
    """How a run ended, and what failed in it."""
    if session.finished is not None and session.finished.reason == "stopped":
        return PointState.STOPPED, ""
    failures = [f"{label}: {f.message}" for label, f in session.failures.items()]
    measured = any(session.latency_stats(label) for label in session.labels())
    return PointState.DONE if measured else PointState.FAILED, "; ".join(failures)
