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
    formats: Mapping[str, str],
    chosen: Callable[[str], None],
    parent: QWidget,
    missing: Callable[[str], str] | None = None,
) -> QMenu:
    """An entry a format, which are descriptions by name; `chosen` is called with the name.

    `missing` is asked by name when the menu opens: why there is nothing to write, or "".
    """
    menu = QMenu("&Export", parent)
    actions = {name: menu.addAction(f"{text}…") for name, text in formats.items()}
    for name, action in actions.items():
        action.triggered.connect(lambda _=False, name=name: chosen(name))

    def refresh() -> None:
        for name, action in actions.items():
            reason = missing(name) if missing else ""
            action.setEnabled(not reason)
            action.setText(f"{formats[name]}: {reason}" if reason else f"{formats[name]}…")

    menu.aboutToShow.connect(refresh)
    return menu
