"""How far each lane's outputs are from the baseline's."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.session_model import SessionModel
from profiler.types import Event, OutputDifference, OutputsCompared, RunStarted

COLUMNS = (
    "Output",
    "Lane",
    "Max abs.",
    "Max rel.",
    "Cosine",
    "Argmax agrees",
    "NaN / Inf",
    "Within tolerance",
    "Note",
)


class OutputsView(QWidget):
    """One row an output and candidate lane."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._caption = QLabel(self)
        self._caption.setProperty("role", "caption")
        self._caption.setContentsMargins(10, 8, 10, 6)
        self._caption.setWordWrap(True)
        self.table = QTableWidget(0, len(COLUMNS), self)
        self.table.setHorizontalHeaderLabels(list(COLUMNS))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._caption)
        layout.addWidget(self.table, 1)
        model.session_reset.connect(self._reload)
        model.events_applied.connect(self._on_events_applied)
        self._reload()

    def _on_events_applied(self, events: list[Event]) -> None:
        if any(isinstance(event, OutputsCompared | RunStarted) for event in events):
            self._reload()

    def _reload(self) -> None:
        session = self._model.session
        rows = [(found, d) for found in session.outputs for d in found.differences]
        self.table.setRowCount(len(rows))
        for number, (found, difference) in enumerate(rows):
            texts = _texts(difference, session.name(found.candidate))
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if 2 <= column <= 6:
                    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    item.setTextAlignment(right)
                self.table.setItem(number, column, item)
        self._caption.setText(self._caption_text())

    def _caption_text(self) -> str:
        outputs = self._model.session.outputs
        if not outputs:
            return "Outputs are compared after warm-up, on the inputs that are measured."
        first = outputs[0]
        name = self._model.session.name(first.baseline)
        return (
            f"Against {name}, same inputs. Tolerance: |difference| ≤ {first.atol:g} × RMS of the "
            f"output + {first.rtol:g} × |value|."
        )


def _texts(difference: OutputDifference, lane: str) -> tuple[str, ...]:
    argmax = difference.argmax_agreement
    return (
        difference.name,
        lane,
        f"{difference.max_abs:.3g}",
        f"{difference.max_rel:.3g}",
        f"{difference.cosine:.6f}",
        "–" if argmax is None else f"{argmax:.1%}",
        f"{difference.nan_count} / {difference.inf_count}",
        "yes" if difference.within_tolerance else "NO",
        difference.note,
    )
