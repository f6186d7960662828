"""The full table of operators, linked with the graph."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.session_model import SessionModel
from profiler.node_path import enclosing
from profiler.types import OperatorRow

COLUMNS = (
    "Lane",
    "Operator",
    "Op type",
    "Calls",
    "µs, traced",
    "Share",
    "Graph nodes",
    "Module",
)
NUMBERS = (3, 4, 5)
HINT = "Times are of traced rounds: read them as shares."
Index = QModelIndex | QPersistentModelIndex
SORT_ROLE = Qt.ItemDataRole.UserRole


class OperatorTable(QAbstractTableModel):
    """One row an operator of a lane."""

    def __init__(self, model: SessionModel) -> None:
        super().__init__(model)
        self._model = model
        self.rows: list[OperatorRow] = []
        self._names: dict[str, str] = {}

    def reload(self) -> None:
        """Take the rows from the session again."""
        session = self._model.session
        self.beginResetModel()
        self._names = {label: session.name(label) for label in session.labels()}
        self.rows = [
            row
            for label in session.labels()
            for row in (*session.operators(label), *session.inner_operators(label))
        ]
        self.endResetModel()

    # Qt overrides

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section in NUMBERS:
            # At the right there is the arrow that tells the order.
            return Qt.AlignmentFlag.AlignCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == SORT_ROLE:
            sizes = {3: row.calls, 4: row.mean_ns, 5: row.share}
            return sizes.get(column, self._text(row, column).lower())
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(
                part
                for part in (
                    f"{row.name} ({row.op_type})",
                    row.provider,
                    row.shapes,
                    _sizes(row),
                    row.scope,
                    ", ".join(row.source_nodes),
                )
                if part
            )
        if role == Qt.ItemDataRole.TextAlignmentRole and column in NUMBERS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            return theme.lane_colour(list(self._names).index(row.label))
        return None

    def _text(self, row: OperatorRow, column: int) -> str:
        texts = (
            self._names.get(row.label, row.label),
            row.name,
            row.op_type,
            str(row.calls),
            f"{row.mean_ns / 1e3:.1f}",
            f"{row.share:.1%}",
            ", ".join(row.source_nodes),
            row.scope,
        )
        return texts[column]


def _sizes(row: OperatorRow) -> str:
    """Memory and threads, where the engine tells them."""
    if not row.threads:
        return ""
    kib = [size / 1024 for size in (row.input_bytes, row.weights_bytes, row.output_bytes)]
    threads = f"{row.threads} thread{'s' if row.threads > 1 else ''}"
    return (
        f"inputs {kib[0]:,.0f} KiB, weights {kib[1]:,.0f} KiB, outputs {kib[2]:,.0f} KiB; "
        f"{threads}, waited {row.wait_ns / 1e3:,.0f} µs for others"
    )


class OperatorFilter(QSortFilterProxyModel):
    """By lane, and by text anywhere in the row."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.lane = ""
        self.text = ""
        self.setSortRole(SORT_ROLE)

    def narrow(self, lane: str, text: str) -> None:
        """Show a lane ("" for all) and rows that hold the text."""
        self.lane, self.text = lane, text.lower()
        self.invalidate()

    # Qt overrides

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        del parent
        table = self.sourceModel()
        assert isinstance(table, OperatorTable)
        found = table.rows[row]
        if self.lane and found.label != self.lane:
            return False
        if not self.text:
            return True
        parts = (found.name, found.op_type, found.scope, *found.source_nodes)
        return any(self.text in part.lower() for part in parts)


