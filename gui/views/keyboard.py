"""What tables, lists and web views need so that they can be used without a mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QShortcut
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QTableWidget, QWidget


def let_tab_leave(widget: QWidget) -> None:
    """The tab key goes on from every table in there; else it would move in its cells for ever."""
    for view in widget.findChildren(QAbstractItemView):
        view.setTabKeyNavigation(False)


def on_chosen(view: QListWidget | QTableWidget, slot: Callable[[Any], None]) -> None:
    """Call `slot` with the item that is double-clicked, or that Enter is pressed on."""
    view.itemDoubleClicked.connect(slot)

    def choose_current() -> None:
        item = view.currentItem()
        if item is not None:
            slot(item)

    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
        shortcut = QShortcut(key, view)
        shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        shortcut.activated.connect(choose_current)


class LeavesByTab(QObject):
    """Has the tab key leave a web view, whose page would keep it for ever."""

    def __init__(self, view: QWidget) -> None:
        super().__init__(view)
        self._view = view
        view.installEventFilter(self)

    def _leave(self, *, forward: bool) -> None:
        """To the next widget that takes the tab key, or the one before."""
        found: QWidget = self._view
        while True:
            step = found.nextInFocusChain() if forward else found.previousInFocusChain()
            if step is None or step is self._view:
                return
            found = step
            takes = bool(found.focusPolicy() & Qt.FocusPolicy.TabFocus)
            if takes and found.isVisible() and found.isEnabled() and not self._inside(found):
                break
        reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
        found.setFocus(reason)

    def _inside(self, widget: QWidget) -> bool:
        return widget.focusProxy() is not None or self._view.isAncestorOf(widget)

    # Qt overrides

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        del watched
        # Keys go to a child that the view makes with its page.
        if event.type() is QEvent.Type.FocusIn or event.type() is QEvent.Type.ChildPolished:
            for child in self._view.findChildren(QWidget):
                child.installEventFilter(self)
        if event.type() is not QEvent.Type.KeyPress or not isinstance(event, QKeyEvent):
            return False
        if event.key() not in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            return False
        self._leave(forward=event.key() == Qt.Key.Key_Tab)
        return True
