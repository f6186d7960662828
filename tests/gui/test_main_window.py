"""The main job in the window: open, measure, look, export, open again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

from gui import file_writer
from gui.main_window import MainWindow
from profiler.exporters import formats
from profiler.session import Session
from profiler.session_file import read_session
from profiler.types import EngineKind, EngineSpec
from tests.gui.driving import (
    DEMO,
    PATIENCE_MS,
    open_model,
    open_session,
    run_to_end,
    wait_for_file,
    wait_for_graph,
)
from tests.model_zoo import hostile_pickle, pickled_sequential

ROOT = Path(__file__).parents[2]


def test_the_main_job(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    assert not window.actions_by_name["profile"].isEnabled()
    open_model(qtbot, window, DEMO)
    assert window.graph.facts == "75 nodes"
    assert window.draft.info is not None and window.draft.info.parameter_count > 100_000
    assert "ready" in window.banner.text
    seen: list[int] = []
    window.session_model.events_applied.connect(lambda events: seen.append(len(events)))
    run_to_end(qtbot, window)
    session, path = window.session_model.session, window.session_model.path
    assert session.finished is not None and not session.failures
    assert len(seen) > 5, "events came in as the run went on"
    assert window.banner.text == session.verdict() != ""
    assert window.operators.table.rowCount() > 50
    assert {row.label for row in window.operators.table.rows} == {"ort", "torch-eager"}
    assert window.outputs.table.rowCount() == 1
    window.tabs.setCurrentWidget(window.report)
    assert "95 % interval" in window.report.text.toPlainText()
    assert path is not None and read_session(path).verdict() == session.verdict()
    for exporter in formats().values():
        target = tmp_path / f"exported{exporter.suffix}"
        window.files.export(exporter, target)
        wait_for_file(qtbot, target)
        target.rename(tmp_path / exporter.name)
    exported = json.loads((tmp_path / "json").read_text("utf-8"))
    assert {lane["label"] for lane in exported["lanes"]} == {"ort", "torch-eager"}


def test_a_session_is_shown_as_it_was(qtbot: QtBot, window: MainWindow, demo_session: Path) -> None:
    open_session(qtbot, window, demo_session)
    wait_for_graph(qtbot, window)
    stored = read_session(demo_session)
    assert window.banner.text == stored.verdict()
    rows = sum(len(stored.operators(label)) for label in stored.labels())
    assert window.operators.table.rowCount() == rows > 50
    assert window.draft.inputs == (stored.plan.inputs if stored.plan else None)
    assert "ONNX Runtime (CPU)" in window.live.latency.figures.text()
    assert not window.runs.running


def test_a_session_is_known_by_its_content(
    qtbot: QtBot, window: MainWindow, demo_session: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed.db"
    renamed.write_bytes(demo_session.read_bytes())
    open_session(qtbot, window, renamed)
    assert window.session_model.path == renamed


def test_a_broken_off_session_is_saved_whole(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_off = tmp_path / "broken off.dualscope"
    write = (
        "import os, sys; from pathlib import Path\n"
        "from profiler.session_writer import SessionWriter\n"
        "from tests.sample_session import sample_events\n"
        "writer = SessionWriter(Path(sys.argv[1]))\n"
        "[writer.append(event) for event in sample_events()[:-1]]\n"
        "writer.flush(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", write, str(broken_off)], cwd=ROOT, check=True)
    open_session(qtbot, window, broken_off)
    target = tmp_path / "saved.dualscope"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    window.actions_by_name["save_session"].trigger()
    wait_for_file(qtbot, target)
    assert read_session(target) == read_session(broken_off)
    assert read_session(target).labels()


def test_closing_waits_for_what_is_being_written(
    qtbot: QtBot,
    window: MainWindow,
    demo_session: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow_export(_: Session, __: str, target: Path) -> None:
        begun.set()
        go_on.wait(PATIENCE_MS / 1000)
        target.write_text("whole")

    monkeypatch.setattr(file_writer, "export", slow_export)
    open_session(qtbot, window, demo_session)
    target = tmp_path / "exported.json"
    window.files.export(formats()["json"], target)
    assert begun.wait(PATIENCE_MS / 1000)
    threading.Timer(0.5, go_on.set).start()
    window.close()
    assert target.read_text() == "whole"


def test_stop_keeps_what_was_measured(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO, graph=False)
    window.draft.time_limit_s = 600.0
    window.profile()

    def two_rounds() -> bool:
        found = window.session_model.session.progress
        return found is not None and found.round >= 2

    qtbot.waitUntil(two_rounds, timeout=PATIENCE_MS)
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS):
        window.actions_by_name["stop"].trigger()
    path = window.session_model.path
    assert path is not None
    stored = read_session(path)
    assert stored.finished is not None and stored.finished.reason == "stopped"
    assert all(stored.latency_stats(label) for label in stored.labels())


def test_a_run_that_ends_while_quitting_is_asked(qtbot: QtBot, window: MainWindow) -> None:
    """Yes closes the window then, and not the next time that a run ends."""
    open_model(qtbot, window, DEMO, graph=False)
    window.draft.time_limit_s = 1.0
    window.profile()
    qtbot.waitUntil(lambda: window.runs.running, timeout=PATIENCE_MS)

    def answer() -> None:
        question = QApplication.activeModalWidget()
        if window.runs.running or not isinstance(question, QMessageBox):
            QTimer.singleShot(50, answer)
            return
        QTest.mouseClick(question.button(QMessageBox.StandardButton.Yes), Qt.MouseButton.LeftButton)

    answer()
    window.close()
    assert not window.isVisible()


def test_an_engine_that_dies_takes_down_its_lane_only(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO, graph=False)
    window.draft.time_limit_s = 4.0
    window.profile()

    def measuring() -> bool:
        found = window.session_model.session.progress
        return found is not None and found.round >= 1

    qtbot.waitUntil(measuring, timeout=PATIENCE_MS)
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS):
        os.kill(window.session_model.session.ready["torch-eager"].pid, signal.SIGKILL)
    session = window.session_model.session
    assert list(session.failures) == ["torch-eager"]
    assert session.latency_stats("ort") is not None
    assert "PyTorch eager (CPU) failed" in window.messages.text
    assert window.messages.isVisible()
    assert window.actions_by_name["profile"].isEnabled(), "the program goes on"


def test_a_hostile_pickle_does_not_run(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    path = hostile_pickle(tmp_path, marker)
    with qtbot.waitSignal(window.opener.failed, timeout=PATIENCE_MS):
        window.open_path(path)
    assert not marker.exists()
    assert window.messages.isVisible() and "\n" in window.messages.text
    assert window.draft.info is None


@pytest.mark.parametrize("kind", ["missing", "empty", "folder", "text", "no-session"])
def test_bad_files_are_told_with_a_hint(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, kind: str
) -> None:
    names = {"no-session": "notes.dualscope", "folder": "folder.onnx"}
    path = tmp_path / names.get(kind, "model.onnx")
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(b"" if kind == "empty" else b"these are notes\n" * 40)
    with qtbot.waitSignal(window.opener.failed, timeout=PATIENCE_MS):
        window.open_path(path)
    message, _, hint = window.messages.text.partition("\n")
    assert path.name in message and hint
    QTest.keyClick(window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not window.messages.isVisible(), timeout=PATIENCE_MS)


def test_a_pickled_module_shows_the_graph_of_its_onnx_form(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    open_model(qtbot, window, pickled_sequential(tmp_path))
    shown = window.graph.graph.shown
    assert shown is not None and shown.suffix == ".onnx"
    assert int(window.graph.facts.split()[0]) >= 2


def test_a_check_leaves_the_conversion_for_the_graph_alone(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    open_model(qtbot, window, pickled_sequential(tmp_path), graph=False)
    window.opener.check(window.draft.plan(), lambda _: None)
    wait_for_graph(qtbot, window)


def test_the_graph_is_drawn_after_a_run_that_came_before_it(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    open_model(qtbot, window, pickled_sequential(tmp_path), graph=False)
    window.draft.remove_engine("ort")
    with qtbot.waitSignal(window.runs.started, timeout=PATIENCE_MS):
        window.draft.time_limit_s = 2.0
        window.profile()
    assert not window.opener.drop_form(), "nothing is converted beside the lanes"
    qtbot.waitUntil(lambda: not window.runs.running, timeout=PATIENCE_MS)
    wait_for_graph(qtbot, window)


def test_a_model_that_changed_is_not_measured(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(DEMO.read_bytes())
    open_model(qtbot, window, path, graph=False)
    path.write_bytes(DEMO.read_bytes() + b"\x00")
    with qtbot.waitSignal(window.opener.failed, timeout=PATIENCE_MS):
        window.profile()
    assert "model.onnx" in window.messages.text
    assert not window.runs.running


def test_two_lanes_of_one_engine(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO, graph=False)
    window.draft.remove_engine("torch-eager")
    one_thread: dict[str, str | int | float | bool] = {"intra_op_threads": 1}
    window.draft.add_engine(EngineSpec(label="ort", engine=EngineKind.ORT, options=one_thread))
    assert [engine.label for engine in window.draft.engines] == ["ort", "ort 2"]
    run_to_end(qtbot, window)
    session = window.session_model.session
    assert not session.failures
    (found,) = session.comparisons()
    assert {found.baseline, found.candidate} == {"ort", "ort 2"}


def test_recent_files_are_remembered(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO, graph=False)
    window.menus.recent.aboutToShow.emit()
    assert DEMO.name in window.menus.recent.actions()[0].text()
    other = MainWindow()
    qtbot.addWidget(other)
    assert other.settings.recent_files == [str(DEMO)]
    other.close()
