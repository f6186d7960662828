"""The suite on the command line: real engines on small models of the same code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from profiler import cli
from profiler.session_file import read_session
from profiler.suite import catalogue, planning
from profiler.suite.suite_file import JSON, MARKDOWN, read_suite
from profiler.types import EngineKind, PointState
from tests.end2end.driving import assert_refused, dualscope
from tests.suite_models import SMALL

# A test of every model takes too long.
KEYS = ("vit-base", "gpt-2")


def test_small_models_end_to_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(catalogue, "CATALOGUE", SMALL)
    monkeypatch.setattr(planning, "LEAST_S", 1.0)
    folder, table = tmp_path / "out", tmp_path / "table.csv"
    models = [f"--model={key}" for key in KEYS]
    command = ["suite", "--quick", "--budget=1s", f"--output={folder}", f"--csv={table}", *models]
    assert cli.run(command) == 0
    printed = capsys.readouterr()
    assert "ViT-base" in printed.out
    assert "The article's claims" in printed.out
    assert "left out of a quick suite" in printed.err
    suite = read_suite(folder)
    assert [r.state for r in suite.results.values()] == [PointState.DONE] * 2
    assert [row.key for row in suite.rows()] == ["vit-base", "gpt-2-prefill", "gpt-2-decode"]
    for row in suite.rows():
        assert row.conversion_ns > 0
        assert row.fixed == ""
        assert all(lane.latency_ns and not lane.failure for lane in row.lanes)
        ort = next(lane for lane in row.lanes if lane.engine is EngineKind.ORT)
        assert ort.outputs_agree
    session = read_session(folder / "vit-base.dualscope")
    assert session.ready["torch-eager"].graph_note == "nn.Module of a factory"
    assert session.plan is not None
    assert not session.plan.model.trusted
    assert json.loads((folder / JSON).read_text())["format"] == "dualscope suite"
    assert (folder / MARKDOWN).exists()
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + 3 * 2
    # All is there: nothing is measured again, and the table comes at once.
    kept = (folder / "gpt-2.dualscope").stat().st_mtime_ns
    assert cli.run([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["finished"] == "all models done"
    assert (folder / "gpt-2.dualscope").stat().st_mtime_ns == kept


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    assert_refused(dualscope("suite", "--model=vgg", cwd=tmp_path), 2, "It has: resnet-50")
