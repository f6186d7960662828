"""Makes the user guide's pictures of a sweep and a suite: sweeps the demo, or shows what is given.

`python docs/make_sweep_screenshots.py [--out FOLDER] [--size 1400x880] [--theme light] [FILE ...]`
from the repository's folder, with a display of that size. FILE is a sweep, or `suite.json`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtCore import SignalInstance

    from gui.main_window import MainWindow

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PATIENCE_MS = 600_000
SETTLE_MS = 700


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--size", default="1400x880")
    parser.add_argument("--theme", default="light")
    arguments = parser.parse_args()
    # Nothing of the person who runs this is read or changed.
    folder = tempfile.TemporaryDirectory()
    for name in ("CONFIG", "DATA", "CACHE"):
        os.environ[f"DUALSCOPE_{name}"] = folder.name
    from gui import app

    app.prepare()
    from PySide6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    app.set_up(application)
    from gui import main_window

    window = main_window.MainWindow()
    window.set_theme(arguments.theme)
    window.resize(*map(int, arguments.size.split("x")))
    window.show()
    if not arguments.files:
        sweep_demo(window)
        save(window, arguments.out / "sweep.png")
    for path in arguments.files:
        if path.suffix == ".json":
            show_suite(window, path)
            save(window, arguments.out / "suite.png")
        else:
            save_sweep(window, path, arguments.out, f"{arguments.theme}-{arguments.size}")
    window.close()
    folder.cleanup()
    return 0


def wait(signal: SignalInstance | None, timeout_ms: int) -> None:
    from PySide6.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    if signal is not None:
        signal.connect(loop.quit)
    QTimer.singleShot(timeout_ms, loop.quit)
    loop.exec()


def save(window: MainWindow, path: Path) -> None:
    """A picture of the window, once it has settled."""
    wait(None, SETTLE_MS)
    path.parent.mkdir(parents=True, exist_ok=True)
    window.screen().grabWindow(window.winId()).save(str(path))
    sys.stdout.write(f"{path.name}\n")


def sweep_demo(window: MainWindow) -> None:
    from profiler.sweep.axes import parse_axis
    from profiler.types import SweepPlan

    window.open_path(ROOT / "resources" / "demo" / "demo.onnx")
    wait(window.opener.model_opened, PATIENCE_MS)
    window.draft.time_limit_s = 14.0
    plan = window.draft.plan()
    axes = (parse_axis("batch=1,2,4,8", plan), parse_axis("threads=1,2", plan))
    window.runs.start_sweep(SweepPlan(plan=plan, axes=axes))
    wait(window.runs.ended, PATIENCE_MS)


def save_sweep(window: MainWindow, path: Path, out: Path, suffix: str) -> None:
    """A picture of each kind of plot."""
    window.open_path(path)
    wait(window.opener.sweep_opened, PATIENCE_MS)
    for number in range(window.sweep_view.kind.count()):
        window.sweep_view.kind.setCurrentIndex(number)
        window.sweep_view.kind.activated.emit(number)
        save(window, out / f"{path.stem}-{number}-{suffix}.png")


def show_suite(window: MainWindow, path: Path) -> None:
    window.show_suite()
    window.suite.open(path)
    wait(window.suite_model.changed, PATIENCE_MS)


if __name__ == "__main__":
    sys.exit(main())
