"""Files and factories that may run their code; consent is taken back here."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
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

from gui.reasons import allow
from gui.views.keyboard import let_tab_leave
from profiler import consent
from profiler.errors import ProfilerError

NAME, GIVEN, HASH = range(3)


class TrustedDialog(QDialog):
    """Signal `refused(ProfilerError)` when the list can't be written."""

    refused = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Trusted files")
        self.setMinimumSize(640, 340)
        text = QLabel(
            "These files and factories may run their code when they are opened. A file that "
            "changes has another hash, and asks again.",
            self,
        )
        text.setWordWrap(True)
        self.table = QTableWidget(0, 3, self)
        self.table.setHorizontalHeaderLabels(["File or factory", "Since", "SHA-256"])
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        header = self.table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        self.take_back = buttons.addButton("Take Back", QDialogButtonBox.ButtonRole.ActionRole)
        self.take_back.setAutoDefault(False)
        self.take_back.clicked.connect(self._on_take_back)
        buttons.rejected.connect(self.reject)
        self.table.itemSelectionChanged.connect(self._refresh_button)
        layout = QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(self.table, 1)
        layout.addWidget(buttons)
        let_tab_leave(self)
        self._reload()

    def _reload(self) -> None:
        self._entries = consent.kept()
        self.table.setRowCount(len(self._entries))
        for row, entry in enumerate(self._entries):
            for column, text in (
                (NAME, Path(entry.name).name),
                (GIVEN, entry.given),
                (HASH, f"{entry.sha256[:12]}…"),
            ):
                item = QTableWidgetItem(text)
                names = "\n".join(entry.names[:20])
                item.setToolTip(f"{entry.name}\n{entry.sha256}\n{names}".strip())
                self.table.setItem(row, column, item)
        self._refresh_button()

    def _refresh_button(self) -> None:
        some = bool(self.table.selectionModel().selectedRows())
        allow(self.take_back, "" if some else "Choose a row")

    def _on_take_back(self) -> None:
        rows = [index.row() for index in self.table.selectionModel().selectedRows()]
        try:
            for row in rows:
                consent.take_back(self._entries[row].sha256)
        except ProfilerError as error:
            self.refused.emit(error)
        self._reload()
