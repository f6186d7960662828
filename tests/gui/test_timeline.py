"""Operators on a time axis: what is drawn, zoom, selection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from gui.views.timeline_rows import filled_pixels, row_of
from profiler.types import OpTiming
from tests.gui.driving import PATIENCE_MS, open_session


def op(start: int, duration: int) -> OpTiming:
    return OpTiming(name=f"at {start}", op_type="Conv", start_ns=start, duration_ns=duration)


OPS = [op(0, 10), op(50, 10), op(20, 20)]
ROW = row_of("lane", 1, OPS, [o.start_ns for o in OPS])


def test_a_row_is_sorted_and_can_be_searched() -> None:
    assert list(ROW.starts_ns) == [0, 20, 50]
    assert [o.start_ns for o in ROW.ops] == [0, 20, 50]
    assert [ROW.at(t) for t in (0, 15, 39, 45, 55, 99)] == [0, None, 1, None, 2, None]
    assert ROW.visible(12, 45) == (1, 2)


def test_dense_parts_are_runs_of_pixels() -> None:
    assert filled_pixels(ROW, 0, 100, 10) == [(0, 1), (2, 4), (5, 6)]
    assert filled_pixels(ROW, 0, 100, 100) == [(0, 10), (20, 40), (50, 60)]
    assert filled_pixels(ROW, 70, 100, 10) == []


def test_very_many_operators_are_few_runs() -> None:
    starts = np.arange(200_000) * 10
    ops = [op(0, 10)] * 200_000
    row = row_of("lane", 1, ops, [int(s) for s in starts])
    assert filled_pixels(row, 0, 2_000_000, 800) == [(0, 800)]


def test_both_lanes_of_a_session_and_its_keys(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    open_session(qtbot, window, demo_session)
    window.tabs.setCurrentWidget(window.timeline)
    view = window.timeline
    qtbot.waitUntil(lambda: bool(view.rows), timeout=PATIENCE_MS)
    assert {row.label for row in view.rows} == {"ort", "torch-eager"}
    whole = view.end_ns
    QTest.keyClick(view, Qt.Key.Key_Plus)
    assert view.end_ns - view.start_ns == pytest.approx(whole / 1.25)
    before = view.start_ns
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert view.start_ns < before
    QTest.keyClick(view, Qt.Key.Key_0)
    assert (view.start_ns, view.end_ns) == (0.0, whole)


def test_a_click_on_an_operator_selects_its_rows(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    open_session(qtbot, window, demo_session)
    window.tabs.setCurrentWidget(window.timeline)
    view = window.timeline
    qtbot.waitUntil(lambda: bool(view.rows), timeout=PATIENCE_MS)
    row, top = view._placed()[-1]
    index = next(i for i, o in enumerate(row.ops) if o.source_nodes)
    middle_ns = (row.starts_ns[index] + row.ends_ns[index]) / 2
    view.show_span(middle_ns - 50_000, middle_ns + 50_000)
    place = QPointF(10 + (middle_ns - view.start_ns) * view._scale(), top + 5)
    found = view.operator_at(place)
    assert found is not None
    with qtbot.waitSignal(view.node_selected) as selected:
        QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=place.toPoint())
    chosen = window.operators.view.selectionModel().selectedRows()
    assert chosen
    assert selected.args[0] in found.source_nodes
