"""May this file run its code? Shows exactly what it would look up."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.views.keyboard import let_tab_leave
from profiler.consent import ConsentNeededError
from profiler.pickle_safety import is_dangerous, shown

MOST_ROWS_SHOWN = 10
ROW_HEIGHT = 26
EXPLAINED = (
    "The code runs in processes of its own, never in this window, and has no network where the "
    "system allows that. It can still read and change your files. Consent counts for just this "
    "file: File, Trusted Files… takes it back."
)


class ConsentDialog(QDialog):
    """Accepted: the person agrees. Nothing is run or kept here."""

    def __init__(self, error: ConsentNeededError, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Trust this file?")
        self.setMinimumWidth(620)
        self.table = _names_table(error.names, self)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        trust = self.buttons.addButton("Trust and Open", QDialogButtonBox.ButtonRole.AcceptRole)
        trust.setAutoDefault(False)
        cancel = self.buttons.button(QDialogButtonBox.StandardButton.Cancel)
        cancel.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        layout.addWidget(_text(error.entry.what, self, bold=True))
        layout.addWidget(_text(_place(error), self))
        if error.names:
            layout.addWidget(self.table)
        if any(is_dangerous(found) for found in error.names):
            warning = _text(
                "Names marked ⚠ can run commands on this machine. No honest model needs them.",
                self,
                bold=True,
            )
            warning.setStyleSheet(f"color: {theme.BAD}")
            layout.addWidget(warning)
        layout.addWidget(_text(EXPLAINED, self))
        layout.addWidget(self.buttons)
        let_tab_leave(self)
        cancel.setFocus()


def _place(error: ConsentNeededError) -> str:
    path = Path(error.source.path)
    return f"{path}\nSHA-256 {error.source.sha256}"


def _text(text: str, parent: QWidget, *, bold: bool = False) -> QLabel:
    label = QLabel(text, parent)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    font = label.font()
    font.setBold(bold)
    label.setFont(font)
    return label


def _names_table(names: tuple[tuple[str, str], ...], parent: QWidget) -> QTableWidget:
    table = QTableWidget(len(names), 2, parent)
    table.setHorizontalHeaderLabels(["Module", "Name"])
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setShowGrid(False)
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    for row, found in enumerate(names):
        danger = is_dangerous(found)
        for column, part in enumerate(found):
            text = shown((part,))
            item = QTableWidgetItem(f"⚠ {text}" if danger and column == 0 else text)
            item.setToolTip(shown(found))
            if danger:
                item.setForeground(QColor(theme.BAD))
            table.setItem(row, column, item)
    rows = min(len(names), MOST_ROWS_SHOWN)
    table.setFixedHeight(table.horizontalHeader().sizeHint().height() + ROW_HEIGHT * rows + 14)
    return table
