"""Starts and stops runs, and carries their events to the session model at 20 Hz."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from gui.run_thread import RunThread
from gui.session_model import SessionModel
from gui.settings import sessions_folder
from profiler.placement import kept_off
from profiler.recorder import record
from profiler.search import runner
from profiler.session import Session
from profiler.session_file import SUFFIX
from profiler.types import Event, RunPlan, SearchPlan

PULL_INTERVAL_MS = 50


class RunController(QObject):
    """One run at a time. Signals: `started()`, `ended(ProfilerError or None)`."""

    started = Signal()
    ended = Signal(object)

    def __init__(self, model: SessionModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._thread: RunThread | None = None
        self._placed = ExitStack()
        self._timer = QTimer(self)
        self._timer.setInterval(PULL_INTERVAL_MS)
        self._timer.timeout.connect(self._pull)

    @property
    def running(self) -> bool:
        """Whether a run is going on, its last events included."""
        return self._thread is not None

    @property
    def stopping(self) -> bool:
        """Whether the run was asked to end."""
        return self._thread is not None and self._thread.stopping

    def start(self, plan: RunPlan) -> None:
        """Begin a run; its session file lies in the sessions' folder."""
        self._start(plan, lambda path, cancelled: record(plan, path, cancelled=cancelled))

    def start_search(self, plan: SearchPlan) -> None:
        """Begin a search for the fastest configuration, kept in the same way."""
        self._start(plan, lambda path, cancelled: runner.record(plan, path, cancelled=cancelled))

    def _start(
        self,
        plan: RunPlan | SearchPlan,
        recording: Callable[[Path, Callable[[], bool]], Iterator[Event]],
    ) -> None:
        if self._thread is not None:
            return
        path = _free_path(sessions_folder(), Path(plan.model.path).stem)
        self._model.show(Session(), path)
        self._thread = RunThread(lambda cancelled: recording(path, cancelled), self)
        self._thread.finished.connect(self._on_finished)
        self._thread.start()
        self._timer.start()
        # The run's own thread keeps itself off the lanes' CPUs; this is for the UI thread.
        self._placed.enter_context(kept_off(plan.lane_cpus))
        self.started.emit()

    def stop(self) -> None:
        """Ask the run to end; `ended` follows, and what was measured is kept."""
        if self._thread is not None:
            self._thread.stop()

    def _pull(self) -> None:
        if self._thread is not None:
            self._model.apply(self._thread.take())

    def _on_finished(self) -> None:
        thread = self._thread
        if thread is None:
            return
        self._timer.stop()
        self._placed.close()
        self._pull()
        self._model.refresh_verdict(now=True)
        self._thread = None
        thread.deleteLater()
        self.ended.emit(thread.error)


def _free_path(folder: Path, stem: str) -> Path:
    name = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    path, number = folder / f"{name}{SUFFIX}", 2
    while path.exists():
        path = folder / f"{name}-{number}{SUFFIX}"
        number += 1
    return path
