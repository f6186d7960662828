"""The full table of operators, linked with the graph."""

from __future__ import annotations

from collections.abc import Mapping
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
    QMenu,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.session_model import SessionModel
from gui.views.menu_button import menu_button
from gui.views.nothing_traced import nothing_traced
from gui.views.operator_columns import COLUMNS, Cells
from gui.views.trace_note import TraceNote
from profiler.node_path import enclosing
from profiler.types import OperatorRow

EMPTY = (
    "Profile a model (F5): here stands every operator of every lane, with its share of the time."
)
HINT = "Times are of traced rounds: read them as shares."
Index = QModelIndex | QPersistentModelIndex
OPERATOR, TIME = 1, 4
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
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.tip
        if role == Qt.ItemDataRole.TextAlignmentRole and column.number:
            # At the right there is the arrow that tells the order.
            return Qt.AlignmentFlag.AlignCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(self._cells(row))
        if role == SORT_ROLE:
            cells = self._cells(row)
            return column.number(cells) if column.number else column.text(cells).lower()
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
        if role == Qt.ItemDataRole.TextAlignmentRole and column.number:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return theme.lane_colour(list(self._names).index(row.label))
        return None

    def _cells(self, row: OperatorRow) -> Cells:
        lane = self._names.get(row.label, row.label)
        return Cells(lane=lane, row=row, roofline=self._model.session.roofline(row))


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
        self._hint.setWordWrap(True)
        self._hint.setContentsMargins(10, 0, 10, 6)
        self.empty = QLabel(self)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.empty.setProperty("role", "caption")
        self.view = self._table_view()
        self.column_menu = self._columns()
        self.column_button = menu_button("Columns", self.column_menu, self)
        self.column_button.setToolTip("Which columns are shown, work and limits among them")
        bar = QHBoxLayout()
        bar.setContentsMargins(8, 6, 8, 6)
        bar.addWidget(self.lane_box)
        bar.addSpacing(8)
        bar.addWidget(self.search, 1)
        bar.addSpacing(8)
        bar.addWidget(self.column_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self._hint)
        layout.addWidget(TraceNote(model, self))
        layout.addWidget(self.view, 1)
        layout.addWidget(self.empty, 1)
        self.table.modelReset.connect(self._show_empty)
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

    def chosen_columns(self) -> dict[str, bool]:
        """Columns that are shown or hidden other than at first, by title."""
        actions = zip(COLUMNS, self.column_menu.actions(), strict=True)
        return {
            column.title: action.isChecked()
            for column, action in actions
            if action.isChecked() != column.at_first
        }

    def show_columns(self, chosen: Mapping[str, bool]) -> None:
        """Take up such a choice; columns that aren't in it, and titles of none, are left alone."""
        for action in self.column_menu.actions():
            if action.isEnabled():
                action.setChecked(chosen.get(action.text(), action.isChecked()))

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
        view.sortByColumn(TIME, Qt.SortOrder.DescendingOrder)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setAlternatingRowColors(True)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(24)
        header = view.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.setSectionsMovable(True)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(
            lambda place: self.column_menu.popup(header.mapToGlobal(place))
        )
        for number, column in enumerate(COLUMNS):
            view.setColumnWidth(number, column.width)
            view.setColumnHidden(number, not column.at_first)
        return view

    def _columns(self) -> QMenu:
        """A check mark for each column; the operator's name always stays."""
        menu = QMenu(self)
        for number, column in enumerate(COLUMNS):
            action = menu.addAction(column.title)
            action.setToolTip(column.tip)
            action.setCheckable(True)
            action.setChecked(column.at_first)
            action.setEnabled(number != OPERATOR)
            action.toggled.connect(
                lambda shown, number=number: self.view.setColumnHidden(number, not shown)
            )
        menu.setToolTipsVisible(True)
        return menu

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

    def _show_empty(self) -> None:
        """Words in place of a bare header."""
        nothing = not self.table.rows
        self.empty.setText(nothing_traced(self._model.session, EMPTY))
        self.view.setVisible(not nothing)
        self.empty.setVisible(nothing)

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
