"""What tables and lists need so that they can be used without a mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QShortcut
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
