"""The suite in the window: what is offered, a suite as it goes on, one from a folder, its rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QTableWidget
from pytestqt.qtbot import QtBot

from gui import app
from gui.main_window import MainWindow
from gui.reasons import RUNNING
from gui.suite_controller import SuiteController
from gui.suite_model import SuiteModel
from gui.views.suite_view import SuiteView
from profiler.suite.suite_file import JSON
from profiler.types import Event, PointState
from tests.gui.driving import PATIENCE_MS, wait_for_file
from tests.profiler.suite.driving import HERE, MS, events, install, plan

KEYS = ("resnet-50", "bert-base")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, list[Event]]:
    """A suite of two models on scripted lanes: its folder, and what it told."""
    install(monkeypatch, eager_ns=3 * MS, ort_ns=2 * MS)
    folder = tmp_path / "made"
    return folder, events(plan(*KEYS), folder)


def column(table: QTableWidget, number: int) -> list[str]:
    items = [table.item(row, number) for row in range(table.rowCount())]
    return [item.text() if item else "" for item in items]


def test_the_view_offers_a_suite_and_fills_in(
    qtbot: QtBot, qapp: QApplication, made: tuple[Path, list[Event]]
) -> None:
    app.set_up(qapp)
    folder, told = made
    model = SuiteModel()
    view = SuiteView(model)
    qtbot.addWidget(view)
    view.resize(1100, 600)
    view.show()
    view.set_state(reason="", running=False)
    assert "ResNet-50, BERT-base" in view.told.text()
    assert "14 min" in view.told.text()
    view.quick.setChecked(True)
    assert "torch.compile" not in view.told.text()
    with qtbot.waitSignal(view.start_wanted) as wanted:
        view.begin.click()
    assert wanted.args == [True]
    view.set_state(reason=RUNNING, running=True)
    model.begin(folder)
    half = next(n for n, event in enumerate(told) if type(event).__name__ == "EntryFinished")
    model.apply(told[: half + 1])
    assert column(view.table, 2) == ["PyTorch eager (CPU)", "ONNX Runtime (CPU)", "–"]
    assert column(view.table, 5) == ["baseline", "faster", "not yet measured"]
    assert "1 of 2 runs done" in view.told.text()
    model.apply(told[half + 1 : half + 3])
    assert column(view.table, 5)[2] == "being measured"
    assert "2 of 2, BERT-base: " in view.progress.text()
    assert (view.halt.isVisible(), view.begin.isVisible()) == (True, False)
    model.apply(told[half + 3 :])
    view.set_state(reason="", running=False)
    assert column(view.table, 4)[3].startswith("1.50× [")
    assert column(view.claims, 1)[0] == "confirmed"
    assert "2 of 2 encoders" in column(view.claims, 2)[0]
    assert not view.resume.isVisible()
    assert not view.session.isEnabled()
    view.table.selectRow(2)
    with qtbot.waitSignal(view.session_wanted) as opened:
        view.session.click()
    assert opened.args == ["bert-base.dualscope"]


def test_a_suite_of_a_folder_is_shown_and_its_session_opened(
    qtbot: QtBot, window: MainWindow, made: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    folder, _ = made
    window.actions_by_name["suite"].trigger()
    assert window.tabs.currentWidget() is window.suite_view
    with qtbot.waitSignal(window.suite_model.changed, timeout=PATIENCE_MS):
        window.suite.open(folder / JSON)
    assert window.suite_view.table.rowCount() == 4
    target = tmp_path / "table.csv"
    window.suite.export("csv", target)
    wait_for_file(qtbot, target)
    qtbot.waitUntil(window.suite_view.session.isVisible, timeout=PATIENCE_MS)
    window.suite_view.table.selectRow(1)
    with qtbot.waitSignal(window.opener.session_opened, timeout=PATIENCE_MS):
        window.suite_view.session.click()
    assert window.session_model.path == folder / "resnet-50.dualscope"
    assert "1.50×" in window.banner.text
    # The suite is still there to go on from.
    assert window.suite_view.table.rowCount() == 4


def test_a_suite_is_run_stopped_and_resumed(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, eager_ns=3 * MS, ort_ns=2 * MS)
    monkeypatch.setattr("gui.suite_controller.check_library", lambda: None)
    monkeypatch.setattr("gui.suite_controller.capabilities", lambda **_: HERE)
    controller: SuiteController = window.suite
    stopped = False

    def on_changed() -> None:
        nonlocal stopped
        if window.suite_model.suite.results and not stopped:
            stopped = True
            window.suite_view.stop_wanted.emit()

    window.suite_model.changed.connect(on_changed)
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS) as ended:
        controller.start(quick=True)
    assert ended.args == [None]
    suite, folder = window.suite_model.suite, window.suite_model.folder
    assert folder is not None
    assert folder.is_relative_to(tmp_path / "data")
    assert suite.finished is not None
    assert suite.finished.reason == "stopped"
    assert window.tabs.currentWidget() is window.suite_view
    assert window.session_model.session.plan is None
    assert window.suite_view.resume.isVisible()
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS):
        window.suite_view.resume.click()
    assert window.suite_model.folder == folder
    states = [r.state for r in window.suite_model.suite.results.values()]
    # GPT-2 generates text, which the scripted lanes don't.
    assert states[:3] == [PointState.DONE] * 3
    assert "Suite ended" in window.status.label.text()
