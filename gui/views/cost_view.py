"""What each lane costs: the person's prices on the left, a figure a row on the right."""

from __future__ import annotations

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent, QShowEvent
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

FORM_WIDTH = 270
WORKED_HEIGHT = 110
# The figures' names are cut beyond this; a narrower view than that has the form above the figures.
NAMES_WIDTH, NARROW_NAMES_WIDTH, NARROW, FORM_HEIGHT = 250, 200, 640, 100


class CostView(QWidget):
    """Below the table stands how the chosen row is worked out, with each lane's numbers."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._rows: list[tuple[CostFigure, list[CostFigure | None]]] = []
        self._names: list[str] = []
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
        self.worked = QLabel(self)
        right = QWidget(self)
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.caption)
        column.addWidget(self._figures(), 1)
        splitter = self.parts = QSplitter(Qt.Orientation.Horizontal, self)
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

    def _figures(self) -> QSplitter:
        """The table over how its chosen row is worked out."""
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        # The figures' names stay where they are when lanes scroll.
        names = self.table.verticalHeader()
        names.setDefaultSectionSize(26)
        names.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        names.setHighlightSections(False)
        names.setMaximumWidth(NAMES_WIDTH)
        lanes = self.table.horizontalHeader()
        lanes.setHighlightSections(False)
        lanes.setDefaultAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.table.itemSelectionChanged.connect(self._show_worked)
        self.worked.setTextFormat(Qt.TextFormat.PlainText)
        self.worked.setWordWrap(True)
        self.worked.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.worked.setContentsMargins(10, 6, 10, 6)
        self.worked.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        below = QScrollArea(self)
        below.setWidget(self.worked)
        below.setWidgetResizable(True)
        below.setFrameShape(QFrame.Shape.NoFrame)
        figures = QSplitter(Qt.Orientation.Vertical, self)
        figures.addWidget(self.table)
        figures.addWidget(below)
        figures.setStretchFactor(0, 1)
        figures.setSizes([400, WORKED_HEIGHT])
        return figures

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
        chosen = max(0, self.table.currentRow())
        self._rows = list(cost_rows(report))
        self._names = [lane.name for lane in report.lanes]
        self.table.setColumnCount(len(self._names))
        self.table.setHorizontalHeaderLabels(self._names)
        self.table.setRowCount(len(self._rows))
        for row, (figure, cells) in enumerate(self._rows):
            name = QTableWidgetItem(title(figure, report.settings))
            name.setToolTip(f"{name.text()}\n{figure.formula}")
            self.table.setVerticalHeaderItem(row, name)
            for column, cell in enumerate(cells):
                self.table.setItem(row, column, _number(cell))
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.selectRow(min(chosen, len(self._rows) - 1))
        self._show_worked()

    def _clear(self, text: str) -> None:
        self.caption.setText(text)
        self._rows = []
        self.table.setRowCount(0)
        self.table.setColumnCount(0)
        self._show_worked()

    def _show_worked(self) -> None:
        """The chosen row's formula, in words and in each lane's numbers."""
        row = self.table.currentRow()
        if not 0 <= row < len(self._rows):
            self.worked.clear()
            return
        figure, cells = self._rows[row]
        lanes = zip(self._names, cells, strict=True)
        lines = [f"{name}: {cell.worked}" for name, cell in lanes if cell]
        self.worked.setText("\n".join([f"{figure.title} = {figure.formula}", *lines]))

    def _on_settings_changed(self, cost: CostSettings) -> None:
        self._model.ask(msgspec.structs.replace(self._model.question, cost=cost))

    def _on_events_applied(self, events: list[Event]) -> None:
        if any(isinstance(event, RunFinished) for event in events):
            self.refresh()

    # Qt overrides

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        narrow = self.width() < NARROW
        side = Qt.Orientation.Vertical if narrow else Qt.Orientation.Horizontal
        if self.parts.orientation() != side:
            self.parts.setOrientation(side)
            size = FORM_HEIGHT if narrow else FORM_WIDTH
            self.parts.setSizes([size, (self.height() if narrow else self.width()) - size])
            names = self.table.verticalHeader()
            names.setMaximumWidth(NARROW_NAMES_WIDTH if narrow else NAMES_WIDTH)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()


def _number(figure: CostFigure | None) -> QTableWidgetItem:
    item = QTableWidgetItem(with_interval(figure) if figure else "–")
    item.setToolTip(figure.worked if figure else "not known of this lane")
    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return item
