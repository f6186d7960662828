"""The suite that the window shows, over one `Suite`. Its view reads this, and only this."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from profiler.suite.records import (
    EntryFinished,
    EntryStarted,
    SuiteFinished,
    SuitePrepared,
    SuiteStarted,
)
from profiler.suite.state import Suite
from profiler.types import Event, Progress

MARKS = (SuiteStarted, SuitePrepared, EntryStarted, EntryFinished, SuiteFinished)


class SuiteModel(QObject):
    """Signals: `changed()` when another suite is shown, and as models begin and end;
    `progressed(Progress)` as one goes on.
    """

    changed = Signal()
    progressed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.suite = Suite()
        self.folder: Path | None = None

    def begin(self, folder: Path) -> None:
        """A suite starts, or goes on, in that folder; what it has comes as events."""
        self.show(Suite(), folder)

    def show(self, suite: Suite, folder: Path | None) -> None:
        """Show another suite."""
        self.suite, self.folder = suite, folder
        self.changed.emit()

    def apply(self, events: Sequence[Event]) -> None:
        """Take in what a suite told since the last time."""
        for event in events:
            self.suite.apply(event)
        if any(isinstance(event, MARKS) for event in events):
            self.changed.emit()
        steps = [event for event in events if isinstance(event, Progress)]
        if steps:
            self.progressed.emit(steps[-1])
