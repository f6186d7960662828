"""`dualscope cost`, and goals for sessions that are there: without any engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from profiler.session_writer import SessionWriter
from profiler.types import CostSettings
from tests.decision_sessions import compared, rounds, run_events

ROOT = Path(__file__).parents[2]


@pytest.fixture
def session_path(tmp_path: Path) -> Path:
    """A run whose person told a price when it started."""
    path = tmp_path / "run.dualscope"
    with SessionWriter(path) as writer:
        for event in run_events(
            *rounds("eager", 7.2),
            *rounds("onnx", 3.6),
            compared("eager", "onnx"),
            cost=CostSettings(prices={"cpu": 2.0}, utilization=0.5),
        ):
            writer.append(event)
    return path


def dualscope(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "main.py", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_cost_of_a_session_with_its_own_prices(session_path: Path) -> None:
    done = dualscope("cost", session_path, "--formulas")
    assert (done.returncode, done.stderr) == (0, "")
    line, formula = (
        x for x in done.stdout.splitlines() if x.startswith("Cost per million inferences ")
    )
    assert line.split()[-2:] == ["2", "1"]
    assert formula.endswith("= machine hours per million × price per hour")
    assert "For cost: use onnx, 1 per million inferences." in done.stdout
    assert "not told: requests per day" in done.stdout


def test_other_prices_and_json(session_path: Path) -> None:
    done = dualscope(
        "cost", session_path, "--json", "--price", "1EUR/hour", "--requests", "96m/day"
    )
    found = json.loads(done.stdout)
    figures = {figure["key"]: figure for figure in found["cost"]["lanes"][1]["figures"]}
    assert figures["saving_per_month"]["value"] == pytest.approx(48 * 30.4375)
    assert figures["saving_per_month"]["low"] < figures["saving_per_month"]["value"]
    assert found["question"]["cost"]["currency"] == "EUR"
    assert found["recommendation"]["label"] == "onnx"


def test_a_goal_for_info_and_export(session_path: Path, tmp_path: Path) -> None:
    assert "For memory: " in dualscope("info", session_path, "--goal", "memory").stdout
    target = tmp_path / "report.json"
    done = dualscope(
        "export", session_path, "--format", "json", "--goal", "throughput", "-o", target
    )
    assert done.returncode == 0
    report = json.loads(target.read_text("utf-8"))
    assert report["recommendation"]["goal"] == "throughput"
    assert report["cost"]["lanes"][0]["price"] == 2.0


def test_wrong_words_have_a_hint(session_path: Path) -> None:
    done = dualscope("cost", session_path, "--price", "cheap")
    assert done.returncode == 2
    assert "write for example 1.20/hour" in done.stderr
