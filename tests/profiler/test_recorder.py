"""A recorded run: its file holds what was told, whatever ends it. Engines follow a script."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from profiler import lane, recorder
from profiler.errors import PlanError, SessionFileError
from profiler.session_file import read_session
from profiler.types import (
    Event,
    Round,
    RunFinished,
    TelemetrySample,
)
from tests.sample_session import session_of
from tests.scripted_engine import Script, scripted, scripted_plan


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.dualscope"


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    scripts = {
        "base": Script(latencies_ns=itertools.repeat(3_000_000)),
        "fast": Script(latencies_ns=itertools.repeat(2_000_000)),
    }
    monkeypatch.setattr(lane, "EngineProcess", scripted(scripts, found))
    return found


def record(path: Path, **stopping: float) -> Iterator[Event]:
    return recorder.record(scripted_plan("base", "fast", **stopping), path, cancelled=lambda: False)


@pytest.mark.usefixtures("journal")
def test_the_file_holds_every_event(path: Path) -> None:
    events = list(record(path))
    assert isinstance(events[-1], RunFinished)
    session = read_session(path)
    assert session == session_of(events)
    assert session.comparisons()[0].speedup == pytest.approx(1.5)


@pytest.mark.usefixtures("journal")
def test_telemetry_is_told_and_kept(path: Path) -> None:
    # Never precise enough, so that the run goes on until two samples came.
    events: list[Event] = []
    for event in record(path, min_rounds=1_000_000, max_rounds=1_000_000):
        events.append(event)
        if sum(isinstance(event, TelemetrySample) for event in events) == 2:
            break
    samples = [event for event in events if isinstance(event, TelemetrySample)]
    assert len(samples) == 2
    assert read_session(path).telemetry == samples


@pytest.mark.usefixtures("journal")
def test_a_run_that_is_left_keeps_what_was_told(path: Path) -> None:
    run = record(path)
    events = list(itertools.takewhile(lambda event: not isinstance(event, Round), run))
    with pytest.raises(SessionFileError, match="being written by another run"):
        read_session(path)
    assert isinstance(run, Generator)
    run.close()
    session = read_session(path)
    assert session.plan == session_of(events).plan
    assert set(session.ready) == {"base", "fast"}
    assert session.finished is None


def test_a_file_in_the_way_is_told_before_anything_starts(
    path: Path, journal: list[tuple[str, str]]
) -> None:
    path.touch()
    with pytest.raises(SessionFileError, match="exists already"):
        next(record(path))
    assert journal == []


def test_an_impossible_plan_starts_nothing(path: Path, journal: list[tuple[str, str]]) -> None:
    with pytest.raises(PlanError):
        list(recorder.record(scripted_plan("a", "a"), path, cancelled=lambda: False))
    assert journal == []
    assert not path.exists()
