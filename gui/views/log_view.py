"""What the engines printed, and what Dualscope has to say."""

from __future__ import annotations

import time

from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from gui.session_model import SessionModel
from profiler.types import EngineFailed, Event, LogLine

MOST_LINES = 5_000


class LogView(QPlainTextEdit):
    """Plain lines: time, lane, text."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setReadOnly(True)
        self.setMaximumBlockCount(MOST_LINES)
        self.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.setPlaceholderText("Nothing was logged.")
        model.session_reset.connect(self._on_session_reset)
        model.events_applied.connect(self._add)

    def _on_session_reset(self) -> None:
        self.clear()
        session = self._model.session
        found: list[Event] = [*session.logs, *session.failures.values()]
        self._add(sorted(found, key=lambda event: event.time_ns))

    def _add(self, events: list[Event]) -> None:
        for event in events:
            clock = time.strftime("%H:%M:%S", time.localtime(event.time_ns / 1e9))
            if isinstance(event, LogLine):
                self.appendPlainText(f"{clock} {event.label or 'dualscope'}: {event.text}")
            elif isinstance(event, EngineFailed):
                self.appendPlainText(f"{clock} {event.label} FAILED: {event.message} {event.hint}")
                for text in event.log_tail:
                    self.appendPlainText(f"         {event.label}: {text}")