class OperatorsView(QWidget):
    """Signal `node_selected(value name)` when a person chooses a row."""

    node_selected = Signal(str)

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.table = OperatorTable(model)
        self.filter = OperatorFilter(self)
        self.filter.setSourceModel(self.table)
        self.lane_box = QComboBox(self)
        self.search = QLineEdit(self)
        self.search.setPlaceholderText("Filter by name, op type, module or graph node")
        self.search.setClearButtonEnabled(True)
        self._hint = QLabel(HINT, self)
        self._hint.setProperty("role", "caption")
        self.view = self._table_view()
        bar = QHBoxLayout()
        bar.setContentsMargins(8, 6, 8, 6)
        bar.addWidget(self.lane_box)
        bar.addWidget(self.search, 1)
        bar.addSpacing(8)
        bar.addWidget(self._hint)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self.view, 1)
        self.lane_box.currentIndexChanged.connect(self._on_narrowed)
        self.search.textChanged.connect(self._on_narrowed)
        self.view.selectionModel().selectionChanged.connect(self._on_selection_changed)
        model.session_reset.connect(self._on_session_reset)
        model.events_applied.connect(self._on_events_applied)
        model.operators_changed.connect(self._reload_in_place)
        self._quiet = False
        self._on_session_reset()

    def select_node(self, value_name: str) -> int:
        """Select every row that covers this graph node; returns how many. No signal follows.

        For a node in a body or a function that no row covers: the rows of the node around it.
        """
        table, found = self.table, QItemSelection()
        for name in enclosing(value_name):
            for number, row in enumerate(table.rows):
                index = self.filter.mapFromSource(table.index(number, 0))
                if name in row.source_nodes and index.isValid():
                    found.select(index, index)
            if not found.isEmpty():
                break
        self._select(found)
        indexes = found.indexes()
        if indexes:
            self.view.scrollTo(indexes[0], QAbstractItemView.ScrollHint.PositionAtCenter)
        return len(indexes)

    def _select(self, selection: QItemSelection) -> None:
        flags = QItemSelectionModel.SelectionFlag
        self._quiet = True
        self.view.selectionModel().select(selection, flags.ClearAndSelect | flags.Rows)
        self._quiet = False

    def _table_view(self) -> QTableView:
        view = QTableView(self)
        view.setModel(self.filter)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSortingEnabled(True)
        view.sortByColumn(4, Qt.SortOrder.DescendingOrder)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setAlternatingRowColors(True)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(24)
        header = view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        for column, width in enumerate((160, 190, 120, 56, 108, 76, 180)):
            view.setColumnWidth(column, width)
        return view

    def _on_session_reset(self) -> None:
        session = self._model.session
        self.lane_box.blockSignals(True)
        self.lane_box.clear()
        self.lane_box.addItem("All lanes", "")
        for label in session.labels():
            self.lane_box.addItem(session.name(label), label)
        self.lane_box.blockSignals(False)
        self.table.reload()
        self._on_narrowed()

    def _on_events_applied(self) -> None:
        if self.lane_box.count() != len(self._model.session.labels()) + 1:
            self._on_session_reset()

    def _reload_in_place(self) -> None:
        """New times, with the same rows selected at the same place."""
        chosen = {(row.label, row.name, row.op_type) for row in self._chosen_rows()}
        bar = self.view.verticalScrollBar()
        place = bar.value()
        self.table.reload()
        self._show_trace_figures()
        again = QItemSelection()
        for number, row in enumerate(self.table.rows):
            if (row.label, row.name, row.op_type) in chosen:
                index = self.filter.mapFromSource(self.table.index(number, 0))
                again.select(index, index)
        self._select(again)
        bar.setValue(place)

    def _chosen_rows(self) -> list[OperatorRow]:
        indexes = self.view.selectionModel().selectedRows()
        return [self.table.rows[self.filter.mapToSource(index).row()] for index in indexes]

    def _show_trace_figures(self) -> None:
        """How far the times can be read, of the lanes that are shown."""
        session = self._model.session
        chosen = self.lane_box.currentData()
        texts: list[str] = []
        details: list[str] = []
        for label in session.labels():
            figures = session.trace_figures(label)
            if figures is not None and chosen in ("", label):
                texts.append(
                    f"{session.name(label)}: {figures.coverage * 100:.0f} % of the traced latency, "
                    f"tracing {figures.tracing_cost:.2f}×"
                )
                details.append(f"{session.name(label)}, engine overhead: {figures.outside()}")
        self._hint.setText(texts[0] if len(texts) == 1 else HINT)
        self._hint.setToolTip("\n".join((HINT, *texts, *details)))

    def _on_narrowed(self) -> None:
        self._show_trace_figures()
        self.filter.narrow(self.lane_box.currentData() or "", self.search.text())

    def _on_selection_changed(self) -> None:
        if self._quiet:
            return
        for row in self._chosen_rows():
            if row.source_nodes:
                self.node_selected.emit(row.source_nodes[-1])
                return
