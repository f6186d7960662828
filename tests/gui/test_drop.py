"""A file is dropped on the window with a real drag, from a window of another process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from profiler.types import ModelInfo
from tests.gui.driving import DEMO, PATIENCE_MS, open_model, screen_is_x11
from tests.gui.x_pointer import Pointer

TRIES = 3
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def drag_source(window: MainWindow) -> Iterator[QPoint]:
    """A small window that starts a drag of the demo model; yields a point in it."""
    if not screen_is_x11():
        pytest.skip("real pointer events are sent through X11 only")
    window.move(0, 0)
    command = [sys.executable, "-m", "tests.gui.drag_source", str(DEMO), "1400", "100"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    yield QPoint(1450, 150)
    process.kill()
    process.wait()
    process.stdout.close()


def drag(qtbot: QtBot, start: QPoint, target: QWidget) -> None:
    """Press, move in small steps as a hand does, release."""
    window = target.window()
    # What was shown only now lies outside of the window until it is laid out.
    qtbot.waitUntil(
        lambda: window.rect().contains(target.mapTo(window, target.rect().center())),
        timeout=PATIENCE_MS,
    )
    end = target.mapToGlobal(target.rect().center())
    with Pointer() as pointer:
        pointer.move(start.x(), start.y())
        qtbot.wait(200)
        pointer.press()
        qtbot.wait(100)
        for step in range(1, 21):
            x = start.x() + (end.x() - start.x()) * step // 20
            y = start.y() + (end.y() - start.y()) * step // 20
            pointer.move(x, y)
            qtbot.wait(25)
        qtbot.wait(200)
        pointer.release()


def dropped(qtbot: QtBot, window: MainWindow, start: QPoint, target: QWidget) -> ModelInfo:
    """What was opened. On a busy machine the drag's other process may come too late to see it."""
    for _ in range(TRIES):
        with qtbot.waitSignal(
            window.opener.model_opened, timeout=PATIENCE_MS // TRIES, raising=False
        ) as opened:
            drag(qtbot, start, target)
        if opened.signal_triggered:
            found: ModelInfo = opened.args[0]
            return found
    pytest.fail(f"{TRIES} drags opened nothing")


@pytest.mark.parametrize("place", ["graph", "live", "model_panel"])
def test_a_dropped_model_is_opened(
    qtbot: QtBot, window: MainWindow, drag_source: QPoint, place: str
) -> None:
    if window.live.isHidden():
        # A window as low as this one shows them during a run only, unless asked to.
        window.toggle_strips()
    info = dropped(qtbot, window, drag_source, getattr(window, place))
    assert info.source.path == str(DEMO)


def test_a_drop_on_a_graph_that_is_drawn(
    qtbot: QtBot, window: MainWindow, drag_source: QPoint, tmp_path: Path
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(DEMO.read_bytes())
    open_model(qtbot, window, other)
    info = dropped(qtbot, window, drag_source, window.graph.graph)
    assert info.source.path == str(DEMO)
