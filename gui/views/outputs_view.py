"""How far each lane's outputs are from the baseline's."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
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

from gui.reasons import NO_SESSION, RUNNING, allow
from gui.session_model import SessionModel
from gui.views.depth_plot import DepthPlot
from profiler.divergence import MEASURES, sentence
from profiler.types import (
    CutPoint,
    Event,
    OpTimings,
    OutputDifference,
    OutputsCompared,
    RunStarted,
    ValuesCompared,
)

NOT_LOOKED = (
    "Where outputs differ past tolerance, a run looks inside of the model for the first layer that "
    "does."
)
LOOK_TIP = "Compare the values inside of the model, layer by layer. Nothing is timed."

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
    """One row an output and candidate lane; below, the error along the model's depth.

    Signals: `locate_wanted(label)` to look for the first layer that differs, and
    `node_selected(value name)` when a person chooses a point.
    """

    locate_wanted = Signal(str)
    node_selected = Signal(str)

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
        self.table.setWordWrap(False)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.parts = QSplitter(Qt.Orientation.Vertical, self)
        self.parts.addWidget(self.table)
        self.parts.addWidget(self._depth_part())
        self.parts.setSizes([150, 260])
        self.parts.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._caption)
        layout.addWidget(self.parts, 1)
        self._busy = False
        model.session_reset.connect(self._reload)
        model.events_applied.connect(self._on_events_applied)
        self._reload()

    def _depth_part(self) -> QWidget:
        part = QWidget(self)
        self.lane_box = QComboBox(part)
        self.lane_box.setToolTip("The lane that is compared with the baseline")
        self.measure_box = QComboBox(part)
        self.measure_box.addItems(list(MEASURES))
        self.measure_box.setToolTip("What is drawn")
        self.locate_button = QPushButton("Find first difference", part)
        self.finding = QLabel(part)
        self.finding.setWordWrap(True)
        self.finding.setTextFormat(Qt.TextFormat.PlainText)
        self.finding.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.plot = DepthPlot(part)
        bar = QHBoxLayout()
        bar.setContentsMargins(10, 6, 10, 6)
        bar.setSpacing(10)
        bar.addWidget(self.finding, 1)
        bar.addWidget(self.lane_box)
        bar.addWidget(self.measure_box)
        bar.addWidget(self.locate_button)
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self.plot, 100)
        layout.addStretch(1)
        self.lane_box.currentIndexChanged.connect(self._show_depth)
        self.measure_box.currentIndexChanged.connect(self._show_depth)
        self.locate_button.clicked.connect(
            lambda: self.locate_wanted.emit(self.lane_box.currentData() or "")
        )
        self.plot.point_chosen.connect(self._on_point_chosen)
        return part

    def set_busy(self, busy: bool) -> None:
        """While a run goes on, none can be started from here."""
        self._busy = busy
        self._show_depth()

    def _offer_lanes(self) -> None:
        session = self._model.session
        labels = [label for label in session.labels() if label != session.baseline()]
        before = self.lane_box.currentData()
        self.lane_box.blockSignals(True)
        self.lane_box.clear()
        for label in labels:
            self.lane_box.addItem(session.name(label), label)
        self.lane_box.setCurrentIndex(max(0, self.lane_box.findData(before)))
        self.lane_box.setVisible(len(labels) > 1)
        self.lane_box.blockSignals(False)

    def _show_depth(self) -> None:
        session, candidate = self._model.session, self.lane_box.currentData()
        pair = (session.baseline(), candidate or "")
        found = session.values.get(pair)
        reason = RUNNING if self._busy else self._unable(pair)
        allow(self.locate_button, reason, LOOK_TIP)
        outputs = next((o for o in session.outputs if o.candidate == candidate), None)
        bound = outputs.rtol + outputs.atol if outputs else None
        has_points = found is not None and bool(found.points)
        self.plot.show_values(found, self.measure_box.currentText(), bound)
        self.plot.setVisible(has_points)
        self.measure_box.setVisible(has_points)
        able = "You can look in any case" if not reason else f"You can't look now: {reason}"
        self.finding.setText(f"{sentence(found)}." if found else f"{NOT_LOOKED} {able}.")

    def _unable(self, pair: tuple[str, str]) -> str:
        """Why the values of these two lanes can't be compared; "" where they can."""
        session = self._model.session
        if session.plan is None:
            return NO_SESSION
        if session.plan.generation is not None:
            return "the lanes generate text, and layers are told apart in single calls only"
        if not all(pair):
            return "there is one lane"
        names = [session.name(label) for label in pair if not session.traces.get(label)]
        verb = "was" if len(names) == 1 else "were"
        return f"{' and '.join(names)} {verb} not traced" if names else ""

    def _on_point_chosen(self, point: CutPoint) -> None:
        if point.nodes:
            self.node_selected.emit(point.nodes[-1])

    def _on_events_applied(self, events: list[Event]) -> None:
        if any(
            isinstance(event, OutputsCompared | ValuesCompared | OpTimings | RunStarted)
            for event in events
        ):
            self._reload()

    def _reload(self) -> None:
        session = self._model.session
        rows = [(found, d) for found in session.outputs for d in found.differences]
        alike = len({difference.note for _, difference in rows}) == 1
        self.table.setRowCount(len(rows))
        for number, (found, difference) in enumerate(rows):
            texts = _texts(difference, session.name(found.candidate))
            if alike and difference.note.startswith("tolerance"):
                # The caption says it of all.
                texts = (*texts[:-1], "")
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if 2 <= column <= 6:
                    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    item.setTextAlignment(right)
                self.table.setItem(number, column, item)
        self._caption.setText(self._caption_text())
        self._offer_lanes()
        self._show_depth()

    def _caption_text(self) -> str:
        outputs = self._model.session.outputs
        if not outputs:
            return "Outputs are compared after warm-up, on the inputs that are measured."
        name = self._model.session.name(outputs[0].baseline)
        notes = {d.note for found in outputs for d in found.differences}
        if len(notes) > 1:
            bounds = "|difference| ≤ a × RMS of the output + r × |value|, with each row's bounds"
        else:
            rtol, atol = outputs[0].rtol, outputs[0].atol
            bounds = f"|difference| ≤ {atol:g} × RMS of the output + {rtol:g} × |value|"
        return f"Against {name}, same inputs. Tolerance: {bounds}."


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
