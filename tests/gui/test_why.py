"""The regions' table, the waterfall and the heat map, on a real session of the demo model."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from gui.graph.colour_scale import difference_colour, text_on, time_colour
from gui.main_window import MainWindow
from gui.views.regions_model import DIFFERENCE, FLAT, KINDS, NAME, RegionsModel, build
from gui.views.waterfall_chart import steps
from profiler.regions import Region
from profiler.types import RunStarted
from tests.gui.driving import (
    PATIENCE_MS,
    open_session,
    page_value,
    selected_node,
    wait_for_graph,
)
from tests.sample_session import sample_events, session_of
from tests.traced_lanes import row


def region(number: int, path: tuple[str, ...] = ()) -> Region:
    times = (1000.0 + number, 500.0)
    return Region(
        name=f"r{number}",
        path=path,
        label=f"r{number}",
        signature="Conv" if number % 2 else "MatMul",
        nodes=(f"n{number}",),
        operators=((row("a", "aten::a", 0),), (row("b", "B", 0),)),
        traced_ns=times,
        timed_ns=times,
    )


def why(qtbot: QtBot, window: MainWindow, session: Path) -> None:
    open_session(qtbot, window, session)
    window.tabs.setCurrentWidget(window.why)


def test_all_regions_of_a_session_are_shown(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    why(qtbot, window, demo_session)
    found = window.session_model.session.explanation("torch-eager", "ort")
    assert found is not None
    assert len(window.why.regions) == len(found.regions) > 10
    shown = {r.name for r in window.why.table.root.regions()}
    assert shown == {r.name for r in found.regions}
    whole = sum(item.difference_ns for item in window.why.table.root.children)
    assert whole == pytest.approx(sum(r.difference_ns for r in found.regions))
    assert "of the gap" in window.why.totals.text()


def test_a_click_on_a_region_selects_its_node(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    open_session(qtbot, window, demo_session)
    # Netron draws in frames, which a page that is out of sight doesn't get.
    wait_for_graph(qtbot, window)
    window.tabs.setCurrentWidget(window.why)
    window.why.arrangement.setCurrentText(FLAT)
    index = window.why.table.index(0, NAME)
    chosen = window.why.table.item(index).region
    assert chosen is not None
    where = window.why.view.visualRect(index).center()
    QTest.mouseClick(window.why.view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert [r.name for r in window.why.selected_regions()] == [chosen.name]
    assert window.why.totals.text().startswith("1 region chosen")
    window.tabs.setCurrentWidget(window.graph)
    qtbot.waitUntil(lambda: selected_node(qtbot, window) == chosen.nodes[-1], timeout=PATIENCE_MS)


def test_a_node_selects_its_region(qtbot: QtBot, window: MainWindow, demo_session: Path) -> None:
    why(qtbot, window, demo_session)
    name = window.why.regions[3].nodes[0]
    window.graph.node_selected.emit(name)
    assert name in window.why.selected_regions()[0].nodes


def test_the_filter_and_what_differs(qtbot: QtBot, window: MainWindow, demo_session: Path) -> None:
    why(qtbot, window, demo_session)
    everything = len(window.why.regions)
    window.why.search.setText("aten::conv2d")
    assert 0 < len(window.why.regions) < everything
    window.why.search.clear()
    window.why.differs.setChecked(True)
    found = window.session_model.session.explanation("torch-eager", "ort")
    assert found is not None
    assert all(abs(found.share(r)) >= 0.005 for r in window.why.regions)


def test_a_step_of_the_waterfall_chooses_its_regions(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    why(qtbot, window, demo_session)
    lines = window.why.chart.lines()
    assert (lines[0].total, lines[-1].total) == (True, True)
    assert lines[-2].end_ns == pytest.approx(lines[-1].end_ns)
    QTest.mouseClick(window.why.chart, Qt.MouseButton.LeftButton, pos=QPoint(20, 30))
    found = window.session_model.session.explanation("torch-eager", "ort")
    assert found is not None
    wanted = {found.regions[number].name for number in lines[1].regions}
    assert {r.name for r in window.why.selected_regions()} == wanted


def test_chosen_lines_are_copied_with_tabs(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    why(qtbot, window, demo_session)
    window.why.arrangement.setCurrentText(KINDS)
    window.why.view.selectAll()
    window.why.copy()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t")[0] == "Region"
    assert len(lines) > 1
    assert all(line.count("\t") == 5 for line in lines)


def test_steps_fit_the_room(qtbot: QtBot, window: MainWindow, demo_session: Path) -> None:
    why(qtbot, window, demo_session)
    found = window.session_model.session.explanation("torch-eager", "ort")
    assert found is not None
    for room in (4, 6, 40):
        lines = steps(found, ("a", "b"), room)
        assert len(lines) <= room
        assert lines[-2].end_ns == pytest.approx(found.figures[1].timed_ns)


def test_nodes_in_view_are_coloured(qtbot: QtBot, window: MainWindow, demo_session: Path) -> None:
    open_session(qtbot, window, demo_session)
    wait_for_graph(qtbot, window)
    count = "document.querySelectorAll('.dualscope-time').length"
    assert page_value(qtbot, window, count) == 0
    window.graph.colour.setCurrentIndex(1)
    qtbot.waitUntil(lambda: page_value(qtbot, window, count) > 0, timeout=PATIENCE_MS)
    assert page_value(qtbot, window, count) < 75, "what is out of view is not coloured"
    assert window.graph.legend.isVisible()
    window.graph.colour.setCurrentIndex(0)
    qtbot.waitUntil(lambda: page_value(qtbot, window, count) == 0, timeout=PATIENCE_MS)
    assert not window.graph.legend.isVisible()


def test_a_large_table_is_a_tree_with_sums(qtbot: QtBot) -> None:
    del qtbot
    regions = [region(n, ("m", f"layer{n % 100}")) for n in range(10_000)]
    root = build(regions, "modules")
    (top,) = root.children
    assert (top.name, len(top.children)) == ("m", 100)
    assert top.times_ns == (sum(r.timed_ns[0] for r in regions), 500.0 * 10_000)
    table = RegionsModel()
    table.show(None, regions, ("a", "b"), FLAT)
    assert table.rowCount() == 10_000
    table.sort(DIFFERENCE, Qt.SortOrder.DescendingOrder)
    assert table.item(table.index(0, 0)).name == "r9999"
    first = table.index(0, 0)
    assert table.hasChildren(first)
    assert table.rowCount(first) == 2
    assert table.parent(table.index(0, 0, first)) == first


def test_colours_go_from_the_ground_to_the_scales_end() -> None:
    for dark in (False, True):
        assert time_colour(0, 10, dark=dark) == difference_colour(0, 10, dark=dark)
        assert time_colour(10, 10, dark=dark) != time_colour(5, 10, dark=dark)
        assert difference_colour(10, 10, dark=dark) != difference_colour(-10, 10, dark=dark)
    assert (text_on("#ffffff"), text_on("#000000")) == ("#000000", "#ffffff")
    assert time_colour(5, 0, dark=False) == "#eef2f6"


def test_what_costs_time_is_told_with_evidence_and_remedy(window: MainWindow) -> None:
    started, *later = sample_events()
    assert isinstance(started, RunStarted)
    base, *others = started.plan.engines
    crowded = msgspec.structs.replace(base, options={"intra_op_threads": 16})
    plan = msgspec.structs.replace(started.plan, engines=(crowded, *others))
    cores = {"cores": "2 physical, 4 logical"}
    started = msgspec.structs.replace(started, plan=plan, environment=cores)
    window.tabs.setCurrentWidget(window.why)
    window.session_model.show(session_of([started, *later]), None)
    assert window.why.insights.isVisible()
    assert "more threads than there are CPUs" in window.why.insights.text()
    tip = window.why.insights.toolTip()
    assert "16 threads within operators, 4 logical CPUs" in tip
    assert "Use at most 4" in tip
