"""What can be reached and done without a mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QApplication, QTableWidgetItem, QWidget
from pytestqt.qtbot import QtBot

from gui.lane_dialog import LaneDialog
from gui.main_window import MainWindow
from gui.views.sweep_heat import HeatMap
from tests.gui.driving import PATIENCE_MS, open_session, wait_for_graph

MOST_STEPS = 80


def tabbed_through(start: QWidget) -> list[QWidget]:
    """Widgets that the tab key comes by, until it is where it began."""
    start.setFocus()
    found: list[QWidget] = []
    for _ in range(MOST_STEPS):
        focused = QApplication.focusWidget()
        if focused is None or focused in found:
            return found
        found.append(focused)
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    pytest.fail(f"the tab key doesn't come back to {type(start).__name__}")


@pytest.mark.parametrize("place", ["operators", "why", "outputs", "cost", "fastest_view", "report"])
def test_the_tab_key_leaves_every_view(
    qtbot: QtBot, window: MainWindow, demo_session: Path, place: str
) -> None:
    open_session(qtbot, window, demo_session)
    view = getattr(window, place)
    window.tabs.setCurrentWidget(view)
    found = tabbed_through(window.tabs.tabBar())
    assert any(view is one or view.isAncestorOf(one) for one in found), "reached"
    assert window.model_panel.lanes in found, "and left again"


@pytest.mark.parametrize("key", [Qt.Key.Key_Tab, Qt.Key.Key_Backtab])
def test_the_tab_key_leaves_the_graph(
    qtbot: QtBot, window: MainWindow, demo_session: Path, key: Qt.Key
) -> None:
    open_session(qtbot, window, demo_session)
    wait_for_graph(qtbot, window)
    view = window.graph.graph
    window.tabs.setCurrentWidget(window.graph)
    page = view.findChild(QWebEngineView)
    assert page is not None
    page.setFocus()
    qtbot.waitUntil(lambda: _holds_focus(view), timeout=PATIENCE_MS)
    focused = QApplication.focusWidget()
    assert focused is not None
    QTest.keyClick(focused, key)
    assert not _holds_focus(view)


def _holds_focus(view: QWidget) -> bool:
    focused = QApplication.focusWidget()
    return focused is not None and view.isAncestorOf(focused)


def test_the_tab_key_goes_down_the_panel(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    open_session(qtbot, window, demo_session)
    window.tabs.setCurrentWidget(window.report)
    panel = window.model_panel
    found = tabbed_through(panel.inputs)
    fill = panel.inputs.cellWidget(0, 3)
    wanted = [panel.inputs, fill, panel.lanes, panel.baseline, panel.target, panel.time_limit]
    assert [one for one in found if one in wanted] == wanted


def test_enter_opens_a_lane(qtbot: QtBot, window: MainWindow, demo_session: Path) -> None:
    open_session(qtbot, window, demo_session)
    lanes = window.model_panel.lanes
    lanes.setFocus()
    lanes.setCurrentRow(1)
    seen: list[str] = []

    def shut() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, LaneDialog)
        seen.append(dialog.label.text())
        dialog.reject()

    QTimer.singleShot(200, shut)
    QTest.keyClick(lanes, Qt.Key.Key_Return)
    assert seen


def test_enter_chooses_a_cell_of_the_heat_map(qtbot: QtBot) -> None:
    heat = HeatMap()
    qtbot.addWidget(heat)
    heat.setRowCount(1)
    heat.setColumnCount(2)
    for column, point in enumerate((7, None)):
        item = QTableWidgetItem("1.00×")
        item.setData(Qt.ItemDataRole.UserRole, point)
        heat.setItem(0, column, item)
    heat.show()
    with qtbot.waitActive(heat, timeout=PATIENCE_MS):
        heat.activateWindow()
    heat.setFocus()
    chosen: list[int] = []
    heat.point_chosen.connect(chosen.append)
    for column in (1, 0):
        heat.setCurrentCell(0, column)
        QTest.keyClick(heat, Qt.Key.Key_Return)
    assert chosen == [7]
