"""A button that opens a menu."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtWidgets import QMenu, QToolButton, QWidget


def menu_button(text: str, menu: QMenu, parent: QWidget) -> QToolButton:
    """One click opens the menu."""
    button = QToolButton(parent)
    button.setText(text)
    button.setMenu(menu)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    return button


def export_menu(
    formats: Mapping[str, str], chosen: Callable[[str], None], parent: QWidget
) -> QMenu:
    """An entry a format, which are descriptions by name; `chosen` is called with the name."""
    menu = QMenu("&Export", parent)
    for name, description in formats.items():
        action = menu.addAction(f"{description}…")
        action.triggered.connect(lambda _=False, name=name: chosen(name))
    return menu
