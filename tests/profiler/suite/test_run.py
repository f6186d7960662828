"""The suite's runs: saved as they go, stopped, resumed, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.errors import PlanError, SessionFileError
from profiler.session_file import read_session
from profiler.suite import run
from profiler.suite.catalogue import chosen
from profiler.suite.planning import suite_plan
from profiler.suite.records import ClaimVerdict, EntryFinished, EntryStarted, SuiteFinished
from profiler.suite.suite_file import JSON, MARKDOWN, read_suite
from profiler.types import PointState, Verdict
from tests.profiler.suite.driving import HERE, MS, events, install, plan

KEYS = ("resnet-50", "bert-base")


def test_a_suite_is_saved_with_a_session_a_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, eager_ns=3 * MS, ort_ns=2 * MS)
    told = events(plan(*KEYS), tmp_path)
    assert isinstance(told[-1], SuiteFinished)
    assert told[-1].reason == "all models done"
    suite = read_suite(tmp_path)
    assert [r.state for r in suite.results.values()] == [PointState.DONE] * 2
    eager, ort = suite.rows()[0].lanes
    assert (eager.label, ort.verdict) == ("torch-eager", Verdict.FASTER)
    assert ort.speedup is not None
    assert ort.speedup.value == pytest.approx(1.5)
    session = read_session(tmp_path / "resnet-50.dualscope")
    compared = session.comparisons()[0]
    assert (compared.low, compared.high) == (ort.speedup.low, ort.speedup.high)
    verdicts = {claim.key: claim.verdict for claim in suite.claims()}
    assert verdicts["encoders"] is ClaimVerdict.CONFIRMED
    assert verdicts["numerics"] is ClaimVerdict.REFUTED
    assert "ResNet-50" in (tmp_path / MARKDOWN).read_text(encoding="utf-8")
    # By the file itself, for other readers.
    assert b'"verdict": "confirmed"' in (tmp_path / JSON).read_bytes()


def test_a_stopped_suite_is_resumed_at_what_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = install(monkeypatch, eager_ns=3 * MS, ort_ns=2 * MS)
    begun: list[str] = []
    for event in run.run_suite(plan(*KEYS), tmp_path, cancelled=lambda: len(begun) == 2):
        if isinstance(event, EntryStarted):
            begun.append(event.key)
    stopped = read_suite(tmp_path)
    assert [r.state for r in stopped.results.values()] == [PointState.DONE, PointState.STOPPED]
    assert stopped.finished is not None
    assert stopped.finished.reason == "stopped"
    kept = (tmp_path / "resnet-50.dualscope").read_bytes()
    asked.clear()
    told = events(plan(*KEYS), tmp_path)
    assert asked == ["bert-base"]
    results = [event.result for event in told if isinstance(event, EntryFinished)]
    assert [result.key for result in results] == list(KEYS)
    assert (tmp_path / "resnet-50.dualscope").read_bytes() == kept
    assert not read_suite(tmp_path).unfinished()
    assert read_suite(tmp_path).rows()[0] == stopped.rows()[0]
    # What has no session is measured again.
    (tmp_path / "resnet-50.dualscope").unlink()
    asked.clear()
    events(plan(*KEYS), tmp_path)
    assert asked == ["resnet-50"]


def test_a_model_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, eager_ns=3 * MS, ort_ns=2 * MS, fails=("resnet-50",))
    events(plan(*KEYS), tmp_path)
    suite = read_suite(tmp_path)
    failed, done = suite.results["resnet-50"], suite.results["bert-base"]
    assert (failed.state, failed.rows, failed.session) == (PointState.FAILED, (), "")
    assert "can't be built" in failed.reason
    assert done.state is PointState.DONE
    assert "It can't be built." in (tmp_path / MARKDOWN).read_text(encoding="utf-8")
    # A failure may have passed: it is tried again.
    assert [entry.key for entry in suite.unfinished()] == ["resnet-50"]


def test_a_folder_of_another_suite_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, eager_ns=3 * MS, ort_ns=2 * MS)
    events(plan("bert-base"), tmp_path)
    with pytest.raises(PlanError, match="other models"):
        events(plan("resnet-50"), tmp_path)
    with pytest.raises(PlanError, match="--quick"):
        events(plan("bert-base", quick=False), tmp_path)
    monkeypatch.setattr(run, "describe_environment", lambda: {"cpu": "another"})
    with pytest.raises(PlanError, match="here is another"):
        events(plan("bert-base"), tmp_path)
    (tmp_path / JSON).unlink()
    with pytest.raises(PlanError, match="no suite's"):
        events(plan("bert-base"), tmp_path)
    (tmp_path / JSON).write_text("{}")
    with pytest.raises(SessionFileError, match="no suite"):
        events(plan("bert-base"), tmp_path)


def test_a_missing_library_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PlanError, match="pip install transformers"):
        list(run.run_suite(suite_plan(chosen([]), HERE), tmp_path, cancelled=lambda: False))
