"""A message with its hint along the top of the window; it stays until it is closed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from gui import theme
from profiler.compare import counted
from profiler.errors import ProfilerError

# More would take the window from what it is about; the whole text is in the tooltip.
MOST_LINES, MOST_CHARACTERS = 3, 400


class MessageBar(QFrame):
    """Hidden while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colour = theme.BAD
        self._message = QLabel(self)
        self._hint = QLabel(self)
        for label in (self._message, self._hint):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        font = self._message.font()
        font.setBold(True)
        self._message.setFont(font)
        close = QToolButton(self)
        close.setText("✕")
        close.setAutoRaise(True)
        close.setToolTip("Close this message (Esc)")
        close.setShortcut(Qt.Key.Key_Escape)
        close.clicked.connect(self.clear)
        texts = QVBoxLayout()
        texts.setSpacing(1)
        texts.addWidget(self._message)
        texts.addWidget(self._hint)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 6, 6, 6)
        layout.addLayout(texts, 1)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    @property
    def text(self) -> str:
        """Message and hint as shown."""
        return f"{self._message.text()}\n{self._hint.text()}".strip()

    def show_error(self, error: ProfilerError) -> None:
        """Message, and what to do about it."""
        self._show(error.message, error.hint, theme.BAD)

    def show_errors(self, errors: Sequence[ProfilerError]) -> None:
        """The first with how many more there are; the tool tip has them all."""
        if not errors:
            return
        self.show_error(errors[0])
        if len(errors) == 1:
            return
        others = counted(len(errors) - 1, "more failure")
        self._message.setText(f"{self._message.text()} (and {others})")
        whole = "\n\n".join(f"{error.message}\n{error.hint}".strip() for error in errors)
        for label in (self._message, self._hint):
            label.setToolTip(f"<pre>{escape(whole)}</pre>")

    def show_note(self, message: str, hint: str = "") -> None:
        """Something worth knowing that is no error."""
        self._show(message, hint, theme.OPEN)

    def clear(self) -> None:
        """Say nothing."""
        self.hide()

    def restyle(self) -> None:
        """Take on the theme's colours."""
        self.setStyleSheet(
            f"MessageBar {{ background: {theme.base().name()}; border: 1px solid {self._colour};"
            f" border-left: 5px solid {self._colour}; border-radius: 6px; }}"
        )

    def _show(self, message: str, hint: str, colour: str) -> None:
        for label, text in ((self._message, message), (self._hint, hint)):
            label.setText(_shortened(text))
            label.setToolTip("" if label.text() == text else f"<pre>{escape(text)}</pre>")
        self._hint.setVisible(bool(hint))
        self._colour = colour
        self.restyle()
        self.show()


def _shortened(text: str) -> str:
    """The first lines that say something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    short = "\n".join(lines[:MOST_LINES])[:MOST_CHARACTERS]
    return short if short == text else f"{short} …"
