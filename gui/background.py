"""Work off the UI thread: one function, its result or its error as a signal."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable

from PySide6.QtCore import QObject, QThread, Signal

from profiler.errors import CancelledError, ProfilerError


class Task(QThread):
    """Runs `work(cancelled, on_progress)` in a thread of its own.

    Signals, all on the UI thread: `done(object)`, `failed(ProfilerError)` unless it was cancelled,
    `progressed(str)`.
    """

    done = Signal(object)
    failed = Signal(object)
    progressed = Signal(str)

    def __init__(
        self,
        work: Callable[[Callable[[], bool], Callable[[str], None]], object],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._work = work
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Ask it to end; neither `done` nor `failed` follows."""
        self._cancelled.set()

    # Qt overrides

    def run(self) -> None:
        try:
            result = self._work(self._cancelled.is_set, self.progressed.emit)
        except CancelledError:
            return
        except ProfilerError as error:
            self._fail(error)
        except Exception as error:
            self._fail(ProfilerError(f"{type(error).__name__}: {error}", traceback.format_exc()))
        else:
            if not self._cancelled.is_set():
                self.done.emit(result)

    def _fail(self, error: ProfilerError) -> None:
        if not self._cancelled.is_set():
            self.failed.emit(error)
