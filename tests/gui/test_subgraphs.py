"""Nodes inside of nodes, in the real Netron: coloured, and linked with the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from profiler.recorder import record
from profiler.types import OperatorRow
from tests.gui.driving import (
    PATIENCE_MS,
    demo_plan,
    open_session,
    page_value,
    selected_node,
    wait_for_graph,
)
from tests.nested_models import control_flow, functions

LABELS = "Array.from(document.querySelectorAll('.dualscope-time')).map((e) => e.textContent)"
PLACE = "window.__view__._path.map((entry) => entry.target.name).join('/')"


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    def run(model: Path) -> Path:
        path = tmp_path_factory.mktemp("session") / "run.dualscope"
        for _ in record(demo_plan(model, time_limit_s=0.3), path, cancelled=lambda: False):
            pass
        return path

    return run


@pytest.fixture(scope="module")
def control_session(
    tmp_path_factory: pytest.TempPathFactory, measure: Callable[[Path], Path]
) -> Path:
    return measure(control_flow(tmp_path_factory.mktemp("model") / "control.onnx"))


@pytest.fixture(scope="module")
def function_session(
    tmp_path_factory: pytest.TempPathFactory, measure: Callable[[Path], Path]
) -> Path:
    return measure(functions(tmp_path_factory.mktemp("model") / "functions.onnx"))


def choose_row(window: MainWindow, node: str) -> OperatorRow:
    """As a click on the row of the operator that covers this node."""
    table = window.operators.table
    number = next(i for i, row in enumerate(table.rows) if node in row.source_nodes)
    index = window.operators.filter.mapFromSource(table.index(number, 1))
    window.operators.view.selectRow(index.row())
    return table.rows[number]


def colour_by(window: MainWindow, text: str) -> None:
    box = window.graph.colour
    number = next(i for i in range(box.count()) if text in box.itemText(i))
    box.setCurrentIndex(number)


def chosen_rows(window: MainWindow) -> list[OperatorRow]:
    view, table = window.operators.view, window.operators
    return [
        table.table.rows[table.filter.mapToSource(index).row()]
        for index in view.selectionModel().selectedRows()
    ]


def test_a_row_opens_the_body_and_its_nodes_are_coloured(
    qtbot: QtBot, window: MainWindow, control_session: Path
) -> None:
    open_session(qtbot, window, control_session)
    wait_for_graph(qtbot, window)
    colour_by(window, "time of ONNX Runtime")
    choose_row(window, "looped › body › loop_mm")
    qtbot.waitUntil(lambda: selected_node(qtbot, window) == "loop_mm", timeout=PATIENCE_MS)
    assert page_value(qtbot, window, PLACE) == "body/nested"
    qtbot.waitUntil(lambda: len(page_value(qtbot, window, LABELS)) == 3, timeout=PATIENCE_MS)
    # In the other body a value of the same name was never computed.
    choose_row(window, "y › then_branch › mm")
    qtbot.waitUntil(lambda: selected_node(qtbot, window) == "mm", timeout=PATIENCE_MS)
    assert page_value(qtbot, window, PLACE) == "then/nested"
    # And back to the model's own graph.
    choose_row(window, "first")
    qtbot.waitUntil(lambda: selected_node(qtbot, window) == "first", timeout=PATIENCE_MS)
    assert page_value(qtbot, window, PLACE) == "nested"


def test_a_node_of_an_expanded_body_selects_its_row(
    qtbot: QtBot, window: MainWindow, control_session: Path
) -> None:
    """The body is drawn within its node, by Netron's own button."""
    open_session(qtbot, window, control_session)
    wait_for_graph(qtbot, window)
    colour_by(window, "memory of outputs, ONNX Runtime")
    page_value(
        qtbot,
        window,
        """(() => { const graph = window.__view__.target;
            const loop = graph.target.nodes.find((node) => node.type.name === 'Loop');
            graph.blocks.add(loop.attributes[0].value);
            window.__view__.refresh();
            return 1; })()""",
    )
    # Two nodes in four rounds of the loop, as against one product before it.
    qtbot.waitUntil(
        lambda: page_value(qtbot, window, LABELS).count("16.0 KiB") == 2, timeout=PATIENCE_MS
    )
    assert "4.0 KiB" in page_value(qtbot, window, LABELS)
    inner = """(() => { const graph = window.__view__.target;
        for (const node of graph._table.values()) {
            for (const block of node.blocks || []) {
                if (block.target && block.target._table) {
                    const found = block.target.target.nodes.find((n) => n.type.name === 'Tanh');
                    block.target.activate(found, 'target');
                    return true;
                }
            }
        }
        return false; })()"""
    with qtbot.waitSignal(window.graph.node_selected, timeout=PATIENCE_MS) as selected:
        assert page_value(qtbot, window, inner)
    assert selected.args == ["looped › body › h_out"]
    assert [row.op_type for row in chosen_rows(window)] == ["Tanh"]


def test_calls_of_a_function_are_told_apart(
    qtbot: QtBot, window: MainWindow, function_session: Path
) -> None:
    open_session(qtbot, window, function_session)
    wait_for_graph(qtbot, window)
    colour_by(window, "time of ONNX Runtime")
    row = choose_row(window, "b › t")
    qtbot.waitUntil(lambda: selected_node(qtbot, window) == "t", timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: len(page_value(qtbot, window, LABELS)) == 3, timeout=PATIENCE_MS)
    assert f"{row.name}" in [chosen.name for chosen in chosen_rows(window)]
    click = """(() => { const graph = window.__view__.target;
        const found = graph.target.nodes.find((node) => node.type.name === 'Tanh');
        graph.activate(found, 'target'); return true; })()"""
    with qtbot.waitSignal(window.graph.node_selected, timeout=PATIENCE_MS) as selected:
        page_value(qtbot, window, click)
    assert selected.args == ["b › u"]
    assert [chosen.source_nodes for chosen in chosen_rows(window)] == [("b", "b › u")]
