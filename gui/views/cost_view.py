"""What each lane costs: the person's prices on the left, a figure a row on the right."""

from __future__ import annotations

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QLabel,
    QScrollArea,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui.session_model import SessionModel
from gui.views.cost_form import CostForm
from profiler.cost import CostFigure, CostReport
from profiler.cost_report import cost_report
from profiler.decision_text import cost_rows, settings_words, title, with_interval
from profiler.types import CostSettings, Event, RunFinished

FORM_WIDTH = 290


class CostView(QWidget):
    """Each cell's tool tip has its formula with the numbers filled in."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.form = CostForm(model.question.cost, self)
        self.form.changed.connect(self._on_settings_changed)
        area = QScrollArea(self)
        area.setWidget(self.form)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setMinimumWidth(FORM_WIDTH)
        self.caption = QLabel(self)
        self.caption.setProperty("role", "caption")
        self.caption.setContentsMargins(10, 8, 10, 6)
        self.caption.setWordWrap(True)
        self.caption.setTextFormat(Qt.TextFormat.PlainText)
        self.table = QTableWidget(self)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.verticalHeader().hide()
        self.table.verticalHeader().setDefaultSectionSize(26)
        right = QWidget(self)
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.caption)
        column.addWidget(self.table, 1)
        splitter = QSplitter(Qt.Orientation.Horizontal, self)
        splitter.addWidget(area)
        splitter.addWidget(right)
        splitter.setStretchFactor(1, 1)
        splitter.setChildrenCollapsible(False)
        splitter.setSizes([FORM_WIDTH, 900])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        model.session_reset.connect(self.refresh)
        model.question_changed.connect(self.refresh)
        model.events_applied.connect(self._on_events_applied)

    def refresh(self) -> None:
        """Work the figures out again, if anyone sees them and no run goes on."""
        if not self.isVisible():
            return
        session = self._model.session
        if self._model.live or session.plan is None:
            waiting = "The figures come when the run has ended."
            self._clear(waiting if self._model.live else "Profile a model, or open a session.")
            return
        report = cost_report(session, self._model.question.cost)
        if not report.lanes:
            self._clear("No lane was measured.")
            return
        self._fill(report)

    def _fill(self, report: CostReport) -> None:
        missing = "".join(f" Not told: {text}." for text in report.missing)
        self.caption.setText(f"Worked out for {settings_words(report)}.{missing}")
        rows = list(cost_rows(report))
        self.table.setColumnCount(len(report.lanes) + 2)
        names = [lane.name for lane in report.lanes]
        self.table.setHorizontalHeaderLabels(["Figure", *names, "How it is worked out"])
        self.table.setRowCount(len(rows))
        for row, (figure, cells) in enumerate(rows):
            self.table.setItem(row, 0, _item(title(figure, report.settings), figure.formula))
            for column, cell in enumerate(cells, start=1):
                self.table.setItem(row, column, _number(cell))
            self.table.setItem(row, len(cells) + 1, _item(figure.formula, figure.formula))
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)

    def _clear(self, text: str) -> None:
        self.caption.setText(text)
        self.table.setRowCount(0)
        self.table.setColumnCount(0)

    def _on_settings_changed(self, cost: CostSettings) -> None:
        self._model.ask(msgspec.structs.replace(self._model.question, cost=cost))

    def _on_events_applied(self, events: list[Event]) -> None:
        if any(isinstance(event, RunFinished) for event in events):
            self.refresh()

    # Qt overrides

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()


def _item(text: str, tip: str) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setToolTip(tip)
    return item


def _number(figure: CostFigure | None) -> QTableWidgetItem:
    item = _item(with_interval(figure), figure.worked) if figure else QTableWidgetItem("–")
    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item
