"""A sweep's order, its file, its end, and how it goes on, on scripted lanes."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import msgspec
import pytest

from profiler.errors import SessionFileError
from profiler.session_file import kind_of, read_session
from profiler.session_schema import SWEEP
from profiler.sweep.exporters import FORMATS, export_sweep, render_csv, render_json
from profiler.sweep.points import order
from profiler.sweep.results import findings, lane_points, pareto_front
from profiler.sweep.runner import run_sweep
from profiler.sweep.state import Sweep
from profiler.sweep.sweep_file import SweepWriter, read_point, read_sweep
from profiler.sweep.table import progress_text, rows, summary
from profiler.types import (
    EngineKind,
    PointFinished,
    PointStarted,
    PointState,
    Round,
    RoundKind,
    RunFinished,
    SweepFinished,
    Verdict,
)
from tests.profiler.sweep.driving import Driver, install, plan, sweep_plan

MS = 1_000_000


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """`base` takes 4 ms a sample; `fast` 9 ms and 1 ms a sample: it wins from batch 4."""
    found = Driver({"base": lambda n: 4 * MS * n, "fast": lambda n: (9 + n) * MS})
    install(monkeypatch, found)
    return found


def measured(driver: Driver, path: Path, *axes: str) -> Sweep:
    state = Sweep()
    for event in driver.events(sweep_plan(plan("base", "fast"), *axes, seed=1), path):
        state.apply(event)
    return state


def test_each_point_is_a_run_in_the_sweeps_order(driver: Driver, tmp_path: Path) -> None:
    sweep = sweep_plan(plan("base", "fast"), "batch=1,2,4,8", seed=1)
    events = driver.events(sweep, tmp_path / "a.dualscope")
    begun = [event.index for event in events if isinstance(event, PointStarted)]
    assert begun == [point.index for point in order(sweep)] != [0, 1, 2, 3]
    ends = [event for event in events if isinstance(event, PointFinished)]
    assert [end.state for end in ends] == [PointState.DONE] * 4
    assert isinstance(events[-1], SweepFinished)
    assert events[-1].reason == "all points done"


@pytest.mark.parametrize(
    ("axis", "latency", "expected"),
    [
        ("callers=1,2", 4, "No lane is surely the fastest at any number of callers measured."),
        ("callers=1", 4, "No lane is surely the fastest at 1 caller."),
        ("callers=2", 2, "fast is fastest at 2 callers."),
        ("callers=1,2", 2, "fast wins at every number of callers measured."),
        ("batch=1,2", 2, "fast wins at every batch size measured."),
        ("threads=4", 4, "No lane is surely the fastest at 4 threads."),
    ],
)
def test_findings_read_well_for_one_value_and_for_many(
    axis: str, latency: int, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = Driver({"base": lambda _: 4 * MS, "fast": lambda _: latency * MS})
    install(monkeypatch, made)
    assert findings(measured(made, tmp_path / "a.dualscope", axis))[0] == expected


def test_what_differs_by_place_is_said_of_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, Driver({"base": lambda _: 4 * MS, "fast": lambda _: 4 * MS}))
    sweep = sweep_plan(plan("base", "fast"), "batch=1,2", "threads=1,2", seed=1)
    state = Sweep()
    ended: list[PointFinished] = []
    for event in run_sweep(sweep, tmp_path / "a.dualscope", cancelled=lambda: len(ended) == 3):
        state.apply(event)
        if isinstance(event, PointFinished):
            ended.append(event)
    told = findings(state)[:2]
    assert len({text.partition(": ")[2] for text in told}) == 2
    assert all(text.partition(": ")[2].startswith("no lane is surely") for text in told)


def test_places_are_told_as_in_a_sentence(driver: Driver, tmp_path: Path) -> None:
    state = measured(driver, tmp_path / "a.dualscope", "batch=8", "callers=1", "threads=1,2")
    told = findings(state)[-1]
    assert told.startswith("Highest throughput: fast at batch 8, 1 caller, ")


def test_the_winner_changes_where_it_should(driver: Driver, tmp_path: Path) -> None:
    state = measured(driver, tmp_path / "a.dualscope", "batch=1,2,4,8")
    found = findings(state)
    assert found[0] == "fast wins from batch 4, base up to 2."
    by_batch = {row.values[0]: row.speedup for row in rows(state) if row.speedup}
    assert by_batch["8"] is not None
    assert by_batch["8"].speedup == pytest.approx(32 / 17)
    assert by_batch["1"] is not None
    assert by_batch["1"].verdict is Verdict.SLOWER
    best = max(lane_points(state), key=lambda p: p.throughput.value)
    assert best.throughput.value == pytest.approx(8 / 0.017)
    front = pareto_front(lane_points(state))
    # Two samples of `base` take as long a sample as one does, and longer in all.
    assert [(p.label, p.values[0]) for p in front] == [("base", "1"), ("fast", "4"), ("fast", "8")]


def test_the_file_gives_the_sweep_and_each_point_back(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "a.dualscope"
    state = measured(driver, path, "batch=1,4")
    assert kind_of(path) == SWEEP
    again = read_sweep(path)
    assert render_json(again) == render_json(state)
    assert summary(again) == summary(state)
    point = read_point(path, 1)
    assert point.plan is not None
    assert point.plan.inputs[0].shape == (4, 3)
    # Operators are left out of a sweep in memory, and are there when a point is opened.
    assert point.operators("fast")
    assert not again.results[1].session.operators("fast")
    assert point.medians == again.results[1].session.medians
    with pytest.raises(SessionFileError, match="is a sweep"):
        read_session(path)
    with pytest.raises(SessionFileError, match="no point 7"):
        read_point(path, 7)


def test_anyone_can_query_the_points(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "a.dualscope"
    measured(driver, path, "batch=1,4")
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.execute(
            "SELECT points.values ->> 'batch', label, median(latency) / 1e6 "
            "FROM (SELECT seq, label, unnest(latencies_ns) AS latency FROM rounds "
            "WHERE kind = 'timed') JOIN points ON seq BETWEEN first_seq AND last_seq "
            "GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert found == [
        ("1", "base", 4.0),
        ("1", "fast", 10.0),
        ("4", "base", 16.0),
        ("4", "fast", 13.0),
    ]


def test_a_stopped_sweep_goes_on_where_it_was(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "a.dualscope"
    sweep = sweep_plan(plan("base", "fast"), "batch=1,2,4", seed=1)
    stop: list[bool] = []
    events = []
    for event in run_sweep(sweep, path, cancelled=lambda: bool(stop)):
        events.append(event)
        begun = sum(isinstance(e, PointStarted) for e in events)
        if begun == 2 and isinstance(event, Round) and event.kind is RoundKind.TIMED:
            stop.append(True)
    assert isinstance(events[-1], SweepFinished)
    assert events[-1].reason == "stopped"
    states = [event.state for event in events if isinstance(event, PointFinished)]
    assert states == [PointState.DONE, PointState.STOPPED]
    before = read_sweep(path)
    left = [point.index for point in before.unfinished()]
    assert left == [point.index for point in order(sweep)][1:]
    assert progress_text(before) == "1 of 3 points done"
    stopped = [row for row in rows(before) if row.state == PointState.STOPPED]
    assert any(row.figures for row in stopped)
    assert {row.reason for row in stopped if row.figures} == {"stopped before its end"}
    later = driver.events(sweep, path, before=before)
    assert [e.index for e in later if isinstance(e, PointStarted)] == left
    whole = read_sweep(path)
    assert not whole.unfinished()
    assert [r.state for r in whole.results.values()] == [PointState.DONE] * 3
    ends = [r.session.finished for r in whole.results.values()]
    assert {end.reason for end in ends if isinstance(end, RunFinished)} == {"precision"}
    with duckdb.connect(str(path), read_only=True) as database:
        found = database.execute("SELECT index, state FROM points ORDER BY index").fetchall()
    assert found == [(n, "done") for n in range(3)]


def test_what_a_killed_writer_left_is_resumed(driver: Driver, tmp_path: Path) -> None:
    """No PointFinished, no SweepFinished: the point that was going on is measured anew."""
    path = tmp_path / "a.dualscope"
    sweep = sweep_plan(plan("base", "fast"), "batch=1,2", seed=1)
    events = driver.events(sweep, tmp_path / "whole.dualscope")
    last = max(n for n, event in enumerate(events) if isinstance(event, PointStarted))
    with SweepWriter(path) as writer:
        for event in events[: last + 8]:
            writer.append(event)
    before = read_sweep(path)
    assert len(before.unfinished()) == 1
    assert before.current == before.unfinished()[0].index
    later = driver.events(sweep, path, before=before)
    assert sum(isinstance(event, PointStarted) for event in later) == 1
    assert not read_sweep(path).unfinished()


def test_what_cannot_run_is_kept_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ONNX Runtime has no bf16; and a model of 2 samples fails in both lanes."""
    driver = Driver({"base": lambda n: n * MS, "fast": lambda n: n * MS}, fails_at=2)
    install(monkeypatch, driver)
    made = plan("base", "fast")
    torch = msgspec.structs.replace(made.engines[0], engine=EngineKind.TORCH_EAGER)
    made = msgspec.structs.replace(made, engines=(torch, made.engines[1]))
    path = tmp_path / "a.dualscope"
    sweep = sweep_plan(made, "batch=1,2", "precision=fp32,bf16")
    events = driver.events(sweep, path)
    (begun,) = [e for e in events if isinstance(e, PointStarted) and e.index == 1]
    assert "can't be 'bf16'" in begun.refused["fast"]
    state = read_sweep(path)
    states = [state.results[n].state for n in range(4)]
    assert states == [PointState.DONE] * 2 + [PointState.FAILED] * 2
    assert "too big" in state.results[2].reason
    by_place = {(row.index, row.label): row for row in rows(state)}
    assert by_place[1, "base"].figures is not None
    assert by_place[1, "fast"].figures is None
    assert "can't be 'bf16'" in by_place[1, "fast"].reason
    assert "too big" in by_place[2, "fast"].reason
    assert findings(state)[-1] == "2 of 4 points could not run."
    assert not state.unfinished()


def test_exports_have_every_lane_and_point(driver: Driver, tmp_path: Path) -> None:
    state = measured(driver, tmp_path / "a.dualscope", "batch=1,4", "threads=1,2")
    table = render_csv(state).splitlines()
    assert table[0].startswith("batch,threads,lane,state,p50_ns")
    assert len(table) == 1 + 4 * 2
    found = json.loads(render_json(state))
    assert [p["values"] for p in found["points"]][1] == {"batch": "1", "threads": "2"}
    assert {c["after"] for c in found["crossings"]} == {"fast"}
    assert [p["fastest"] for p in found["points"]] == ["base", "base", "fast", "fast"]
    for name, exporter in FORMATS.items():
        target = tmp_path / f"out{exporter.suffix}"
        export_sweep(state, name, target)
        assert target.stat().st_size > 500
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2 * 3 + 1
    assert "<!--" not in page
    with pytest.raises(SessionFileError, match="can't be written as"):
        export_sweep(state, "chrome-trace", tmp_path / "x")
