"""How tests drive the window: open files, wait, ask the graph's page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from profiler.jobs import inspect_model
from profiler.plan import default_plan
from profiler.types import RunPlan, WarmupRule

DEMO = Path(__file__).resolve().parents[2] / "resources" / "demo" / "demo.onnx"
PATIENCE_MS = 90_000
SHORT_WARMUP = WarmupRule(time_limit_s=1.0)


def demo_plan(path: Path, time_limit_s: float = 3.0) -> RunPlan:
    """A short run with both engines."""
    plan = default_plan(inspect_model(path), time_limit_s=time_limit_s)
    return msgspec.structs.replace(plan, warmup=SHORT_WARMUP)


def open_model(qtbot: QtBot, window: MainWindow, path: Path, *, graph: bool = True) -> None:
    """Open a model and wait until it was inspected and, if wanted, drawn."""
    with qtbot.waitSignal(window.opener.model_opened, timeout=PATIENCE_MS):
        window.open_path(path)
    if graph:
        wait_for_graph(qtbot, window)


def wait_for_graph(qtbot: QtBot, window: MainWindow) -> None:
    """Until the graph that was asked for is drawn."""
    qtbot.waitUntil(lambda: "nodes" in window.graph.facts, timeout=PATIENCE_MS)


def open_session(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    """Open a session and wait until it is shown."""
    with qtbot.waitSignal(window.opener.session_opened, timeout=PATIENCE_MS):
        window.open_path(path)


def run_to_end(qtbot: QtBot, window: MainWindow, time_limit_s: float = 3.0) -> None:
    """Press Profile and wait for the end of the run."""
    window.draft.time_limit_s = time_limit_s
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS):
        window.actions_by_name["profile"].trigger()


def wait_for_file(qtbot: QtBot, path: Path) -> None:
    """Until something was written there."""
    qtbot.waitUntil(lambda: path.exists() and path.stat().st_size > 0, timeout=PATIENCE_MS)


def page_value(qtbot: QtBot, window: MainWindow, script: str) -> Any:
    """The value of a JavaScript expression in the graph's page."""
    found: list[str] = []
    window.graph.graph.page.runJavaScript(f"JSON.stringify({script})", found.append)
    qtbot.waitUntil(lambda: bool(found), timeout=PATIENCE_MS)
    return json.loads(found[0]) if found[0] else None


def selected_node(qtbot: QtBot, window: MainWindow) -> str | None:
    """Name of the first output of the node that is selected in the graph."""
    script = (
        "(() => { const found = Array.from(window.__view__.target.selection)"
        ".map((entry) => entry.value).filter((value) => value.outputs);"
        " return found.length ? found[0].outputs[0].value[0].name : null; })()"
    )
    value = page_value(qtbot, window, script)
    return None if value is None else str(value)


def screen_is_x11() -> bool:
    """Whether real pointer events can be sent."""
    return QApplication.platformName() == "xcb"
