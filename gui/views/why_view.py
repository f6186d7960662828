"""Why one lane is faster: the gap as a waterfall over a tree of regions, linked with the graph."""

from __future__ import annotations

from PySide6.QtCore import (
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSplitter,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from gui.session_model import SessionModel
from gui.views.bar_delegate import BarDelegate
from gui.views.nothing_traced import nothing_traced
from gui.views.regions_model import (
    DIFFERENCE,
    FLAT,
    KINDS,
    TREE,
    RegionsModel,
)
from gui.views.waterfall_chart import WaterfallChart
from profiler.explanation import Explanation
from profiler.insights import find_insights
from profiler.node_path import outermost
from profiler.regions import Region

# Regions below this share of the gap are no difference worth a line.
DIFFERS_FROM = 0.005
MOST_INSIGHTS = 2
# Lines that are open at first, and after a search.
MOST_LINES, MOST_FOUND = 40, 500
PAIR_CHARACTERS = 36
LEAST_PAIR, LEAST_SEARCH = 140, 110
LEAST_CAUSES = 40
EMPTY = "Profile a model with two lanes: here stands what their difference is made of."
ONE_LANE = "There is one lane: with a second one, here stands what their difference is made of."
Index = QModelIndex | QPersistentModelIndex


class WhyView(QWidget):
    """Signal `node_selected(value name)` when a person chooses a region."""

    node_selected = Signal(str)

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._found: Explanation | None = None
        self._shown: list[Region] = []
        self._quiet = False
        self.pair = QComboBox(self)
        self.pair.setPlaceholderText("Lanes: after a run of two")
        policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        self.pair.setSizeAdjustPolicy(policy)
        self.pair.setMinimumContentsLength(PAIR_CHARACTERS)
        # In a narrow window it gives room to the filter.
        self.pair.setMinimumWidth(LEAST_PAIR)
        self.arrangement = QComboBox(self)
        self.arrangement.addItems([TREE, KINDS, FLAT])
        self.arrangement.setToolTip("How regions are grouped")
        self.search = QLineEdit(self)
        self.search.setPlaceholderText("Filter by region, operator, op type or graph node")
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(LEAST_SEARCH)
        self.differs = QCheckBox("only what differs", self)
        self.chart = WaterfallChart(self)
        self.table = RegionsModel(self)
        self.bars = BarDelegate(self)
        self.view = self._tree_view()
        self.insights = QLabel(self)
        self.insights.setWordWrap(True)
        self.insights.setTextFormat(Qt.TextFormat.PlainText)
        self.insights.setMargin(4)
        self.insights.setIndent(6)
        self.insights.setAlignment(Qt.AlignmentFlag.AlignTop)
        # Of five lanes there may be more lines than a small window has room for.
        self.causes = QScrollArea(self)
        self.causes.setWidget(self.insights)
        self.causes.setWidgetResizable(True)
        self.causes.setFrameShape(QFrame.Shape.NoFrame)
        self.causes.setMinimumHeight(LEAST_CAUSES)
        self.empty = QLabel(self)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.empty.setProperty("role", "caption")
        self.empty.setMargin(10)
        self.totals = QLabel(self)
        self.totals.setProperty("role", "caption")
        self.totals.setWordWrap(True)
        self._lay_out()
        self._connect()
        self._on_session_reset()

    def select_node(self, value_name: str) -> int:
        """Select the regions that hold this graph node; returns how many. No signal follows."""
        name = outermost(value_name)
        return self._select(lambda region: name in region.nodes)

    @property
    def regions(self) -> list[Region]:
        """Those that the filter lets through."""
        return self._shown

    def selected_regions(self) -> list[Region]:
        """Of every chosen line, with what is below it, each once."""
        found = {}
        for index in self.view.selectionModel().selectedRows():
            for region in self.table.item(index).regions():
                found[region.name] = region
        return list(found.values())

    def copy(self) -> None:
        """Put the chosen lines on the clipboard, with tabs between cells."""
        rows = sorted(self.view.selectionModel().selectedRows(), key=self._place)
        items = [self.table.item(index) for index in rows]
        columns = range(self.table.columnCount())
        lines = [
            [str(self.table.headerData(c, Qt.Orientation.Horizontal)) for c in columns],
            *([self.table.text(item, column) for column in columns] for item in items),
        ]
        QGuiApplication.clipboard().setText("\n".join("\t".join(line) for line in lines) + "\n")

    def _place(self, index: QModelIndex) -> list[int]:
        places: list[int] = []
        while index.isValid():
            places.insert(0, index.row())
            index = index.parent()
        return places

    # --- layout ---------------------------------------------------------------------------

    def _tree_view(self) -> QTreeView:
        view = QTreeView(self)
        view.setModel(self.table)
        view.setUniformRowHeights(True)
        view.setAlternatingRowColors(True)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setItemDelegate(self.bars)
        view.setSortingEnabled(True)
        view.sortByColumn(DIFFERENCE, Qt.SortOrder.DescendingOrder)
        header = view.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(70)
        for column, width in enumerate((300, 120, 130, 130, 128, 100)):
            view.setColumnWidth(column, width)
        return view

    def _lay_out(self) -> None:
        bar = QHBoxLayout()
        bar.setContentsMargins(8, 6, 8, 6)
        bar.addWidget(self.pair)
        bar.addSpacing(4)
        bar.addWidget(QLabel("by", self))
        bar.addSpacing(4)
        bar.addWidget(self.arrangement)
        bar.addSpacing(8)
        bar.addWidget(self.search, 1)
        bar.addSpacing(8)
        bar.addWidget(self.differs)
        body = self._body = QSplitter(Qt.Orientation.Vertical, self)
        for widget in (self.chart, self.causes, self.view):
            body.addWidget(widget)
        body.setStretchFactor(2, 1)
        body.setChildrenCollapsible(False)
        body.setSizes([152, 60, 400])
        foot = QHBoxLayout()
        foot.setContentsMargins(10, 3, 10, 3)
        foot.addWidget(self.totals, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(body, 1)
        layout.addWidget(self.empty, 1)
        layout.addLayout(foot)

    def _connect(self) -> None:
        self.pair.currentIndexChanged.connect(self._reload)
        self.arrangement.currentIndexChanged.connect(self._narrow)
        self.search.textChanged.connect(self._narrow)
        self.differs.toggled.connect(self._narrow)
        self.chart.regions_chosen.connect(self._on_step_chosen)
        self.view.selectionModel().selectionChanged.connect(self._on_selection_changed)
        copy = QShortcut(QKeySequence(QKeySequence.StandardKey.Copy), self.view)
        copy.setContext(Qt.ShortcutContext.WidgetShortcut)
        copy.activated.connect(self.copy)
        self._model.session_reset.connect(self._on_session_reset)
        self._model.events_applied.connect(self._on_events_applied)
        self._model.operators_changed.connect(self._reload)

    # --- what happens ---------------------------------------------------------------------

    def _on_session_reset(self) -> None:
        session = self._model.session
        self.pair.blockSignals(True)
        self.pair.clear()
        baseline = session.baseline()
        for label in session.labels():
            if label != baseline:
                text = f"{session.name(label)} against {session.name(baseline)}"
                self.pair.addItem(text, (baseline, label))
        # A box with a placeholder chooses none by itself.
        self.pair.setCurrentIndex(0 if self.pair.count() else -1)
        self.pair.setEnabled(self.pair.count() > 0)
        self.pair.blockSignals(False)
        self._reload()

    def _on_events_applied(self) -> None:
        lanes = len(self._model.session.labels())
        if self.pair.count() != max(0, lanes - 1):
            self._on_session_reset()

    def _reload(self) -> None:
        session, chosen = self._model.session, self.pair.currentData()
        self._found = session.explanation(*chosen) if chosen else None
        if chosen is None or self._found is None:
            names, lanes = ("baseline", "candidate"), (0, 1)
        else:
            names = (session.name(chosen[0]), session.name(chosen[1]))
            labels = session.labels()
            lanes = (labels.index(chosen[0]), labels.index(chosen[1]))
        self.bars.lanes = lanes
        self.chart.show_gap(self._found, names, lanes)
        self._show_insights()
        self._narrow()
        self._show_empty()

    def _show_empty(self) -> None:
        """Words in place of a bare chart and table; what costs time may be known all the same."""
        nothing = self._found is None
        self.chart.setVisible(not nothing)
        self.view.setVisible(not nothing)
        self._body.setVisible(not nothing or not self.causes.isHidden())
        self.empty.setVisible(nothing)
        self.empty.setText(self._why_nothing() if nothing else "")

    def _why_nothing(self) -> str:
        session, chosen = self._model.session, self.pair.currentData()
        told = nothing_traced(session, EMPTY)
        if told:
            return told
        if chosen is None:
            return ONE_LANE
        missing = [session.name(one) for one in chosen if session.trace_figures(one) is None]
        return f"{' and '.join(missing)}: no operator was traced, so there is nothing to compare."

    def _show_insights(self) -> None:
        """The most costly ones; the others and what to do stand in the tool tip."""
        session = self._model.session
        found = find_insights(session)
        # Doubts about operator times come first, and take no other's place.
        shown = found[: MOST_INSIGHTS + len(session.trace_doubts())]
        self.insights.setText("\n".join(f"•  {one.sentence}" for one in shown))
        self.insights.setToolTip(
            "\n\n".join(f"{one.sentence}.\n{one.evidence}.\n{one.remedy}" for one in found)
        )
        self.causes.setVisible(bool(found))

    def _narrow(self) -> None:
        """Show what the filter lets through, with the same regions selected."""
        chosen = {region.name for region in self.selected_regions()}
        text = self.search.text().lower()
        found = self._found
        regions = found.regions if found else []
        if found is not None and self.differs.isChecked():
            regions = [r for r in regions if abs(found.share(r)) >= DIFFERS_FROM]
        self._shown = [region for region in regions if not text or _holds(region, text)]
        # Labels, since lanes' whole names are too long for a column.
        labels = (found.baseline, found.candidate) if found else ("baseline", "candidate")
        self._quiet = True
        self.table.show(found, self._shown, labels, self.arrangement.currentText())
        self._quiet = False
        self._open_lines(bool(text))
        self._select(lambda region: region.name in chosen)
        self._show_totals()

    def _open_lines(self, everything: bool) -> None:
        """As deep as can be overseen; all that a search found."""
        depth = self.table.depth(MOST_FOUND if everything else MOST_LINES)
        if depth > 0:
            self.view.expandToDepth(depth - 1)

    def _select(self, wanted: object) -> int:
        assert callable(wanted)
        indexes = self.table.find(wanted)
        selection = QItemSelection()
        for index in indexes:
            selection.select(index, index)
        flags = QItemSelectionModel.SelectionFlag
        self._quiet = True
        self.view.selectionModel().select(selection, flags.ClearAndSelect | flags.Rows)
        self._quiet = False
        if indexes:
            self.view.scrollTo(indexes[0], QAbstractItemView.ScrollHint.PositionAtCenter)
        self._show_totals()
        return len(indexes)

    def _on_step_chosen(self, numbers: tuple[int, ...]) -> None:
        if self._found is None:
            return
        names = {self._found.regions[number].name for number in numbers}
        self.search.clear()
        self._select(lambda region: region.name in names)

    def _on_selection_changed(self) -> None:
        if self._quiet:
            return
        self._show_totals()
        for region in self.selected_regions()[:1]:
            if region.nodes:
                self.node_selected.emit(region.nodes[-1])

    def _show_totals(self) -> None:
        found = self._found
        if found is None:
            self.totals.clear()
            return
        chosen = self.selected_regions()
        regions, what = (chosen, "chosen") if chosen else (self._shown, "shown")
        times = [sum(region.timed_ns[lane] for region in regions) for lane in (0, 1)]
        difference = times[1] - times[0]
        share = difference / found.gap_ns if found.gap_ns else 0.0
        covered = " / ".join(f"{value * 100:.1f} %" for value in found.coverage)
        self.totals.setText(
            f"{len(regions)} region{'s' if len(regions) != 1 else ''} {what}: "
            f"{times[0] / 1e3:,.1f} / {times[1] / 1e3:,.1f} µs, difference "
            f"{difference / 1e3:+,.1f} µs, {share * 100:.0f} % of the gap   ·   in regions of both "
            f"lanes: {covered}"
        )


def _holds(region: Region, text: str) -> bool:
    parts = [region.name, region.signature, *region.nodes]
    parts += [part for rows in region.operators for row in rows for part in (row.name, row.op_type)]
    return any(text in part.lower() for part in parts)
