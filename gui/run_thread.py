"""The run's thread: drains a recorded run or sweep into a queue that the window pulls from."""

from __future__ import annotations

import queue
import threading
import traceback
from collections.abc import Callable, Iterator

from PySide6.QtCore import QObject, QThread

from profiler.errors import ProfilerError
from profiler.types import Event

Cancelled = Callable[[], bool]


class RunThread(QThread):
    """One run or sweep, as `events(cancelled)` tells it.

    `finished` (Qt's own) comes last; then `error` tells whether something broke.
    """

    def __init__(
        self, events: Callable[[Cancelled], Iterator[Event]], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.error: ProfilerError | None = None
        self._source = events
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the run to end; what was measured is kept."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def take(self) -> list[Event]:
        """Every event since the last call, in order."""
        found = []
        while True:
            try:
                found.append(self._events.get_nowait())
            except queue.Empty:
                return found

    # Qt overrides

    def run(self) -> None:
        try:
            for event in self._source(self._stop.is_set):
                self._events.put(event)
        except ProfilerError as error:
            self.error = error
        except Exception as error:
            # An exception must not vanish in a thread: the window shows it.
            self.error = ProfilerError(
                f"The run broke off: {type(error).__name__}: {error}", traceback.format_exc()
            )
