"""The form of a lane: it shows what applies, and what is wrong is said in it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QDialogButtonBox, QLineEdit
from pytestqt.qtbot import QtBot

from gui.lane_dialog import LaneDialog
from gui.main_window import MainWindow
from profiler.lanes import parse_lane
from profiler.types import EngineKind, ModelKind
from tests.gui.driving import DEMO, PATIENCE_MS, open_model
from tests.model_zoo import onnx_mlp, torchscript


def shown(qtbot: QtBot, kind: ModelKind, text: str = "") -> LaneDialog:
    dialog = LaneDialog(kind, parse_lane(text) if text else None)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def engines(dialog: LaneDialog) -> list[EngineKind]:
    return [EngineKind(dialog.engine.itemData(row)) for row in range(dialog.engine.count())]


def press_ok(dialog: LaneDialog) -> None:
    box = dialog.findChild(QDialogButtonBox)
    assert box is not None
    QTest.mouseClick(box.button(QDialogButtonBox.StandardButton.Ok), Qt.MouseButton.LeftButton)


def test_only_engines_that_can_run_the_file_are_offered(qtbot: QtBot) -> None:
    assert engines(shown(qtbot, ModelKind.ONNX)) == [
        EngineKind.ORT,
        EngineKind.TORCH_EAGER,
        EngineKind.TORCH_COMPILE,
    ]
    assert EngineKind.TORCH_SCRIPT in engines(shown(qtbot, ModelKind.TORCHSCRIPT))
    assert EngineKind.TORCH_EXPORT in engines(shown(qtbot, ModelKind.TORCH_EXPORT))


def test_options_follow_the_engine(qtbot: QtBot) -> None:
    dialog = shown(qtbot, ModelKind.ONNX)
    assert {"execution_provider", "io_binding", "free_dimensions", "model"} <= set(dialog.fields)
    dialog.engine.setCurrentIndex(dialog.engine.findData(EngineKind.TORCH_COMPILE))
    assert set(dialog.fields) == {
        "intra_op_threads",
        "inter_op_threads",
        "callers",
        "precision",
        "mode",
        "dynamic",
        "keep_memory",
        "device",
        "model",
    }
    mode = dialog.fields["mode"]
    assert isinstance(mode, QComboBox)
    modes = [mode.itemText(row) for row in range(mode.count())]
    assert len(set(modes)) == len(modes), "no mode is offered twice"


def test_a_lane_is_made_by_typing(qtbot: QtBot) -> None:
    dialog = shown(qtbot, ModelKind.ONNX)
    QTest.keyClicks(dialog.label, "one thread")
    threads = dialog.fields["intra_op_threads"]
    assert isinstance(threads, QLineEdit)
    QTest.keyClicks(threads, "1")
    level = dialog.fields["graph_optimization_level"]
    assert isinstance(level, QComboBox)
    QTest.keyClicks(level, "b")
    with qtbot.waitSignal(dialog.accepted, timeout=PATIENCE_MS):
        press_ok(dialog)
    expected = "one thread=ort,intra_op_threads=1,graph_optimization_level=basic"
    assert dialog.spec == parse_lane(expected)


def test_a_lane_comes_back_as_it_was(qtbot: QtBot, tmp_path: Path) -> None:
    other = onnx_mlp(tmp_path)
    text = f"x=ort,memory_arena=false,intra_op_threads=2,free_dimensions=n:1,model={other}"
    dialog = shown(qtbot, ModelKind.ONNX, text)
    with qtbot.waitSignal(dialog.accepted, timeout=PATIENCE_MS):
        press_ok(dialog)
    assert dialog.spec == parse_lane(text)


def test_what_is_wrong_is_said_and_nothing_is_lost(qtbot: QtBot) -> None:
    dialog = shown(qtbot, ModelKind.ONNX)
    QTest.keyClicks(dialog.label, "mine")
    threads = dialog.fields["intra_op_threads"]
    assert isinstance(threads, QLineEdit)
    QTest.keyClicks(threads, "many")
    press_ok(dialog)
    qtbot.waitUntil(dialog.problem.isVisible, timeout=PATIENCE_MS)
    assert "intra_op_threads can't be 'many'" in dialog.problem.text()
    assert dialog.isVisible() and dialog.isEnabled()
    assert (dialog.label.text(), threads.text()) == ("mine", "many")


def test_the_panel_asks_and_takes_the_answer(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO, graph=False)

    def answer() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, LaneDialog)
        dialog.engine.setCurrentIndex(dialog.engine.findData(EngineKind.TORCH_COMPILE))
        press_ok(dialog)

    def give_up() -> None:
        """The test must not hang in a dialog that stays open."""
        if isinstance(dialog := QApplication.activeModalWidget(), LaneDialog):
            dialog.reject()

    QTimer.singleShot(500, answer)
    QTimer.singleShot(20_000, give_up)
    add = window.model_panel._buttons[0]
    QTest.mouseClick(add, Qt.MouseButton.LeftButton)
    assert [spec.label for spec in window.draft.engines] == ["ort", "torch-eager", "torch-compile"]


def test_lanes_follow_the_kind_of_file(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    open_model(qtbot, window, torchscript(tmp_path), graph=False)
    assert [spec.engine for spec in window.draft.engines] == [
        EngineKind.ORT,
        EngineKind.TORCH_SCRIPT,
    ]
    window.draft.add_engine(parse_lane("one=ort,intra_op_threads=1"))
    open_model(qtbot, window, DEMO, graph=False)
    assert [spec.engine for spec in window.draft.engines] == [
        EngineKind.ORT,
        EngineKind.TORCH_EAGER,
    ], "TorchScript can't run this file: back to what can"
