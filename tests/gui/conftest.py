"""A window for each test, and what is needed before the application object exists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui import app
from gui.main_window import MainWindow
from profiler.recorder import record
from profiler.types import RunPlan
from tests.gui.driving import DEMO, PATIENCE_MS, demo_plan

# Schemes can only be registered before the application object.
app.prepare()


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication) -> Iterator[MainWindow]:
    """Shown, empty, closed after the test; no thread of it goes on."""
    app.set_up(qapp)
    found = MainWindow()
    found.resize(1280, 800)
    found.show()
    with qtbot.waitActive(found, timeout=PATIENCE_MS):
        found.activateWindow()
    yield found
    found.runs.stop()
    qtbot.waitUntil(lambda: not found.runs.running, timeout=30_000)
    found.close()
    found.deleteLater()


@pytest.fixture(scope="session")
def demo_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a short run of the demo model, made by the core alone."""
    path = tmp_path_factory.mktemp("session") / "demo.dualscope"
    plan: RunPlan = demo_plan(DEMO)
    for _ in record(plan, path, cancelled=lambda: False):
        pass
    return path
