"""What is varied in a sweep, at which values, and how long each point may take."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.reasons import allow
from profiler.compare import counted
from profiler.errors import ProfilerError
from profiler.plan import with_time_limit
from profiler.sweep.axes import axes_of, parse_axis
from profiler.sweep.points import check_sweep, points
from profiler.sweep.table import duration_text
from profiler.types import RunPlan, SweepPlan

POINT_LIMIT_S = 20.0
MOST_AXES = 3
FULL = f"A sweep has {MOST_AXES} axes at most"
# Loading, warm-up, outputs, traces: what a point takes beside its timed rounds, a lane.
START_S = 4.0


class SweepDialog(QDialog):
    """A form over a run plan; `sweep()` after it was accepted."""

    def __init__(self, plan: RunPlan, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._plan = plan
        self._known = {info.name: info for info in axes_of(plan)}
        self.setWindowTitle("Sweep")
        self.setMinimumWidth(520)
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        self.rows: list[tuple[QComboBox, QLineEdit]] = []
        self.add = QPushButton("Add an axis", self)
        self.add.clicked.connect(self._on_add)
        self.limit = QDoubleSpinBox(self)
        self.limit.setRange(0.5, 3600.0)
        self.limit.setDecimals(1)
        self.limit.setSuffix(" s")
        self.limit.setValue(POINT_LIMIT_S)
        self.limit.valueChanged.connect(self._check)
        form = QFormLayout()
        form.addRow("Time limit of a point", self.limit)
        self.estimate = QLabel(self)
        self.estimate.setWordWrap(True)
        self.estimate.setTextFormat(Qt.TextFormat.PlainText)
        self.problem = QLabel(self)
        self.problem.setProperty("role", "problem")
        self.problem.setWordWrap(True)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.start = self.buttons.addButton("Sweep", QDialogButtonBox.ButtonRole.AcceptRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        help_text = QLabel("Values: 1,2,4 or a range: 1..8, 64..512+64, 1..64x2", self)
        help_text.setProperty("role", "caption")
        layout = QVBoxLayout(self)
        layout.addLayout(self._grid)
        layout.addWidget(self.add, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(help_text)
        layout.addLayout(form)
        layout.addWidget(self.estimate)
        layout.addWidget(self.problem)
        layout.addWidget(self.buttons)
        self.add_axis()

    def add_axis(self, name: str = "", values: str = "") -> None:
        """Another row; without a name the first axis that isn't there yet."""
        taken = {box.currentText() for box, _ in self.rows}
        box, line = QComboBox(self), QLineEdit(self)
        for info in self._known.values():
            box.addItem(info.name)
            box.setItemData(box.count() - 1, info.help, Qt.ItemDataRole.ToolTipRole)
        free = [info for info in self._known if info not in taken]
        box.setCurrentText(name or free[0])
        box.setAccessibleName("Axis")
        line.setAccessibleName("Values")
        line.setText(values or self._proposed(box.currentText()))
        box.setToolTip(self._known[box.currentText()].help)
        remove = QToolButton(self)
        remove.setText("−")
        remove.setToolTip("Remove this axis")
        remove.setAutoRaise(True)
        row = (box, line)
        self.rows.append(row)
        number = self._grid.rowCount()
        for column, widget in enumerate((box, line, remove)):
            self._grid.addWidget(widget, number, column)
        box.currentTextChanged.connect(lambda text: self._on_axis_changed(row, text))
        line.textChanged.connect(self._check)
        remove.clicked.connect(lambda: self._remove(row, remove))
        self._check()

    def _on_add(self) -> None:
        self.add_axis()

    def sweep(self) -> SweepPlan:
        """Raises ProfilerError for values that don't fit."""
        plan = with_time_limit(self._plan, self.limit.value())
        texts = [f"{box.currentText()}={line.text()}" for box, line in self.rows]
        axes = tuple(parse_axis(text, plan) for text in texts)
        sweep = SweepPlan(plan=plan, axes=axes, seed=plan.seed)
        check_sweep(sweep)
        return sweep

    def _proposed(self, name: str) -> str:
        return ",".join(self._known[name].proposed)

    def _on_axis_changed(self, row: tuple[QComboBox, QLineEdit], name: str) -> None:
        row[0].setToolTip(self._known[name].help)
        row[1].setText(self._proposed(name))
        self._check()

    def _remove(self, row: tuple[QComboBox, QLineEdit], button: QToolButton) -> None:
        self.rows.remove(row)
        for widget in (*row, button):
            self._grid.removeWidget(widget)
            widget.deleteLater()
        self._check()

    def _check(self) -> None:
        """Say what is wrong, or how long it will take."""
        allow(self.add, "" if len(self.rows) < MOST_AXES else FULL)
        problem = ""
        try:
            count = len(points(self.sweep().axes))
            lanes = len(self._plan.engines)
            most = duration_text(count * (self.limit.value() + START_S * lanes))
            self.estimate.setText(
                f"{counted(count, 'point')} in random order, each a run of "
                f"{counted(lanes, 'lane')}: about {most} at most, more where models take long to "
                "load, convert or compile. You can stop and resume it."
            )
        except ProfilerError as error:
            problem = str(error)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.estimate.setVisible(not problem)
        self.start.setEnabled(not problem)
