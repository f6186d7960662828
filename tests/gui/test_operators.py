"""The operators' table on a real session of the demo model: its columns, and which are shown."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui import settings
from gui.main_window import MainWindow
from gui.views.operator_columns import COLUMNS, UNKNOWN
from tests.gui.driving import open_session

TITLES = [column.title for column in COLUMNS]


def column_action(window: MainWindow, title: str) -> QAction:
    return next(a for a in window.operators.column_menu.actions() if a.text() == title)


def shown(window: MainWindow) -> list[str]:
    view = window.operators.view
    return [title for number, title in enumerate(TITLES) if not view.isColumnHidden(number)]


def texts(window: MainWindow, title: str) -> list[str]:
    rows, column = window.operators.filter, TITLES.index(title)
    return [str(rows.index(row, column).data()) for row in range(rows.rowCount())]


def test_work_and_limits_are_those_of_the_session(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    open_session(qtbot, window, demo_session)
    window.tabs.setCurrentWidget(window.operators)
    session, table = window.session_model.session, window.operators.table
    known = dict.fromkeys(session.labels(), 0)
    for number, row in enumerate(table.rows):
        figures = session.roofline(row)
        rate = table.index(number, TITLES.index("GFLOP/s")).data()
        limit = table.index(number, TITLES.index("Limit")).data()
        if figures.flops_per_s is None:
            assert rate == UNKNOWN
        else:
            assert rate == f"{figures.flops_per_s / 1e9:.1f}"
        assert limit == (figures.bound.value if figures.bound else UNKNOWN)
        known[row.label] += figures.bound is not None
    assert all(known.values()), "of both engines' operators"


def test_what_is_not_known_comes_last(qtbot: QtBot, window: MainWindow, demo_session: Path) -> None:
    open_session(qtbot, window, demo_session)
    window.operators.view.sortByColumn(TITLES.index("GFLOP/s"), Qt.SortOrder.DescendingOrder)
    found = texts(window, "GFLOP/s")
    rates = [float(text) for text in found if text != UNKNOWN]
    assert 0 < len(rates) < len(found)
    assert rates == sorted(rates, reverse=True)
    assert set(found[len(rates) :]) == {UNKNOWN}


def test_columns_are_chosen_from_the_menu(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    open_session(qtbot, window, demo_session)
    at_first = shown(window)
    assert "Limit" in at_first and "Shapes" not in at_first
    column_action(window, "Shapes").trigger()
    column_action(window, "Limit").trigger()
    assert set(shown(window)) == {*at_first, "Shapes"} - {"Limit"}
    assert not column_action(window, "Operator").isEnabled(), "a row without a name says nothing"


def test_the_choice_of_columns_is_kept(
    qtbot: QtBot, qapp: QApplication, window: MainWindow
) -> None:
    del qapp
    column_action(window, "Provider").trigger()
    column_action(window, "Lane").trigger()
    chosen = shown(window)
    window.close()
    assert settings.load().operator_columns == {"Provider": True, "Lane": False}
    again = MainWindow()
    qtbot.addWidget(again)
    assert shown(again) == chosen
    column_action(again, "Provider").trigger()
    column_action(again, "Lane").trigger()
    again.close()
    assert settings.load().operator_columns == {}


def test_a_title_that_is_no_more_is_passed_over(qtbot: QtBot) -> None:
    kept = settings.Settings(operator_columns={"Gone": True, "Operator": False, "Module": False})
    settings.save(kept)
    found = MainWindow()
    qtbot.addWidget(found)
    assert found.operators.chosen_columns() == {"Module": False}
    found.close()
