"""The verdict in one sentence, across the whole window."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from gui import theme
from gui.session_model import SessionModel
from profiler.compare import MIN_ROUNDS, counted
from profiler.types import Verdict

ACCENT_WIDTH = 5
UNBROKEN = "\N{NO-BREAK SPACE}"
WELCOME = "Drop a .pt or .onnx file here, or open one"


class VerdictBanner(QFrame):
    """Sentence and interval; the colour of its edge says how sure it is."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._accent = theme.line()
        self._ready_text = ""
        self.setProperty("role", "card")
        self._sentence = QLabel(WELCOME, self)
        self._sentence.setWordWrap(True)
        self._sentence.setTextFormat(Qt.TextFormat.PlainText)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        font = self._sentence.font()
        font.setPointSizeF(font.pointSizeF() * 1.3)
        font.setBold(True)
        self._sentence.setFont(font)
        self._note = QLabel(self)
        self._note.setProperty("role", "caption")
        self._note.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 8, 14, 8)
        layout.setSpacing(2)
        layout.addWidget(self._sentence)
        layout.addWidget(self._note)
        model.verdict_changed.connect(self._on_verdict_changed)
        model.session_reset.connect(self._on_verdict_changed)

    @property
    def text(self) -> str:
        """The sentence that is shown."""
        return self._sentence.text().replace(UNBROKEN, " ")

    def set_ready_text(self, text: str) -> None:
        """What stands there while there is no session: welcome, or that a model is ready."""
        self._ready_text = text
        self._on_verdict_changed()

    def _on_verdict_changed(self) -> None:
        session = self._model.session
        if session.plan is None and session.search.races:
            over = session.finished is not None
            note = "The search has ended" if over else "Configurations race; see the Fastest tab"
            self._show(self._model.verdict or "Racing…", note, theme.line())
            return
        if session.plan is None:
            self._show(self._ready_text or WELCOME, "", theme.line())
            return
        verdict = self._model.verdict
        if self._model.live and self._too_early():
            self._show("Measuring…", "The first rounds are on their way.", theme.line())
            return
        verdicts = {comparison.verdict for comparison in session.comparisons()}
        differs = bool(session.failures) or any(not o.agree for o in session.outputs)
        nothing = not session.timed_rounds()
        doubtful = nothing or Verdict.UNRESOLVED in verdicts or session.mostly_disturbed()
        edge = theme.BAD if differs else theme.OPEN if doubtful else theme.GOOD
        self._show(verdict or "Nothing was measured.", self._details(), QColor(edge))

    def _too_early(self) -> bool:
        session = self._model.session
        if session.failures or not self._model.verdict:
            return not self._model.verdict
        return any(c.rounds < MIN_ROUNDS for c in session.comparisons())

    def _details(self) -> str:
        session = self._model.session
        parts = []
        for comparison in session.comparisons():
            width = (comparison.high - comparison.low) / comparison.speedup
            if comparison.rounds >= MIN_ROUNDS and math.isfinite(width):
                parts.append(
                    f"95 % interval over {comparison.rounds} interleaved rounds "
                    f"of {counted(comparison.launches, 'launch', 'launches')}, "
                    f"{width:.1%} of the ratio wide"
                )
        if aside := session.set_aside():
            parts.append(f"{counted(len(aside), 'disturbed round')} set aside")
        if session.finished is None:
            parts.append("still measuring" if self._model.live else "broken off before its end")
        elif session.finished.reason:
            parts.append(f"ended: {session.finished.reason}")
        text = "; ".join(dict.fromkeys(parts))
        return text[:1].upper() + text[1:]

    def _show(self, sentence: str, note: str, accent: QColor) -> None:
        # No line ends between a number and its sign.
        self._sentence.setText(sentence.replace(" %", f"{UNBROKEN}%"))
        self._note.setText(note)
        self._note.setVisible(bool(note))
        self._accent = accent
        self.update()

    # Qt overrides

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.fillRect(1, 1, ACCENT_WIDTH, self.height() - 2, self._accent)
