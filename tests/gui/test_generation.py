"""Text generation in the window: offered for models with a cache, shown in a tab of its own."""

from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot

from gui.lane_dialog import LaneDialog
from gui.main_window import MainWindow
from profiler.generation.plan import generation_lanes
from profiler.types import EngineKind, ModelKind
from tests import language_models
from tests.gui.driving import DEMO, open_model, open_session, run_to_end


def tab_is_shown(window: MainWindow) -> bool:
    return window.tabs.isTabVisible(window.tabs.indexOf(window.generation))


def cell(window: MainWindow, column: int) -> str:
    """Of the first lane."""
    item = window.generation.table.item(0, column)
    assert item is not None
    return item.text()


def test_generate_and_look(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    open_model(qtbot, window, DEMO)
    assert not window.model_panel.generation.isVisible() and not tab_is_shown(window)
    open_model(qtbot, window, language_models.genai_file(tmp_path))
    form = window.model_panel.generation
    assert form.isVisible() and form.generates.isChecked() and tab_is_shown(window)
    assert not window.model_panel.inputs.isVisible()
    form.prompt.setValue(12)
    form.new.setValue(6)
    run_to_end(qtbot, window)
    session, path = window.session_model.session, window.session_model.path
    assert not session.failures and all(o.agree for o in session.outputs)
    table = window.generation.table
    assert table.rowCount() == 2 and cell(window, 0) == "ONNX Runtime (CPU)"
    assert float(cell(window, 1)) > 0 and cell(window, 8).endswith("KiB")
    assert "Inter-token latency" in window.generation.verdicts.text()
    assert "12 tokens, 6 new ones" in window.generation.workload.text()
    window.tabs.setCurrentWidget(window.report)
    report = window.report.text.toPlainText()
    assert "TTFT p50" in report and "Latency of whole generations" in report
    assert cell(window, 3) in report
    window.tabs.setCurrentWidget(window.graph)
    open_model(qtbot, window, DEMO)
    assert table.rowCount() == 0 and not tab_is_shown(window)
    assert path is not None
    open_session(qtbot, window, path)
    assert table.rowCount() == 2 and tab_is_shown(window)
    assert (form.prompt.value(), form.new.value()) == (12, 6) and form.generates.isChecked()


def test_single_calls_of_the_same_model(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    open_model(qtbot, window, language_models.genai_file(tmp_path))
    window.model_panel.generation.generates.setChecked(False)
    assert window.draft.plan().generation is None
    assert window.model_panel.inputs.isVisible() and not tab_is_shown(window)
    window.model_panel.generation.generates.setChecked(True)
    plan = window.draft.plan()
    assert plan.generation is not None and plan.engines == generation_lanes()


def test_a_folder_only_generates(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    open_model(qtbot, window, language_models.folder(tmp_path, "gpt2"), graph=False)
    assert window.draft.generates and not window.model_panel.generation.generates.isEnabled()
    assert window.draft.plan().generation is not None


def test_an_endpoint_lane_in_the_form(qtbot: QtBot) -> None:
    dialog = LaneDialog(ModelKind.ONNX, generation=True)
    qtbot.addWidget(dialog)
    dialog.engine.setCurrentIndex(dialog.engine.findData(EngineKind.ENDPOINT))
    assert {"url", "concurrency", "rate"} <= set(dialog.fields)
    plain = LaneDialog(ModelKind.ONNX)
    qtbot.addWidget(plain)
    assert plain.engine.findData(EngineKind.ENDPOINT) == -1
