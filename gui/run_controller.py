"""Starts and stops runs, searches, sweeps and the suite, and carries their events to the models.

At 20 Hz, or between turns where the window has no core of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from gui.run_thread import RunThread
from gui.session_model import SessionModel
from gui.settings import sessions_folder
from gui.suite_model import SuiteModel
from gui.sweep_model import SweepModel
from profiler.locate import record_first_difference
from profiler.placement import kept_off, lane_cpus, usable_cores
from profiler.recorder import record
from profiler.search import runner
from profiler.session import Session
from profiler.session_schema import SUFFIX
from profiler.suite.records import EntryStarted, SuitePlan
from profiler.suite.run import run_suite
from profiler.sweep.runner import run_sweep
from profiler.sweep.state import Sweep
from profiler.sweep.sweep_file import read_sweep
from profiler.types import Event, PointStarted, RunPlan, SearchPlan, SweepPlan

PULL_INTERVAL_MS = 50
# While a turn is so long that none ends.
STILL_INTERVAL_S = 1.0


class RunController(QObject):
    """One run, search, sweep or suite, or one look inside of a model, at a time.

    Signals: `started()`, `ended(ProfilerError or None)`. `sweeping`, `in_suite`: whether what goes
    on, or went on last, is a sweep or a suite.
    """

    started = Signal()
    ended = Signal(object)

    def __init__(
        self,
        model: SessionModel,
        sweeps: SweepModel,
        suites: SuiteModel,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._sweeps = sweeps
        self._suites = suites
        self.sweeping = self.in_suite = False
        self._thread: RunThread | None = None
        self._placed = ExitStack()
        self._timer = QTimer(self)
        self._timer.setInterval(PULL_INTERVAL_MS)
        self._timer.timeout.connect(self._on_timer)
        self._pulled_at_s = 0.0

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
        self._start(plan, record)

    def start_search(self, plan: SearchPlan) -> None:
        """Begin a search for the fastest configuration, kept in the same way."""
        self._start(plan, runner.record)

    def locate(self, candidate: str) -> None:
        """Look for the first layer that differs from the baseline's, in the session shown."""
        session = self._model.session
        if self._thread is None and session.plan is not None:
            path = self._model.path
            source = partial(record_first_difference, session, path, [candidate])
            self._go(source, session.plan.lane_cpus)

    def _start(self, plan: RunPlan | SearchPlan, recording: Callable[..., Iterator[Event]]) -> None:
        if self._thread is not None:
            return
        path = _free_path(sessions_folder(), Path(plan.model.path).stem)
        self._sweeps.show(Sweep(), None)
        self._model.show(Session(), path)
        self._go(partial(recording, plan, path), plan.lane_cpus)

    def start_sweep(self, sweep: SweepPlan, resumed: Path | None = None) -> None:
        """Begin a sweep, or go on with the one in that file."""
        if self._thread is not None:
            return
        path = resumed or _free_path(sessions_folder(), f"{Path(sweep.plan.model.path).stem}-sweep")
        self._model.show(Session(), None)
        self._sweeps.show(self._sweeps.sweep if resumed else Sweep(), path)

        def source(cancelled: Callable[[], bool]) -> Iterator[Event]:
            before = read_sweep(path) if resumed else None
            return run_sweep(sweep, path, cancelled=cancelled, before=before)

        self._go(source, sweep.plan.lane_cpus, sweeping=True)

    def start_suite(self, plan: SuitePlan, folder: Path) -> None:
        """Begin the suite, or go on with the one in that folder."""
        if self._thread is None:
            self._model.show(Session(), None)
            self._sweeps.show(Sweep(), None)
            self._suites.begin(folder)
            cpus = lane_cpus(usable_cores())
            self._go(partial(run_suite, plan, folder), cpus, in_suite=True)

    def _go(
        self,
        source: Callable[..., Iterator[Event]],
        cpus: Sequence[int],
        *,
        sweeping: bool = False,
        in_suite: bool = False,
    ) -> None:
        self.sweeping, self.in_suite = sweeping, in_suite
        self._thread = RunThread(source, self, shares_cores=not cpus)
        self._thread.finished.connect(self._on_finished)
        self._thread.turn_over.connect(self._on_turn_over)
        self._thread.start()
        self._timer.start()
        # The run's own thread keeps itself off the lanes' CPUs; this is for the UI thread.
        self._placed.enter_context(kept_off(cpus))
        self.started.emit()

    def stop(self) -> None:
        """Ask the run to end; `ended` follows, and what was measured is kept."""
        if self._thread is not None:
            self._thread.stop()

    def _on_timer(self) -> None:
        still = self._thread is not None and self._thread.wants_stillness
        if not still or time.monotonic() - self._pulled_at_s >= STILL_INTERVAL_S:
            self._pull()

    def _on_turn_over(self) -> None:
        self._pull()
        # A change posts its painting, and some of that posts more: two rounds of the event loop.
        QTimer.singleShot(0, lambda: QTimer.singleShot(0, self._tell_shown))

    def _tell_shown(self) -> None:
        if self._thread is not None:
            self._thread.shown()

    def _pull(self) -> None:
        self._pulled_at_s = time.monotonic()
        if self._thread is None:
            return
        events = self._thread.take()
        if self.sweeping:
            self._sweeps.apply(events)
        if self.in_suite:
            self._suites.apply(events)
        of_one_run: list[Event] = []
        for event in events:
            if isinstance(event, PointStarted | EntryStarted):
                self._model.apply(of_one_run)
                of_one_run = []
                self._model.show(Session(), None)
            of_one_run.append(event)
        self._model.apply(of_one_run)

    def _on_finished(self) -> None:
        thread = self._thread
        if thread is None:
            return
        self._timer.stop()
        self._placed.close()
        self._pull()
        self._model.refresh_verdict(now=True)
        self._model.close()
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
