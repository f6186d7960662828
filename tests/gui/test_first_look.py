"""What a person sees who doesn't know the window yet: words, and what can be pressed."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QToolButton, QWidget
from pytestqt.qtbot import QtBot

from gui import theme
from gui.lane_dialog import LaneDialog
from gui.main_window import MainWindow
from gui.views.inputs_table import DTYPE, NAME
from profiler.errors import ProfilerError
from profiler.lanes import options_of
from profiler.types import EngineKind, ModelKind
from tests.decision_sessions import compared, failed, rounds, run_events, session
from tests.gui.driving import DEMO, open_model, open_session


def resets(window: MainWindow) -> list[QToolButton]:
    found = window.model_panel.findChildren(QToolButton)
    return [button for button in found if button.text() == "Reset"]


def test_nothing_of_the_plan_is_changed_while_a_run_goes_on(window: MainWindow) -> None:
    assert len(resets(window)) == 2
    window.model_panel.set_editable(False)
    assert not any(button.isEnabled() for button in resets(window))
    window.model_panel.set_editable(True)
    assert all(button.isEnabled() for button in resets(window))


def test_a_run_that_broke_off_is_not_still_measured(window: MainWindow) -> None:
    events = run_events(*rounds("eager", 8.0), *rounds("onnx", 4.0))[:-1]
    window.session_model.apply(events)
    assert "still measuring" in note(window).lower()
    window.session_model.close()
    window.session_model.show(window.session_model.session, None)
    assert "broken off" in note(window).lower()
    assert "still measuring" not in note(window).lower()


def note(window: MainWindow) -> str:
    return window.banner._note.text()


def test_when_all_lanes_fail_no_other_is_said_to_go_on(window: MainWindow) -> None:
    window.session_model.show(session(failed("eager"), failed("onnx")), None)
    window._tell_failures()
    assert "went on" not in window.messages.text
    window.session_model.show(session(*rounds("eager", 8.0), failed("onnx")), None)
    window._tell_failures()
    assert "went on" in window.messages.text


def test_each_of_several_failures_can_be_read(window: MainWindow) -> None:
    window.session_model.show(session(failed("eager"), failed("onnx")), None)
    window._tell_failures()
    first, others = window.messages.text.splitlines()[0], window.messages._message.toolTip()
    assert first.startswith("eager failed while ") and first.endswith("(and 1 more failure)")
    assert "eager failed" in others and "onnx failed" in others
    window.messages.show_error(ProfilerError("One.", "Hint."))
    assert window.messages._message.toolTip() == "", "another message takes them away"


def test_empty_tabs_say_what_comes_and_how(qtbot: QtBot, window: MainWindow) -> None:
    window.tabs.setCurrentWidget(window.operators)
    assert "F5" in window.operators.empty.text()
    assert window.operators.empty.isVisible() and window.operators.view.isHidden()
    fastest, sweep = window.fastest_view, window.sweep_view
    for view in (fastest, sweep):
        assert not view.begin.isEnabled() and "Open a model first" in view.begin.toolTip()
    assert fastest.table.isHidden() and "Open a model first" in fastest.told.text()
    assert "Open a model first" in sweep.findings.text()
    assert window.why.pair.placeholderText() and not window.why.pair.isEnabled()
    open_model(qtbot, window, DEMO, graph=False)
    assert fastest.begin.isEnabled() and sweep.begin.isEnabled()
    assert "first" not in fastest.told.text() + sweep.findings.text()
    with qtbot.waitSignal(fastest.search_wanted):
        window.fastest_view.search_wanted.disconnect(window.fastest.ask)
        fastest.begin.click()


def test_lanes_that_were_run_are_offered_in_why(window: MainWindow) -> None:
    window.session_model.show(session(*rounds("eager", 8.0), *rounds("onnx", 4.0)), None)
    assert window.why.pair.currentText() == "onnx against eager"
    assert window.why.pair.isEnabled()


def test_a_message_follows_the_theme(window: MainWindow) -> None:
    window.messages.show_error(ProfilerError("It failed.", "Try again."))
    for name in ("dark", "light"):
        window.set_theme(name)
        assert theme.base().name() in window.messages.styleSheet()


@pytest.mark.parametrize("name", ["light", "dark"])
def test_boxes_can_be_told_from_the_window(window: MainWindow, name: str) -> None:
    """Fusion outlines them with `Window`, darkened by 1.4."""
    window.tabs.setCurrentWidget(window.why)
    window.set_theme(name)
    outline = window.why.differs.palette().color(QPalette.ColorRole.Window).darker(140)
    around = window.palette().color(QPalette.ColorRole.Window)
    assert abs(outline.lightness() - around.lightness()) > 40


def test_the_strip_shows_the_p50_of_the_report(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    open_session(qtbot, window, demo_session)
    shown = window.session_model.session
    for label in shown.labels():
        stats = shown.latency_stats(label)
        assert stats is not None
        assert f"{stats.p50_ns / 1e6:.4g} ms" in window.live.latency.figures.text()


def test_words_of_the_lane_form_explain_themselves(qtbot: QtBot) -> None:
    dialog = LaneDialog(ModelKind.ONNX)
    qtbot.addWidget(dialog)
    for name, option in options_of(EngineKind.ORT).items():
        label = dialog._form.labelForField(dialog.fields[name])
        assert isinstance(label, QWidget)
        assert label.toolTip() == option.help


def test_an_input_has_room_for_its_name(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO, graph=False)
    table = window.model_panel.inputs
    dtype = table.item(0, DTYPE)
    assert dtype is not None and dtype.text() == "float32"
    width = table.fontMetrics().horizontalAdvance("pixel_values")
    assert table.columnWidth(NAME) > width, "next to a shape of four dimensions"


def test_one_tolerance_is_said_once_and_several_by_row(window: MainWindow) -> None:
    window.session_model.show(session(*rounds("eager", 8.0), compared("eager", "onnx")), None)
    caption = window.outputs._caption.text()
    assert "Tolerance: |difference| ≤" in caption
    assert "each row" not in caption
