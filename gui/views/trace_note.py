"""A line that says why operator times may be wrong; there only where they may be."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget

from gui.session_model import SessionModel


class TraceNote(QLabel):
    """Follows the session by itself, and tells of all lanes until it is given some."""

    def __init__(self, model: SessionModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self._labels: Sequence[str] | None = None
        self.setProperty("role", "problem")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setContentsMargins(10, 2, 10, 6)
        for changed in (model.session_reset, model.operators_changed):
            changed.connect(self._refresh)
        self._refresh()

    def show_lanes(self, labels: Sequence[str]) -> None:
        """Tell of the lanes whose times are shown now."""
        self._labels = labels
        self._refresh()

    def _refresh(self) -> None:
        known = self._model.session.labels()
        asked = None if self._labels is None else [one for one in self._labels if one in known]
        doubts = self._model.session.trace_doubts(asked)
        self.setText("\n".join(f"Times in doubt – {doubt}." for doubt in doubts))
        self.setVisible(bool(doubts))
