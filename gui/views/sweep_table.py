"""The table of a sweep: a row a point and lane."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from gui.views.keyboard import on_chosen
from profiler.compare import plain
from profiler.intervals import ends_text
from profiler.sweep.axes import unit_of
from profiler.sweep.state import Sweep
from profiler.sweep.table import Row, rows, speedup_text

ROW_HEIGHT = 24


class SweepTable(QTableWidget):
    """Signal `point_chosen(index)` of the row that is chosen."""

    point_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setShowGrid(False)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.verticalHeader().hide()
        self.setToolTip("Double-click a row, or press Enter, to open that point's run")
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setStretchLastSection(True)
        on_chosen(self, self._on_row_chosen)

    def show_sweep(self, sweep: Sweep) -> None:
        """Every point's lanes; the place that was scrolled to stays."""
        assert sweep.plan is not None
        names = [axis.name for axis in sweep.plan.axes]
        unit = unit_of(sweep.plan.plan).capitalize()
        header = [*names, "Lane", "p50 ms", "95 %", "p99 ms", unit, "Speedup", "Note"]
        found = rows(sweep)
        bar = self.verticalScrollBar()
        place = bar.value()
        self.setColumnCount(len(header))
        self.setHorizontalHeaderLabels(header)
        self.setRowCount(len(found))
        for number, row in enumerate(found):
            cells = [*row.values, row.name, *_figures(row)]
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                item.setData(Qt.ItemDataRole.UserRole, row.index)
                item.setToolTip(text if column == len(cells) - 1 else "")
                if len(names) < column < len(cells) - 1:
                    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    item.setTextAlignment(right)
                self.setItem(number, column, item)
        bar.setValue(place)

    def _on_row_chosen(self, item: QTableWidgetItem) -> None:
        self.point_chosen.emit(int(item.data(Qt.ItemDataRole.UserRole)))


def _figures(row: Row) -> list[str]:
    if row.figures is None:
        return ["", "", "", "", "", row.reason or row.state]
    stats, latency = row.figures.stats, row.figures.latency_ns
    return [
        f"{stats.p50_ns / 1e6:.4g}",
        ends_text(latency.scaled(1e-6)),
        f"{stats.p99_ns / 1e6:.4g}",
        plain(row.figures.throughput.value),
        speedup_text(row.speedup) if row.speedup else "",
        "outputs differ, past tolerance" if row.agree is False else row.reason,
    ]
