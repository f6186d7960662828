"""The session that the window shows, over one `Session`. Views read this, and only this."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from profiler.session import Session
from profiler.types import (
    EngineFailed,
    Event,
    OutputsCompared,
    RaceFinished,
    RaceStarted,
    Round,
    RoundKind,
    RunFinished,
    RunStarted,
)

# A verdict needs every round so far: often enough for a person, seldom enough for the machine.
VERDICT_INTERVAL_S = 0.5


class SessionModel(QObject):
    """Signals: `session_reset()` when another session is shown, `events_applied(list of Event)` as
    a run goes on, `verdict_changed()` at most twice a second.
    """

    session_reset = Signal()
    events_applied = Signal(list)
    verdict_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = Session()
        self.path: Path | None = None
        self._verdict = ""
        self._verdict_is_old = False
        self._verdict_at_s = 0.0

    @property
    def verdict(self) -> str:
        """The sentence, as of the last `verdict_changed`."""
        return self._verdict

    def show(self, session: Session, path: Path | None) -> None:
        """Show another session: an opened one, or an empty one for a run that starts."""
        self.session = session
        self.path = path
        self._verdict = session.verdict()
        self._verdict_is_old = False
        self.session_reset.emit()
        self.verdict_changed.emit()

    def apply(self, events: Sequence[Event]) -> None:
        """Take in what a run told since the last time."""
        if not events:
            return
        for event in events:
            self.session.apply(event)
        self._verdict_is_old |= any(_moves_verdict(event) for event in events)
        self.events_applied.emit(list(events))
        now = any(isinstance(event, RunFinished) for event in events)
        self.refresh_verdict(now=now)

    def refresh_verdict(self, *, now: bool = False) -> None:
        """Work the verdict out again if something moved it and the last time is long enough ago."""
        waited = time.monotonic() - self._verdict_at_s >= VERDICT_INTERVAL_S
        if not self._verdict_is_old or not (waited or now):
            return
        self._verdict_is_old = False
        self._verdict = self.session.verdict()
        self._verdict_at_s = time.monotonic()
        self.verdict_changed.emit()


def _moves_verdict(event: Event) -> bool:
    if isinstance(event, Round):
        return event.kind is RoundKind.TIMED
    steps = RunStarted | EngineFailed | OutputsCompared | RunFinished | RaceStarted | RaceFinished
    return isinstance(event, steps)
