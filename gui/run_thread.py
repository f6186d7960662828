"""The run's thread: drains a recorded run or sweep into a queue that the window pulls from.

Where no core is left for the window, it paints between turns only: the thread begins the next turn
when the window has shown the last one, and the threads that draw it rest. A window that paints as
it likes made calls on two cores up to twice as long (`docs/measurement.md`).
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator

from PySide6.QtCore import QObject, QThread, Signal

from profiler.errors import CancelledError, ProfilerError
from profiler.rest import wait_for_rest
from profiler.types import Event, Phase, Progress, RaceRound, Round

# Often enough to look live; a picture takes some 20 ms, and rest 50 more.
SHOW_INTERVAL_S = 0.4
# A window that is busy with something else doesn't hold up the run.
SHOW_LIMIT_S = 2.0
# What was painted is put on the screen with the next picture of its own: 60 a second.
FRAME_S = 0.02
STILL_PHASES = (Phase.WARMING_UP, Phase.MEASURING)


class RunThread(QThread):
    """One run, search, sweep or look inside of the model: what `source(cancelled=...)` tells.

    `finished` (Qt's own) comes last; then `error` tells whether something broke. `turn_over()`: now
    is the time to take events and paint; `shown` is to be called after that. It comes where the
    window paints with cores that calls are timed on (`shares_cores`).
    """

    turn_over = Signal()

    def __init__(
        self,
        source: Callable[..., Iterator[Event]],
        parent: QObject | None = None,
        *,
        shares_cores: bool,
    ) -> None:
        super().__init__(parent)
        self._source = source
        self._shares_cores = shares_cores
        self.error: ProfilerError | None = None
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._shown = threading.Event()
        self._shown_at_s = 0.0
        self._phase = Phase.LOADING

    def stop(self) -> None:
        """Ask the run to end; what was measured is kept."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    @property
    def wants_stillness(self) -> bool:
        """Whether calls are timed now on the cores that the window would paint with."""
        return self._shares_cores and self._phase in STILL_PHASES

    def shown(self) -> None:
        """The window has painted what `take` gave it."""
        self._shown.set()

    def take(self) -> list[Event]:
        """Every event since the last call, in order."""
        found = []
        while True:
            try:
                found.append(self._events.get_nowait())
            except queue.Empty:
                return found

    def _let_window_paint(self) -> None:
        if not self.wants_stillness or time.monotonic() - self._shown_at_s < SHOW_INTERVAL_S:
            return
        self._shown.clear()
        self.turn_over.emit()
        if self._shown.wait(SHOW_LIMIT_S):
            wait_for_rest(quiet_s=FRAME_S)
        self._shown_at_s = time.monotonic()

    # Qt overrides

    def run(self) -> None:
        try:
            for event in self._source(cancelled=self._stop.is_set):
                self._events.put(event)
                if isinstance(event, Progress):
                    self._phase = event.phase
                elif isinstance(event, Round | RaceRound):
                    self._let_window_paint()
        except CancelledError:
            return
        except ProfilerError as error:
            self.error = error
        except Exception as error:
            # An exception must not vanish in a thread: the window shows it.
            self.error = ProfilerError(
                f"The run broke off: {type(error).__name__}: {error}", traceback.format_exc()
            )
