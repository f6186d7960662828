"""The search for the fastest configuration, as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from profiler.session_file import read_session
from profiler.types import ArmState
from tests.end2end.driving import DEMO, MAIN, assert_refused, dualscope


def run_program(program: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-I", str(program), "--seconds=0.2", "--outputs=out.npz"],
        capture_output=True,
        encoding="utf-8",
        cwd=program.parent,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_a_search_ends_with_a_program_that_runs_alone(tmp_path: Path) -> None:
    done = dualscope(
        "fastest",
        DEMO,
        "--engines=ort",
        "--budget=12s",
        "--snippet-folder=program",
        "--json=-",
        "-o=found.dualscope",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    rows = {row["configuration"]: row for row in report["search"]["configurations"]}
    assert "ort" in rows and len(rows) > 1
    assert report["search"]["winner"]["engine"] == "ort"
    (leader,) = report["search"]["leaders"]
    assert rows[leader["leader"]]["state"] == "leader"
    # The same from the file, and each configuration with what became of it.
    session = read_session(tmp_path / "found.dualscope")
    assert {t.label for t in session.search.tried()} == set(rows)
    assert ArmState.RACING not in {t.state for t in session.search.tried()}
    assert session.verdict() == report["verdict"]
    # The program's own folder is all that it has.
    assert {f.name for f in (tmp_path / "program").iterdir()} == {"run.py", "demo.onnx"}
    assert run_program(tmp_path / "program" / "run.py")["p50_ms"] > 0


def test_wrong_requests_are_refused_at_once(tmp_path: Path) -> None:
    for argument, part in (
        ("--engines=tensorflow", "There is no engine 'tensorflow'"),
        ("--engines=torch-script", "torch-script can't run a file of kind onnx"),
        ("--budget=0s", "needs time"),
    ):
        assert_refused(dualscope("fastest", DEMO, argument, cwd=tmp_path), 2, part)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_keeps_what_was_found(tmp_path: Path) -> None:
    arguments = ["fastest", str(DEMO), "--engines=ort", "--budget=60s", "-o", "a.dualscope"]
    with subprocess.Popen(
        [*MAIN, *arguments],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("race 1: "):
                break
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=180)
    assert process.returncode == 130, errors
    session = read_session(tmp_path / "a.dualscope")
    assert session.finished is not None
    assert session.finished.reason == "stopped"
    assert session.search.finished
    assert "not confirmed yet" in output
