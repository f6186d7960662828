"""Sweeps on the command line: real engines, stop and resume, exports, what is refused."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from profiler.sweep.sweep_file import read_sweep
from profiler.types import PointState, RoundKind
from tests import language_models
from tests.end2end.driving import DEMO, MAIN, assert_refused, dualscope


def test_callers_and_precision_of_real_engines(tmp_path: Path) -> None:
    done = dualscope(
        "profile",
        DEMO,
        "--lane=ort",
        "--lane=torch-eager",
        "--sweep=callers=1,3",
        "--sweep=precision=fp32,bf16",
        "--time-limit=700ms",
        "-o=a.dualscope",
        "--json=a.json",
        "--html=a.html",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "4 of 4 points done" in done.stdout
    assert "lane ort can't: precision can't be 'bf16'" in done.stderr
    sweep = read_sweep(tmp_path / "a.dualscope")
    by_values = {r.point.values: r for r in sweep.results.values()}
    assert set(by_values["3", "bf16"].session.rounds) == {"torch-eager"}
    ready = by_values["1", "bf16"].session.ready["torch-eager"]
    assert ready.graph_note.endswith("in bf16")
    for label in ("ort", "torch-eager"):
        turns = by_values["3", "fp32"].session.rounds[label]
        timed = [turn for turn in turns if turn.kind is RoundKind.TIMED]
        assert timed
        assert all(len(t.latencies_ns) % 3 == 0 and t.duration_ns > 0 for t in timed)
        alone = by_values["1", "fp32"].session.rounds[label]
        assert all(turn.duration_ns == 0 for turn in alone)
    assert json.loads((tmp_path / "a.json").read_text())["kind"] == "sweep"
    assert "<svg" in (tmp_path / "a.html").read_text(encoding="utf-8")
    table = dualscope("export", "a.dualscope", "--format=csv", "-o=a.csv", cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 8
    one = dualscope(
        "export", "a.dualscope", "--format=json", "--point=0", "-o=p.json", cwd=tmp_path
    )
    assert one.returncode == 0, one.stderr
    lanes = json.loads((tmp_path / "p.json").read_text())["lanes"]
    assert all(lane["operators"] for lane in lanes)
    shown = dualscope("info", "a.dualscope", cwd=tmp_path)
    assert "precision" in shown.stdout


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_keeps_what_is_there_and_resume_goes_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            *MAIN,
            "profile",
            str(DEMO),
            "--lane=ort",
            "--sweep=batch=1,2,3",
            "--time-limit=1s",
            "-o=a.dualscope",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        while "point 2 of 3" not in process.stderr.readline():
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=180)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "go on with: dualscope profile --resume a.dualscope" in errors
    assert len(read_sweep(tmp_path / "a.dualscope").unfinished()) == 2
    done = dualscope("profile", "--resume", "a.dualscope", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    states = [r.state for r in read_sweep(tmp_path / "a.dualscope").results.values()]
    assert states == [PointState.DONE] * 3


def test_prompts_of_a_model_that_generates(tmp_path: Path) -> None:
    path = language_models.genai_file(tmp_path)
    done = dualscope(
        *("generate", path, "--new-tokens=4", "--lane=ort", "--lane=torch-eager"),
        *("--sweep=prompt=6,12", "--time-limit=1s", "-o=a.dualscope", "--json=a.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "tokens/s" in done.stdout
    sweep = read_sweep(tmp_path / "a.dualscope")
    for result in sweep.results.values():
        plan = result.session.plan
        assert result.state is PointState.DONE and plan is not None and plan.generation is not None
        assert str(plan.generation.prompt_tokens) == result.point.values[0]
        assert set(result.session.generated) == {"ort", "torch-eager"}
    lanes = [
        lane for p in json.loads((tmp_path / "a.json").read_text())["points"] for lane in p["lanes"]
    ]
    assert [lane["work"] for lane in lanes] == [4] * 4


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--sweep=foo=1",), "There are: batch"),
        (("--sweep=batch",), "Can't read the axis"),
        (("--sweep=batch=0",), "can't be '0'"),
        (("--sweep=batch=1", "--sweep=batch=2"), "twice"),
    ],
)
def test_a_wrong_axis_is_refused(tmp_path: Path, arguments: tuple[str, ...], part: str) -> None:
    done = dualscope("profile", DEMO, *arguments, cwd=tmp_path)
    assert_refused(done, 2, part)
