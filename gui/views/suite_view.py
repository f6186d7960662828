"""The suite: what will run, the table as models finish, and the verdict on each claim."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.reasons import allow
from gui.suite_model import SuiteModel
from gui.views.keyboard import on_chosen
from gui.views.menu_button import export_menu, menu_button
from profiler.console import progress_text
from profiler.suite.catalogue import CATALOGUE
from profiler.suite.planning import BUDGET_S, QUICK_BUDGET_S
from profiler.suite.records import ClaimVerdict
from profiler.suite.table import COLUMNS, FORMATS, NONE, cells, notes
from profiler.sweep.table import duration_text
from profiler.types import Progress

CLAIM_COLUMNS = ("The article's claim", "Verdict", "Figures of this machine")
COLOURS = {
    ClaimVerdict.CONFIRMED: theme.GOOD,
    ClaimVerdict.REFUTED: theme.BAD,
    ClaimVerdict.UNRESOLVED: theme.OPEN,
}
SESSION_TIP = "Show the chosen row's run, operator by operator"
EARLIER_TIP = "Show a suite that was run earlier, here or by dualscope suite"
SESSION_ROLE = Qt.ItemDataRole.UserRole
ROW_HEIGHT = 24
WORKLOAD_WIDTH, CLAIM_WIDTH, CLAIM_PADDING = 200, 260, 8


class SuiteView(QWidget):
    """Signals: `start_wanted(quick)`, `stop_wanted()`, `resume_wanted()`, `open_wanted()`,
    `session_wanted(name)`, `export_wanted(format)`.
    """

    start_wanted = Signal(bool)
    stop_wanted = Signal()
    resume_wanted = Signal()
    open_wanted = Signal()
    session_wanted = Signal(str)
    export_wanted = Signal(str)

    def __init__(self, model: SuiteModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._running, self._reason = False, ""
        # Once columns have their widths.
        self._fit = QTimer(self)
        self._fit.setSingleShot(True)
        self._fit.timeout.connect(self._fit_claims)
        self.told = QLabel(self)
        self.told.setWordWrap(True)
        self.told.setTextFormat(Qt.TextFormat.PlainText)
        self.progress = QLabel(self)
        self.progress.setProperty("role", "caption")
        self.progress.setWordWrap(True)
        self.progress.setTextFormat(Qt.TextFormat.PlainText)
        self.quick = QCheckBox("Quick", self)
        self.quick.setToolTip(f"Without torch.compile, {duration_text(QUICK_BUDGET_S)}")
        self.table = _table(self, COLUMNS)
        self.claims = _table(self, CLAIM_COLUMNS)
        self._build()
        self._set_up_tables()
        self.quick.toggled.connect(self.refresh)
        model.changed.connect(self.refresh)
        model.progressed.connect(self._on_progressed)
        self.refresh()

    def set_state(self, *, reason: str, running: bool) -> None:
        """Why no suite could begin, "" where one could; and whether one goes on."""
        self._reason, self._running = reason, running
        self._show_buttons()
        if not running:
            self.progress.setText("")

    def refresh(self) -> None:
        """Show the suite as it is now."""
        suite = self._model.suite
        known = suite.plan is not None
        self.told.setText(". ".join(notes(suite)) if known else self._offer())
        self._fill_table()
        self._fill_claims()
        self._show_buttons()
        self.body.setVisible(known)
        self.space.setVisible(not known)

    # --- layout ---------------------------------------------------------------------------

    def _build(self) -> None:
        self.begin = QPushButton("Run the Suite", self)
        self.begin.clicked.connect(lambda: self.start_wanted.emit(self.quick.isChecked()))
        self.halt = QPushButton("Stop", self)
        self.halt.clicked.connect(self.stop_wanted)
        self.resume = QPushButton("Resume", self)
        self.resume.clicked.connect(self.resume_wanted)
        self.session = QPushButton("Open Session", self)
        self.session.clicked.connect(self._want_session)
        self.earlier = QPushButton("Open Suite…", self)
        self.earlier.clicked.connect(self.open_wanted)
        formats = {name: exporter.description for name, exporter in FORMATS.items()}
        menu = export_menu(formats, self.export_wanted.emit, self)
        self.export = menu_button("Export", menu, self)
        buttons = QHBoxLayout()
        buttons.addWidget(self.begin)
        buttons.addWidget(self.quick)
        for button in (self.halt, self.resume, self.session, self.export):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self.earlier)
        self.body = QSplitter(Qt.Orientation.Vertical, self)
        self.body.addWidget(self.table)
        self.body.addWidget(self.claims)
        self.body.setStretchFactor(0, 1)
        self.body.setStretchFactor(1, 1)
        self.body.setChildrenCollapsible(False)
        self.space = QWidget(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 0)
        layout.addWidget(self.told)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.body, 1)
        layout.addWidget(self.space, 1)

    def _set_up_tables(self) -> None:
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        # The tool tip has it whole.
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Interactive)
        header.resizeSection(1, WORKLOAD_WIDTH)
        self.table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.table.setToolTip("Double-click a row, or press Enter, to open its session")
        on_chosen(self.table, lambda _: self._want_session())
        self.table.itemSelectionChanged.connect(self._show_buttons)
        header = self.claims.horizontalHeader()
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.resizeSection(0, CLAIM_WIDTH)
        header.setStretchLastSection(True)
        self.claims.setWordWrap(True)
        header.sectionResized.connect(lambda *_: self._fit.start())

    # --- what is shown --------------------------------------------------------------------

    def _offer(self) -> str:
        """What would run, and how long."""
        titles = ", ".join(model.title for model in CATALOGUE)
        budget_s = QUICK_BUDGET_S if self.quick.isChecked() else BUDGET_S
        lanes = "ONNX Runtime and PyTorch eager"
        if not self.quick.isChecked():
            lanes = "ONNX Runtime, PyTorch eager and torch.compile"
        return (
            f"The suite measures {titles} with random weights on {lanes}, and judges what an "
            "article claims of the two engines by what this machine shows. It takes up "
            f"to {duration_text(budget_s)} on two cores, and may be stopped and resumed."
        )

    def _fill_table(self) -> None:
        suite = self._model.suite
        found = [
            (cells(row, lane), suite.results[row.model].session)
            for row in suite.rows()
            for lane in row.lanes
        ]
        for entry in suite.entries():
            result, current = suite.results.get(entry.key), suite.current
            if result is None or not result.rows:
                going_on = current is not None and current.key == entry.key
                state = result.reason or result.state.value if result else "not yet measured"
                told = "being measured" if going_on and self._running else state
                found.append(((entry.model.title, entry.model.workload, *[NONE] * 3, told), ""))
        self.table.setRowCount(len(found))
        before = ("", "")
        for number, (texts, session) in enumerate(found):
            repeated = number > 0 and texts[:2] == before
            before = (texts[0], texts[1])
            for column, text in enumerate(texts):
                item = QTableWidgetItem("" if repeated and column < 2 else text)
                item.setToolTip(text)
                item.setData(SESSION_ROLE, session)
                if column in (3, 4):
                    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    item.setTextAlignment(right)
                if not session:
                    item.setForeground(theme.soft_text())
                self.table.setItem(number, column, item)

    def _fill_claims(self) -> None:
        found = self._model.suite.claims()
        self.claims.setRowCount(len(found))
        for number, claim in enumerate(found):
            texts = (claim.text, claim.verdict.value, claim.figures)
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                top = Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft
                item.setTextAlignment(top)
                if column == 1:
                    item.setForeground(QColor(COLOURS[claim.verdict]))
                    font = item.font()
                    font.setBold(True)
                    item.setFont(font)
                self.claims.setItem(number, column, item)
        self._fit.start()

    def _fit_claims(self) -> None:
        """Rows as high as their text, with some room."""
        self.claims.resizeRowsToContents()
        for number in range(self.claims.rowCount()):
            self.claims.setRowHeight(number, self.claims.rowHeight(number) + CLAIM_PADDING)

    def _show_buttons(self) -> None:
        suite = self._model.suite
        known = suite.plan is not None
        self.begin.setVisible(not self._running)
        self.quick.setVisible(not self._running)
        allow(self.begin, self._reason)
        self.halt.setVisible(self._running)
        self.resume.setVisible(known and not self._running and bool(suite.unfinished()))
        allow(self.resume, self._reason, "Measure the models that are left")
        self.session.setVisible(known)
        unchosen = "" if self._chosen() else "Choose a row with a session"
        allow(self.session, self._reason or unchosen, SESSION_TIP)
        self.export.setVisible(known)
        allow(self.earlier, self._reason, EARLIER_TIP)
        self.progress.setVisible(self._running)

    def _chosen(self) -> str:
        """The file of the chosen row's session."""
        items = self.table.selectedItems()
        return str(items[0].data(SESSION_ROLE)) if items else ""

    def _want_session(self) -> None:
        name = self._chosen()
        if name and not self._reason:
            self.session_wanted.emit(name)

    def _on_progressed(self, event: Progress) -> None:
        suite = self._model.suite
        place = ""
        if suite.current is not None:
            keys = [entry.key for entry in suite.entries()]
            number = keys.index(suite.current.key)
            place = f"{number + 1} of {len(keys)}, {suite.entries()[number].model.title}: "
        self.progress.setText(f"{place}{progress_text(event)}")

    # Qt overrides

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        # In a narrow window figures get the room of what their tool tips have whole.
        width = self.claims.viewport().width()
        self.claims.horizontalHeader().resizeSection(0, min(CLAIM_WIDTH, width * 3 // 10))
        self.table.horizontalHeader().resizeSection(1, min(WORKLOAD_WIDTH, width // 4))
        self._fit.start()


def _table(parent: QWidget, columns: tuple[str, ...]) -> QTableWidget:
    table = QTableWidget(0, len(columns), parent)
    titles = [name if name.startswith("p50") else name[0].upper() + name[1:] for name in columns]
    table.setHorizontalHeaderLabels(titles)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setShowGrid(False)
    # A claim may be taller than the view.
    table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.verticalHeader().hide()
    return table
