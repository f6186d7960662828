"""The sweep that the window shows, over one `Sweep`. The sweep's views read this, and only this."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from profiler.sweep.state import Sweep
from profiler.types import Event, PointFinished, PointStarted, SweepFinished, SweepStarted

MARKS = (SweepStarted, PointStarted, PointFinished, SweepFinished)


class SweepModel(QObject):
    """Signal `changed()` when another sweep is shown, and as points begin and end."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.sweep = Sweep()
        self.path: Path | None = None

    def show(self, sweep: Sweep, path: Path | None) -> None:
        """Show another sweep; an empty one where there is none."""
        self.sweep, self.path = sweep, path
        self.changed.emit()

    def apply(self, events: Sequence[Event]) -> None:
        """Take in what a sweep told since the last time."""
        for event in events:
            self.sweep.apply(event)
        if any(isinstance(event, MARKS) for event in events):
            self.changed.emit()
