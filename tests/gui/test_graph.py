"""Netron in the window: linked with the table, closed to the outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractItemView
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from tests.gui.driving import (
    DEMO,
    PATIENCE_MS,
    open_model,
    open_session,
    page_value,
    screen_is_x11,
    selected_node,
    wait_for_graph,
)
from tests.gui.x_pointer import Pointer
from tests.model_zoo import onnx_mlp, torchscript


def test_shapes_are_written_with_brackets_that_fonts_have(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO)
    text = page_value(qtbot, window, "document.getElementById('target').textContent")
    assert "\u27e8" in text
    assert "\u3008" not in text


def test_a_click_on_a_row_selects_the_node(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    open_session(qtbot, window, demo_session)
    wait_for_graph(qtbot, window)
    window.tabs.setCurrentWidget(window.operators)
    view = window.operators.view
    rows = window.operators.filter.rowCount()
    for number in range(rows):
        index = window.operators.filter.index(number, 1)
        row = window.operators.table.rows[window.operators.filter.mapToSource(index).row()]
        if row.label == "ort" and row.op_type == "Conv":
            break
    view.scrollTo(index, QAbstractItemView.ScrollHint.PositionAtCenter)
    where = view.visualRect(index).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    window.tabs.setCurrentWidget(window.graph)
    qtbot.waitUntil(
        lambda: selected_node(qtbot, window) == row.source_nodes[-1], timeout=PATIENCE_MS
    )


def test_a_click_on_a_node_selects_its_rows(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    if not screen_is_x11():
        pytest.skip("real pointer events are sent through X11 only")
    open_session(qtbot, window, demo_session)
    wait_for_graph(qtbot, window)
    script = """(() => {
        const title = document.querySelector('.node-item-type-layer, .node-item-type');
        const box = title.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2];
    })()"""
    x, y = page_value(qtbot, window, script)
    where = window.graph.graph.mapToGlobal(QPoint(round(x), round(y)))
    with (
        qtbot.waitSignal(window.graph.node_selected, timeout=PATIENCE_MS) as selected,
        Pointer() as pointer,
    ):
        pointer.move(where.x() + 3, where.y())
        pointer.move(where.x(), where.y())
        qtbot.wait(100)
        pointer.press()
        qtbot.wait(60)
        pointer.release()
    chosen = window.operators.view.selectionModel().selectedRows()
    tables = [window.operators.filter.mapToSource(index).row() for index in chosen]
    found = [window.operators.table.rows[number] for number in tables]
    assert {row.label for row in found} == {"ort", "torch-eager"}
    assert all(selected.args[0] in row.source_nodes for row in found)


def test_weights_beside_the_file_are_not_read_for_the_graph(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    """They may be gigabytes."""
    open_model(qtbot, window, onnx_mlp(tmp_path, external=True))
    assert window.graph.facts == "4 nodes"
    requests = window.graph.graph.interceptor
    assert not any("external.data" in url for url in (*requests.allowed, *requests.blocked))


def test_no_request_leaves(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO)
    requests = window.graph.graph.interceptor
    assert requests.blocked == []
    assert any("onnx.js" in url for url in requests.allowed), "it really was Netron"
    script = """(() => { window.answers = [];
        for (const url of ['https://ipinfo.io/json', 'http://127.0.0.1:9/', 'file:///etc/passwd']) {
            const request = new XMLHttpRequest();
            request.onload = () => window.answers.push('got ' + url);
            request.onerror = () => window.answers.push('refused');
            request.open('GET', url); request.send();
        } return 1; })()"""
    page_value(qtbot, window, script)
    qtbot.waitUntil(
        lambda: len(page_value(qtbot, window, "window.answers")) == 3, timeout=PATIENCE_MS
    )
    assert page_value(qtbot, window, "window.answers") == ["refused"] * 3
    outside = [url for url in requests.allowed if not url.startswith(("dualscope:", "blob:"))]
    assert outside == []


def test_only_known_names_are_served(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    sibling = tmp_path / "secret.json"
    sibling.write_text("{}")
    path = tmp_path / "model.onnx"
    path.write_bytes(DEMO.read_bytes())
    open_model(qtbot, window, path)
    script = """(() => { window.answers = {};
        for (const name of ['onnx.js', 'secret.json', 'model.onnx', '..%2fserver.py', 'server.py',
                            '../pyproject.toml', '__init__.py', 'model-1.onnx']) {
            const request = new XMLHttpRequest();
            request.onload = () => { window.answers[name] = request.status; };
            request.onerror = () => { window.answers[name] = 0; };
            request.open('GET', 'dualscope://netron/' + name); request.send();
        } return 1; })()"""
    page_value(qtbot, window, script)
    qtbot.waitUntil(
        lambda: len(page_value(qtbot, window, "window.answers")) == 8, timeout=PATIENCE_MS
    )
    answers = page_value(qtbot, window, "window.answers")
    assert {name for name, status in answers.items() if status == 200} == {
        "onnx.js",
        "model-1.onnx",
    }


def test_torchscript_is_drawn_as_it_is(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    path = torchscript(tmp_path)
    open_model(qtbot, window, path)
    assert window.graph.graph.shown == path


def test_a_renderer_that_dies_comes_back(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO)
    window.graph.graph.page.renderProcessTerminated.emit(
        window.graph.graph.page.RenderProcessTerminationStatus.CrashedTerminationStatus, 1
    )
    with qtbot.waitSignal(window.graph.graph.loaded, timeout=PATIENCE_MS) as loaded:
        pass
    assert loaded.args == [75]


def test_a_theme_changes_the_page_too(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO)
    colour = "getComputedStyle(document.getElementById('target')).backgroundColor"
    light = page_value(qtbot, window, colour)
    with qtbot.waitSignal(window.graph.graph.loaded, timeout=PATIENCE_MS):
        window.set_theme("dark")
    assert page_value(qtbot, window, colour) != light
    window.set_theme("light")
