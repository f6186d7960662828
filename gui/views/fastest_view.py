"""The search for the fastest: every configuration, live, and what came out."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.reasons import NO_MODEL, allow
from gui.session_model import SessionModel
from gui.views.interval_delegate import INTERVAL_ROLE, IntervalDelegate
from profiler.search.record import Tried
from profiler.search.result import sentences, winner
from profiler.search.rows import ratio_text
from profiler.types import (
    ArmState,
    EngineSpec,
    Event,
    RaceFinished,
    RaceRound,
    RaceStarted,
    RunFinished,
    RunStarted,
)

COLUMNS = (
    "Configuration",
    "State",
    "p50, ms",
    "p99, ms",
    "Latency over its leader",
    "Memory, MiB",
    "Rounds",
    "Why",
)
INTERVAL = 4
REFRESH_S = 0.25
NAME_WIDTH = 330
EMPTY = (
    "Find the Fastest (F6) races the options of each engine: threads, graph optimization, memory, "
    "ways to compile. It ends with a configuration, its gain, and a program that runs it."
)
USE_TIP = "Add the chosen configuration, else the winner, to the lanes"
SAVE_TIP = "Write a Python program that runs it, and the files that it needs"


class FastestView(QWidget):
    """Signals: `search_wanted()`; `lane_wanted(EngineSpec)`, `program_wanted(EngineSpec)`: of the
    row that is chosen, else of the winner.
    """

    search_wanted = Signal()
    lane_wanted = Signal(object)
    program_wanted = Signal(object)

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown_at_s = 0.0
        self._specs: list[EngineSpec] = []
        self.told = QLabel(EMPTY, self)
        self.told.setWordWrap(True)
        self.told.setTextFormat(Qt.TextFormat.PlainText)
        self.told.setContentsMargins(10, 8, 10, 6)
        self.begin = QPushButton("Find the Fastest…", self)
        self.begin.clicked.connect(self.search_wanted)
        self.use = QPushButton("Use This Lane", self)
        self.save = QPushButton("Save Program…", self)
        self.use.clicked.connect(lambda: self._want(self.lane_wanted))
        self.save.clicked.connect(lambda: self._want(self.program_wanted))
        self.table = self._table()
        self.table.itemSelectionChanged.connect(self._refresh_buttons)
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 8, 0)
        top.addWidget(self.told, 1)
        top.addWidget(self.begin)
        top.addWidget(self.use)
        top.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self.table, 1)
        # Keeps the text at the top while there is no table.
        layout.addStretch()
        self.set_reason(NO_MODEL)
        model.session_reset.connect(self.refresh)
        model.events_applied.connect(self._on_events_applied)
        self.refresh()

    def set_reason(self, reason: str) -> None:
        """Why no search could begin; "" where one could."""
        allow(self.begin, reason, "Search each engine's options (F6)")
        self._reason = reason
        self._show_told()

    def refresh(self) -> None:
        """Show the session's search as it is now."""
        session = self._model.session
        tried, best = session.search.tried(), winner(session)
        self._shown_at_s = time.monotonic()
        chosen = self.table.currentRow() if self.table.selectedItems() else -1
        self._specs = [item.spec for item in tried]
        self.table.setRowCount(len(tried))
        for number, item in enumerate(tried):
            self._show_row(number, item, best)
        if 0 <= chosen < len(tried):
            self.table.selectRow(chosen)
        self._show_told()
        for widget in (self.table, self.use, self.save):
            widget.setVisible(bool(tried))
        self._refresh_buttons()

    def _show_told(self) -> None:
        told = "\n".join(f"{text}." for text in sentences(self._model.session))
        self.told.setText(told or (f"{EMPTY}\n{self._reason}." if self._reason else EMPTY))

    def chosen(self) -> EngineSpec | None:
        """The configuration of the chosen row, else the winner."""
        rows = {index.row() for index in self.table.selectedIndexes()}
        if len(rows) == 1:
            return self._specs[rows.pop()]
        return winner(self._model.session)

    def _table(self) -> QTableWidget:
        table = QTableWidget(0, len(COLUMNS), self)
        table.setHorizontalHeaderLabels(list(COLUMNS))
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setItemDelegateForColumn(INTERVAL, IntervalDelegate(table))
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        # Options may be long: the tool tip has them whole.
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        header.resizeSection(0, NAME_WIDTH)
        return table

    def _show_row(self, number: int, item: Tried, best: EngineSpec | None) -> None:
        judged = item.judged
        ran = judged is not None and judged.calls > 0
        texts = (
            item.label,
            item.state.value,
            f"{judged.p50_ns / 1e6:.4g}" if judged and ran else "",
            f"{judged.p99_ns / 1e6:.4g}" if judged and ran else "",
            ratio_text(item),
            f"{judged.peak_memory_bytes / 2**20:.0f}" if judged and ran else "",
            f"{judged.rounds}" if judged and ran else "",
            item.reason,
        )
        is_best = best is not None and (best.engine, best.options) == (
            item.spec.engine,
            item.spec.options,
        )
        for column, text in enumerate(texts):
            cell = QTableWidgetItem(text)
            cell.setToolTip(text)
            if column in (2, 3, 5, 6):
                right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                cell.setTextAlignment(right)
            if item.state not in (ArmState.RACING, ArmState.LEADER):
                cell.setForeground(theme.soft_text())
            elif column == 1 and item.state is ArmState.LEADER:
                cell.setForeground(QColor(theme.GOOD))
            if is_best:
                font = cell.font()
                font.setBold(True)
                cell.setFont(font)
            if column == INTERVAL and item.ratio and item.against:
                cell.setData(INTERVAL_ROLE, (item.ratio, item.low, item.high, _colour(item).name()))
            self.table.setItem(number, column, cell)

    def _want(self, signal: object) -> None:
        spec = self.chosen()
        if spec is not None:
            signal.emit(spec)  # type: ignore[attr-defined]

    def _refresh_buttons(self) -> None:
        session = self._model.session
        reason = "" if session.finished is not None else "The search has not ended"
        if not reason and (self.chosen() is None or not self._specs):
            reason = "Nothing won: choose a row"
        allow(self.use, reason, USE_TIP)
        allow(self.save, reason, SAVE_TIP)

    def _on_events_applied(self, events: list[Event]) -> None:
        steps = (RaceStarted, RaceFinished, RunStarted, RunFinished)
        if not self._model.session.search.races:
            return
        late = time.monotonic() - self._shown_at_s >= REFRESH_S
        if any(isinstance(event, steps) for event in events) or (
            late and any(isinstance(event, RaceRound) for event in events)
        ):
            self.refresh()


def _colour(item: Tried) -> QColor:
    """Of an interval: what races in the first lane's colour, what is out in grey."""
    if item.state is ArmState.RACING:
        return theme.lane_colour(0)
    return theme.soft_text()
