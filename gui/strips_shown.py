"""When the live strips are shown: as the person chose, else while there is room or a run."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QStatusBar, QToolButton, QWidget

from gui.settings import Settings

# A lower window has no room for both the strips and a table once nothing moves in them.
ROOMY_HEIGHT = 900


class StripsShown(QObject):
    """Shows and hides `strips` in a window; the action and a button in the status bar follow."""

    def __init__(
        self, window: QWidget, strips: QWidget, action: QAction, bar: QStatusBar, kept: Settings
    ) -> None:
        super().__init__(window)
        self._window, self._strips, self._action, self._kept = window, strips, action, kept
        self._running = False
        button = QToolButton(window)
        button.setDefaultAction(action)
        button.setAutoRaise(True)
        bar.addPermanentWidget(button)
        window.installEventFilter(self)
        self._refresh()

    def set_running(self, running: bool) -> None:
        """Whether a run, search, sweep or suite goes on."""
        self._running = running
        self._refresh()

    def toggle(self) -> None:
        """The person's choice, from now on."""
        self._kept.strips = self._strips.isHidden()
        self._refresh()

    def _refresh(self) -> None:
        shown = self._kept.strips
        if shown is None:
            shown = self._running or self._window.height() >= ROOMY_HEIGHT
        self._strips.setVisible(shown)
        self._action.setChecked(shown)

    # Qt overrides

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._refresh()
        return super().eventFilter(watched, event)
