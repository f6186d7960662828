"""Makes the pictures in docs/screenshots: runs models in the window and saves what it shows.

    python docs/make_screenshots.py [--only demo] [--only ResNet-50] [--only BERT-base]

Needs a display of at least 1920 x 1080: `xvfb-run -a -s "-screen 0 1920x1080x24" python ...`. The
demo's are those of the user guide. ResNet-50 and BERT-base (random weights, written for it) are
shown in each view, at two sizes, light and dark.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gui.main_window import MainWindow

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SEARCH_BUDGET_S = 90.0
DEMO = "demo"
MODELS = ("ResNet-50", "BERT-base")
PICTURES = ROOT / "docs" / "screenshots"
DEMO_SIZE = (1400, 880)
SIZES = ((1280, 800), (1920, 1080))
THEMES = ("light", "dark")
TIME_LIMIT_S = {DEMO: 60.0, "ResNet-50": 40.0, "BERT-base": 40.0}
# After the first trace, so that a picture of a run has something in each strip.
RUNNING_MS = 5000
SETTLE_MS = 900
# A change of theme loads the graph's page again.
GRAPH_SETTLE_MS = 6000
# Prepares the window, and the name of the picture that follows.
Step = tuple[str, Callable[[], object]]


def main() -> int:
    """A process of its own for each model, so that one's state doesn't show in the next one's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=(DEMO, *MODELS))
    parser.add_argument("--picture", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.picture:
        return _pictures_of(arguments.picture[0], Path(arguments.picture[1]))
    codes = []
    for name in arguments.only or (DEMO, *MODELS):
        with tempfile.TemporaryDirectory() as folder:
            path = ROOT / "resources" / "demo" / "demo.onnx"
            if name != DEMO:
                path = _written(name, Path(folder))
            command = [sys.executable, __file__, "--picture", name, str(path)]
            codes.append(subprocess.run(command, check=False).returncode)
    return max(codes)


def _written(name: str, folder: Path) -> Path:
    """The model as an ONNX file, by a process of its own: it takes PyTorch."""
    code = (
        "import sys; from pathlib import Path; from tests.architectures import save\n"
        "save(sys.argv[1], Path(sys.argv[2]), small=False)"
    )
    subprocess.run([sys.executable, "-c", code, name, str(folder)], check=True, cwd=ROOT)
    return next(folder.glob("*.onnx"))


def _pictures_of(name: str, path: Path) -> int:
    """Each step takes a picture and starts the next one."""
    # Nothing of the person who runs this is read or changed.
    folder = tempfile.TemporaryDirectory()
    for kind in ("CONFIG", "DATA", "CACHE"):
        os.environ[f"DUALSCOPE_{kind}"] = folder.name
    from gui import app

    app.prepare()
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    app.set_up(application)
    from gui import main_window

    window = main_window.MainWindow()
    window.set_theme("light")
    window.resize(*(DEMO_SIZE if name == DEMO else SIZES[0]))
    window.draft.time_limit_s = TIME_LIMIT_S[name]
    window.show()
    demo = (_guide(window), _searched(window))
    # What is photographed when the first run has ended, and when the next has.
    after = list(demo if name == DEMO else (_gallery(window, name.lower()),))

    def leave_after_the_last() -> None:
        if not after:
            window.close()
            application.quit()

    window.runs.ended.connect(lambda _: _take(after.pop(0), window, leave_after_the_last))
    if name == DEMO:
        QTimer.singleShot(1500, lambda: _save(window, "empty"))
    else:
        _save_while_running(window, f"{name.lower()}-running-{SIZES[0][0]}-light")
    QTimer.singleShot(2000, lambda: window.open_path(path, profile=True))
    code = application.exec()
    folder.cleanup()
    return code


def _save_while_running(window: MainWindow, name: str) -> None:
    from PySide6.QtCore import QTimer

    from profiler.types import Event, OpTimings

    def on_events(events: list[Event]) -> None:
        if any(isinstance(event, OpTimings) for event in events):
            window.session_model.events_applied.disconnect(on_events)
            QTimer.singleShot(RUNNING_MS, lambda: _save(window, name))

    window.session_model.events_applied.connect(on_events)


def _take(steps: Iterator[Step], window: MainWindow, then_do: Callable[[], None]) -> None:
    from PySide6.QtCore import QTimer

    step = next(steps, None)
    if step is None:
        then_do()
        return
    name, prepare = step
    prepare()

    def then() -> None:
        _save(window, name)
        QTimer.singleShot(0, lambda: _take(steps, window, then_do))

    QTimer.singleShot(GRAPH_SETTLE_MS if "graph" in name else SETTLE_MS, then)


def _save(window: MainWindow, name: str) -> None:
    from docs.small_png import save_small

    save_small(window.screen().grabWindow(window.winId()).toImage(), PICTURES / f"{name}.png")
    sys.stdout.write(f"{name}.png\n")
    sys.stdout.flush()


def _guide(window: MainWindow) -> Iterator[Step]:
    yield "graph", lambda: _choose_slowest(window)
    for name in ("why", "timeline", "operators", "outputs", "report"):
        yield name, _showing(window, name)
    window.tabs.setCurrentWidget(window.graph)
    yield "dark", lambda: window.set_theme("dark")
    _search(window)


def _searched(window: MainWindow) -> Iterator[Step]:
    yield "fastest", lambda: window.tabs.setCurrentWidget(window.fastest_view)


def _gallery(window: MainWindow, model: str) -> Iterator[Step]:
    """The graph comes first, so that it has time to be laid out before the others need it."""
    yield f"{model}-graph-{SIZES[0][0]}-light", lambda: _colour_by_time(window)
    for width, height in SIZES:
        for theme in THEMES:

            def restyled(size: tuple[int, int] = (width, height), chosen: str = theme) -> None:
                window.resize(*size)
                window.set_theme(chosen)

            yield f"{model}-graph-{width}-{theme}", restyled
            for name in ("why", "operators", "timeline", "outputs", "report"):
                yield f"{model}-{name}-{width}-{theme}", _showing(window, name)
            window.tabs.setCurrentWidget(window.graph)


def _showing(window: MainWindow, name: str) -> Callable[[], None]:
    return lambda: window.tabs.setCurrentWidget(getattr(window, name))


def _colour_by_time(window: MainWindow) -> None:
    """The first colouring that isn't by op type."""
    _choose_slowest(window)
    window.graph.colour.setCurrentIndex(1)


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
    window.tabs.setCurrentWidget(window.graph)
    rows = window.session_model.session.operators("ort")
    name = next(row.source_nodes[-1] for row in rows if row.source_nodes)
    window.operators.select_node(name)
    window.graph.select_node(name)


if __name__ == "__main__":
    sys.exit(main())
