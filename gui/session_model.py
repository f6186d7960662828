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
    OpTimings,
    OutputsCompared,
    Question,
    RaceFinished,
    RaceStarted,
    Round,
    RoundKind,
    RunFinished,
    RunStarted,
    ValuesCompared,
)

# A verdict needs every round so far: often enough for a person, seldom enough for the machine.
VERDICT_INTERVAL_S = 0.5
# What is worked out from operators takes longer, and the graph's page paints when it likes.
OPERATORS_INTERVAL_S = 3.0


class SessionModel(QObject):
    """Signals: `session_reset()` when another session is shown, `events_applied(list of Event)` as
    a run goes on, `verdict_changed()` at most twice a second, `operators_changed()` when operators
    were traced, at most every three seconds and when a run ends, `question_changed()` when the
    person asks for something else.
    """

    session_reset = Signal()
    events_applied = Signal(list)
    verdict_changed = Signal()
    operators_changed = Signal()
    question_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = Session()
        self.path: Path | None = None
        self.question = Question()
        self._closed = False
        self._verdict = ""
        self._verdict_is_old = False
        self._verdict_at_s = 0.0
        self._operators_are_old = False
        self._operators_at_s = 0.0

    @property
    def verdict(self) -> str:
        """The sentence, as of the last `verdict_changed`."""
        return self._verdict

    @property
    def live(self) -> bool:
        """Whether a run goes on in this session: a file's may have been broken off."""
        begun = self.session.plan is not None and self.session.finished is None
        return begun and not self._closed

    def close(self) -> None:
        """No more events come, whatever the last one was."""
        self._closed = True
        if self.session.plan is not None and self.session.finished is None:
            self.question_changed.emit()

    def ask(self, question: Question) -> None:
        """What the recommendation is to answer, of this session and those that follow."""
        self.question = self.session.question = question
        self.question_changed.emit()

    def show(self, session: Session, path: Path | None) -> None:
        """Show another session: an opened one, or an empty one for a run that starts."""
        self.session = session
        # The person's prices and goal, not those of whoever wrote the file.
        session.question = self.question
        self.path = path
        self._closed = session.plan is not None
        self._verdict = session.verdict()
        self._verdict_is_old = self._operators_are_old = False
        self.session_reset.emit()
        self.verdict_changed.emit()

    def apply(self, events: Sequence[Event]) -> None:
        """Take in what a run told since the last time."""
        if not events:
            return
        for event in events:
            self.session.apply(event)
        self.session.question = self.question
        self._verdict_is_old |= any(_moves_verdict(event) for event in events)
        self.events_applied.emit(list(events))
        now = any(isinstance(event, RunFinished) for event in events)
        self.refresh_verdict(now=now)
        self._operators_are_old |= any(isinstance(event, OpTimings) for event in events)
        self._refresh_operators(now=now)

    def _refresh_operators(self, *, now: bool) -> None:
        waited = time.monotonic() - self._operators_at_s >= OPERATORS_INTERVAL_S
        if now or (self._operators_are_old and waited):
            self._operators_are_old = False
            self.operators_changed.emit()
            # From the end of the work: what takes long to show is shown less often.
            self._operators_at_s = time.monotonic()

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
    steps = (
        RunStarted
        | EngineFailed
        | OutputsCompared
        | ValuesCompared
        | RunFinished
        | RaceStarted
        | RaceFinished
    )
    return isinstance(event, steps)
