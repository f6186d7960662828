"""The Outputs tab: differences, and the first layer that differs, found on demand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from profiler.divergence import locate
from profiler.jobs import inspect_model
from profiler.lanes import parse_lane
from profiler.plan import default_plan
from profiler.recorder import record
from profiler.session_file import read_session
from profiler.types import Locate
from tests.gui.driving import PATIENCE_MS, SHORT_WARMUP, open_session, wait_for_graph
from tests.profiler.faults import dense_chain, with_fault


@pytest.fixture
def faulty_session(tmp_path: Path) -> Path:
    """Three lanes of a chain; `bad` has a fault in the product m2. Nobody looked inside yet."""
    model = dense_chain(tmp_path / "chain.onnx")
    lanes = ("good=ort", "also=torch-eager", f"bad=ort,model={with_fault(model, 'w2')}")
    plan = default_plan(
        inspect_model(model),
        engines=[parse_lane(text) for text in lanes],
        baseline="good",
        time_limit_s=0.3,
    )
    plan = msgspec.structs.replace(plan, warmup=SHORT_WARMUP, locate=Locate.NEVER)
    path = tmp_path / "run.dualscope"
    for _ in record(plan, path, cancelled=lambda: False):
        pass
    return path


def test_the_first_difference_is_found_shown_and_kept(
    qtbot: QtBot, window: MainWindow, faulty_session: Path
) -> None:
    open_session(qtbot, window, faulty_session)
    wait_for_graph(qtbot, window)
    window.tabs.setCurrentWidget(window.outputs)
    view = window.outputs
    assert not view.plot.isVisible()
    assert "You can look" in view.finding.text()
    view.lane_box.setCurrentIndex(view.lane_box.findData("bad"))
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS) as ended:
        QTest.mouseClick(view.locate_button, Qt.MouseButton.LeftButton)
        assert not view.locate_button.isEnabled(), "one at a time"
    assert ended.args == [None]
    assert view.locate_button.isEnabled()
    assert view.plot.isVisible()
    found = window.session_model.session.values[("good", "bad")]
    first = locate(found).first
    assert first is not None
    assert "m2" in first.nodes
    assert f"First differs at {first.region}" in view.finding.text()
    assert f"first at {first.region}" in window.banner.text
    drawn = view.plot.points.getData()[0]
    assert len(drawn) == len(found.points)
    # A click on a point leads to its rows.
    with qtbot.waitSignal(view.node_selected):
        view.plot.point_chosen.emit(first)
    assert window.operators.view.selectionModel().hasSelection()
    assert read_session(faulty_session).values == window.session_model.session.values
    # In another theme the plot has another ground.
    light = view.plot.backgroundBrush().color()
    window.set_theme("dark")
    assert view.plot.backgroundBrush().color().lightness() < light.lightness()
    window.set_theme("light")
    # Another lane has its own finding.
    view.lane_box.setCurrentIndex(view.lane_box.findData("also"))
    assert not view.plot.isVisible()


def test_a_session_that_is_opened_again_shows_what_was_found(
    qtbot: QtBot, window: MainWindow, faulty_session: Path
) -> None:
    from profiler.locate import record_first_difference

    for _ in record_first_difference(read_session(faulty_session), faulty_session, ["also"]):
        pass
    open_session(qtbot, window, faulty_session)
    window.tabs.setCurrentWidget(window.outputs)
    window.outputs.lane_box.setCurrentIndex(window.outputs.lane_box.findData("also"))
    assert "Nothing diverges" in window.outputs.finding.text()
    assert window.outputs.plot.isVisible()


def test_a_model_that_is_gone_is_told(
    qtbot: QtBot, window: MainWindow, faulty_session: Path
) -> None:
    open_session(qtbot, window, faulty_session)
    (faulty_session.parent / "chain.onnx").unlink()
    window.tabs.setCurrentWidget(window.outputs)
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS) as ended:
        QTest.mouseClick(window.outputs.locate_button, Qt.MouseButton.LeftButton)
    assert ended.args[0] is not None
    assert "chain.onnx" in str(ended.args[0].message)
    assert window.outputs.locate_button.isEnabled()
