"""Find the fastest, in the window: the form, the table while races go on, and the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtWidgets import QDialogButtonBox
from pytestqt.qtbot import QtBot

from gui.dialogs.fastest_dialog import FastestDialog, Request
from gui.main_window import MainWindow
from gui.session_model import SessionModel
from gui.views.fastest_view import COLUMNS, FastestView
from gui.views.interval_delegate import INTERVAL_ROLE
from profiler.exporters import formats
from profiler.session import Session
from profiler.session_file import read_session
from profiler.session_writer import SessionWriter
from profiler.types import ArmState, EngineKind, ModelKind
from tests.gui.driving import DEMO, PATIENCE_MS, open_model, open_session, wait_for_file
from tests.sample_search import BASIC, BOUND, ONE, search_events

STATE, INTERVAL = COLUMNS.index("State"), COLUMNS.index("Latency over its leader")


def texts(view: FastestView, column: int) -> list[str]:
    items = [view.table.item(row, column) for row in range(view.table.rowCount())]
    return [item.text() if item else "" for item in items]


@pytest.fixture
def model(qtbot: QtBot) -> SessionModel:
    del qtbot
    return SessionModel()


def test_the_form_asks_for_engines_that_take_the_file_and_for_limits(qtbot: QtBot) -> None:
    dialog = FastestDialog(ModelKind.TORCHSCRIPT, 90.0)
    qtbot.addWidget(dialog)
    assert EngineKind.TORCH_EXPORT not in dialog.engines
    assert dialog.request() == Request(tuple(dialog.engines), 90.0, None, None)
    dialog.memory.setValue(500)
    dialog.p99.setValue(2.5)
    dialog.engines[EngineKind.TORCH_COMPILE].setChecked(False)
    request = dialog.request()
    assert EngineKind.TORCH_COMPILE not in request.engines
    assert (request.max_memory_bytes, request.max_p99_ns) == (500 * 2**20, 2.5e6)


def test_no_engine_means_no_search(qtbot: QtBot) -> None:
    dialog = FastestDialog(ModelKind.ONNX, 90.0)
    qtbot.addWidget(dialog)
    for box in dialog.engines.values():
        box.setChecked(False)
    assert not dialog.buttons.button(QDialogButtonBox.StandardButton.Ok).isEnabled()


def test_the_table_follows_the_races(qtbot: QtBot, model: SessionModel) -> None:
    view = FastestView(model)
    qtbot.addWidget(view)
    assert "Find the Fastest" in view.told.text()
    model.show(Session(), None)
    for event in search_events():
        model.apply([event])
    assert texts(view, 0)[:2] == ["ort", ONE.label]
    assert texts(view, STATE) == ["not faster", "racing", "slower", "failed", "racing", "racing"]
    assert texts(view, INTERVAL)[0] == "2.00 [1.80–2.20]"
    interval = view.table.item(0, INTERVAL)
    leader = view.table.item(1, INTERVAL)
    assert interval is not None and interval.data(INTERVAL_ROLE)[:3] == (2.0, 1.8, 2.2)
    assert leader is not None
    assert "leads after 3 configurations" in view.told.text()
    out, racing = view.table.item(2, 0), view.table.item(4, 0)
    assert out is not None and racing is not None
    assert out.foreground().color() != racing.foreground().color()


def test_buttons_act_on_the_chosen_row_or_the_winner(qtbot: QtBot, model: SessionModel) -> None:
    view = FastestView(model)
    qtbot.addWidget(view)
    model.show(Session(), None)
    model.apply(search_events())
    # Stopped before it had a winner: nothing to act on but a row.
    assert not view.use.isEnabled()
    view.table.selectRow(texts(view, 0).index(BOUND.label))
    assert view.use.isEnabled()
    with qtbot.waitSignal(view.lane_wanted) as wanted:
        view.use.click()
    assert wanted.args == [BOUND]
    with qtbot.waitSignal(view.program_wanted) as wanted:
        view.save.click()
    assert wanted.args == [BOUND]


def test_a_stopped_search_opens_again(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    path = tmp_path / "stopped.dualscope"
    with SessionWriter(path) as writer:
        for event in search_events():
            writer.append(event)
    open_session(qtbot, window, path)
    assert BASIC.label in texts(window.fastest_view, 0)
    assert window.draft.info is not None
    assert "stopped before" in window.banner.text


def test_search_use_the_lane_and_save_its_program(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    assert not window.actions_by_name["fastest"].isEnabled()
    open_model(qtbot, window, DEMO)
    assert window.actions_by_name["fastest"].isEnabled()
    assert window.draft.info is not None
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS):
        window.fastest.search(window.draft.info, Request((EngineKind.ORT,), 10.0, None, None))
    assert window.tabs.currentWidget() is window.fastest_view
    session, path = window.session_model.session, window.session_model.path
    assert session.finished is not None and session.search.races
    assert ArmState.RACING.value not in texts(window.fastest_view, STATE)
    assert path is not None and read_session(path).verdict() == session.verdict()
    before = len(window.draft.engines)
    configurations = texts(window.fastest_view, 0)
    window.fastest_view.table.selectRow(configurations.index("ort"))
    window.fastest_view.use.click()
    assert len(window.draft.engines) == before, "the default is a lane already"
    assert "already" in window.messages.text
    window.fastest_view.table.selectRow(1 - configurations.index("ort"))
    window.fastest_view.use.click()
    assert len(window.draft.engines) == before + 1
    spec = window.fastest_view.chosen()
    assert spec is not None
    window.fastest.save_to(spec, tmp_path / "program")
    wait_for_file(qtbot, tmp_path / "program" / "run.py")
    report = json.loads(formats()["json"].render(session))
    assert report["search"]["winner"]["engine"] == "ort"
