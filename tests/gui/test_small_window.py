"""The smallest window: nothing that a person reads or types into is cut off."""

from __future__ import annotations

from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from gui.views.timeline_view import AXIS, GAP, HEAD
from tests.gui.test_trace_note import traced
from tests.sample_session import session_of

LEAST_FIELD = 100


def test_every_tab_has_room(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(window.minimumSize())
    qtbot.waitUntil(lambda: window.size() == window.minimumSize())
    window.session_model.show(session_of(traced(0.6)), None)
    for view in (window.why, window.operators):
        window.tabs.setCurrentWidget(view)
        assert view.search.width() >= LEAST_FIELD
        for label in view.findChildren(QLabel):
            if label.isVisible() and not label.wordWrap():
                assert label.width() >= label.sizeHint().width(), label.text()
    window.tabs.setCurrentWidget(window.cost)
    table = window.cost.table
    assert table.columnCount() == 2
    last = table.columnViewportPosition(1) + table.columnWidth(1)
    qtbot.waitUntil(lambda: table.viewport().width() >= last)


def test_a_long_heading_of_the_timeline_is_told_whole(window: MainWindow) -> None:
    window.session_model.show(session_of(traced(0.6)), None)
    window.tabs.setCurrentWidget(window.timeline)
    window.timeline.grab()
    whole = window.timeline._heading_at(QPointF(20, AXIS + GAP + HEAD / 2))
    assert whole == window.timeline.heading(window.timeline.rows[0].label)
    assert "last traced round" in whole
    assert window.timeline._heading_at(QPointF(20, AXIS + GAP + HEAD + 4)) == ""
