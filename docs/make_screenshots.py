"""Makes the user guide's pictures: runs the demo in the window and saves what is on the screen.

Run it from the repository's folder with a display of at least 1400 x 900:
`python docs/make_screenshots.py`, or `xvfb-run -s "-screen 0 1600x1000x24" python ...`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gui.main_window import MainWindow

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SIZE = (1400, 880)
TIME_LIMIT_S = 60.0
SEARCH_BUDGET_S = 90.0
SETTLE_MS = 900


def main() -> int:
    """Each step takes a picture and starts the next one."""
    import os

    # Nothing of the person who runs this is read or changed.
    folder = tempfile.TemporaryDirectory()
    for name in ("CONFIG", "DATA", "CACHE"):
        os.environ[f"DUALSCOPE_{name}"] = folder.name
    from gui import app

    app.prepare()
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    app.set_up(application)
    from gui import main_window

    window = main_window.MainWindow()
    window.set_theme("light")
    window.resize(*SIZE)
    window.draft.time_limit_s = TIME_LIMIT_S
    window.show()

    def save(name: str, then: Callable[[], object]) -> None:
        path = ROOT / "docs" / "screenshots" / f"{name}.png"
        window.screen().grabWindow(window.winId()).save(str(path))
        sys.stdout.write(f"{path.name}\n")
        QTimer.singleShot(0, then)

    def look(name: str, prepare: Callable[[], object], then: Callable[[], object]) -> None:
        prepare()
        QTimer.singleShot(SETTLE_MS, lambda: save(name, then))

    def on_ended(_: object) -> None:
        tabs = window.tabs
        steps: list[tuple[str, Callable[[], object]]] = [
            ("graph", lambda: _choose_slowest(window)),
            ("why", lambda: tabs.setCurrentWidget(window.why)),
            ("timeline", lambda: tabs.setCurrentWidget(window.timeline)),
            ("operators", lambda: tabs.setCurrentWidget(window.operators)),
            ("outputs", lambda: tabs.setCurrentWidget(window.outputs)),
            ("report", lambda: tabs.setCurrentWidget(window.report)),
            ("dark", lambda: _go_dark(window)),
        ]

        def following(number: int) -> None:
            if number == len(steps):
                window.runs.ended.disconnect()
                window.runs.ended.connect(on_searched)
                _search(window)
                return
            name, prepare = steps[number]
            look(name, prepare, lambda: following(number + 1))

        following(0)

    def leave() -> None:
        window.close()
        application.quit()

    def on_searched(_: object) -> None:
        look("fastest", lambda: window.tabs.setCurrentWidget(window.fastest_view), leave)

    window.runs.ended.connect(on_ended)
    QTimer.singleShot(1500, lambda: save("empty", lambda: None))
    demo = ROOT / "resources" / "demo" / "demo.onnx"
    QTimer.singleShot(2000, lambda: window.open_path(demo, profile=True))
    code = application.exec()
    folder.cleanup()
    return code


def _go_dark(window: MainWindow) -> None:
    window.tabs.setCurrentWidget(window.graph)
    window.set_theme("dark")


def _search(window: MainWindow) -> None:
    """The other command that measures."""
    from gui.dialogs.fastest_dialog import Request
    from profiler.types import EngineKind

    window.set_theme("light")
    assert window.draft.info is not None
    engines = (EngineKind.ORT, EngineKind.TORCH_EAGER, EngineKind.TORCH_COMPILE)
    window.fastest.search(window.draft.info, Request(engines, SEARCH_BUDGET_S, None, None))


def _choose_slowest(window: MainWindow) -> None:
    """The operator with most time, so that the graph shows it."""
    rows = window.session_model.session.operators("ort")
    name = next(row.source_nodes[-1] for row in rows if row.source_nodes)
    window.operators.select_node(name)
    window.graph.select_node(name)


if __name__ == "__main__":
    sys.exit(main())
