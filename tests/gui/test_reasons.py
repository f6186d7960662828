"""What can't be used, or isn't there, says why."""

from __future__ import annotations

import msgspec
from PySide6.QtWidgets import QPushButton, QTabBar, QToolButton
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from gui.reasons import NO_MODEL, NO_SESSION, RUNNING
from profiler.types import Event, OpTimings
from tests.gui.driving import DEMO, open_model
from tests.sample_session import generation_events, sample_events, sample_ops, session_of

NOT_TRACED = "Generations are timed token by token, not traced. See the Generation tab."


def both_traced() -> list[Event]:
    """The sample's run with operators in both lanes."""
    return [
        msgspec.structs.replace(event, ops=sample_ops("conv"), iterations=2)
        if isinstance(event, OpTimings)
        else event
        for event in sample_events()
    ]


def grey_without_a_reason(window: MainWindow) -> list[str]:
    """Visible buttons and actions that are disabled and have no word on it."""
    buttons = [
        button
        for kind in (QPushButton, QToolButton)
        for button in window.findChildren(kind)
        if button.isVisible() and not isinstance(button.parent(), QTabBar)
    ]
    grey = [button for button in buttons if not button.isEnabled()]
    silent = [button.text() for button in grey if not button.toolTip()]
    actions = [action for action in window.actions_by_name.values() if not action.isEnabled()]
    return silent + [action.text() for action in actions if not action.statusTip()]


def test_a_generation_says_where_its_figures_are(window: MainWindow) -> None:
    window.session_model.show(session_of(generation_events()), None)
    window.tabs.setCurrentWidget(window.why)
    assert window.why.empty.isVisible()
    assert window.why.empty.text() == NOT_TRACED
    assert not window.why.view.isVisible()
    window.tabs.setCurrentWidget(window.operators)
    assert window.operators.empty.text() == NOT_TRACED
    assert window.live.operators.columns.empty_text() == NOT_TRACED
    window.tabs.setCurrentWidget(window.outputs)
    reason = "the lanes generate text, and layers are told apart in single calls only"
    assert reason in window.outputs.locate_button.toolTip()
    assert window.outputs.finding.text().endswith(f"You can't look now: {reason}.")
    window.session_model.show(session_of(both_traced()), None)
    window.tabs.setCurrentWidget(window.why)
    assert window.why.view.isVisible()
    assert not window.why.empty.isVisible()


def test_lanes_that_were_not_traced_are_named(window: MainWindow) -> None:
    of_one = [
        event
        for event in sample_events()
        if not (isinstance(event, OpTimings) and event.label == "base")
    ]
    window.session_model.show(session_of(of_one), None)
    told = "base: no operator was traced, so there is nothing to compare."
    assert window.why.empty.text() == told
    assert "base was not traced" in window.outputs.locate_button.toolTip()


def test_what_is_grey_says_why(qtbot: QtBot, window: MainWindow) -> None:
    actions = window.actions_by_name
    for number in range(window.tabs.count()):
        window.tabs.setCurrentIndex(number)
        assert grey_without_a_reason(window) == []
    for name in ("profile", "fastest", "sweep"):
        assert not actions[name].isEnabled()
        assert actions[name].toolTip().endswith(f"{NO_MODEL}.")
        assert actions[name].statusTip() == NO_MODEL
    assert actions["save_session"].statusTip() == NO_SESSION
    assert NO_SESSION in window.menus.export.menuAction().toolTip()
    assert NO_SESSION in window.outputs.locate_button.toolTip()
    open_model(qtbot, window, DEMO, graph=False)
    assert actions["profile"].isEnabled()
    assert actions["profile"].toolTip() == "Measure the lanes (F5)"
    with qtbot.waitSignal(window.runs.started):
        actions["profile"].trigger()
    assert actions["open"].statusTip() == RUNNING
    assert RUNNING in window.model_panel.toolTip()
    for number in range(window.tabs.count()):
        window.tabs.setCurrentIndex(number)
        assert grey_without_a_reason(window) == []
