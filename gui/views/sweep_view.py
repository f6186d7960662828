"""The sweep: what it comes to, plots, a table; stop, resume, and each point's own run."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.reasons import NO_MODEL, allow
from gui.sweep_model import SweepModel
from gui.views.menu_button import export_menu, menu_button
from gui.views.sweep_heat import HeatMap, figures
from gui.views.sweep_plots import Series, SweepPlot
from gui.views.sweep_table import SweepTable
from profiler.compare import lane_name
from profiler.sweep.axes import describe, is_number, unit_of
from profiler.sweep.exporters import FORMATS
from profiler.sweep.results import (
    axis_winners,
    comparison,
    crossings,
    findings,
    lane_point,
    lane_points,
    pareto_front,
    slices,
)
from profiler.sweep.state import PointResult, Sweep
from profiler.sweep.table import progress_text

# As the plots' symbols.
MARKS = ("●", "■", "▼", "◆", "⬟", "⬢")
CURVES, FRONT, HEAT = "Curves", "Throughput and p99", "Heat map"
EMPTY = "A sweep measures the model at several values: batch sizes, threads, precisions, callers …"


class SweepView(QWidget):
    """Signals: `point_chosen(index)`, `resume_wanted()`, `stop_wanted()`, `sweep_wanted()`,
    `export_wanted(format)`.
    """

    point_chosen = Signal(int)
    resume_wanted = Signal()
    stop_wanted = Signal()
    sweep_wanted = Signal()
    export_wanted = Signal(str)

    def __init__(self, model: SweepModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._reason, self._running = NO_MODEL, False
        self._old = True
        self.findings = QLabel(self)
        self.findings.setWordWrap(True)
        self.findings.setTextFormat(Qt.TextFormat.PlainText)
        self.findings.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.progress = QLabel(self)
        self.progress.setProperty("role", "caption")
        self.legend = QLabel(self)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.plots = [SweepPlot(title, self) for title in ("Latency, ms", "Samples/s", "Speedup")]
        self.front = SweepPlot("p99 latency, ms; rings: nothing is better in both", self)
        self.heat = HeatMap(self)
        self.table = SweepTable(self)
        self._build()
        for plot in (*self.plots, self.front):
            plot.point_chosen.connect(self.point_chosen)
        self.heat.point_chosen.connect(self.point_chosen)
        self.table.point_chosen.connect(self._on_row_chosen)
        for box in (self.kind, self.along, self.rest, self.figure):
            box.activated.connect(self._draw)
        model.changed.connect(self._on_changed)
        self._on_changed()

    def set_state(self, *, reason: str, running: bool) -> None:
        """Why no sweep could begin, "" where one could; and whether one goes on."""
        self._reason, self._running = reason, running
        self._show_buttons()

    def restyle(self) -> None:
        """Take on the theme's colours."""
        for plot in (*self.plots, self.front):
            plot.restyle()
        self._on_changed()

    def point_text(self, index: int) -> str:
        """`the point batch 4, threads 2`."""
        sweep = self._model.sweep
        found = [point for point in sweep.points() if point.index == index]
        return f"the point {describe(sweep.plan.axes, found[0].values)}" if sweep.plan else ""

    # --- layout ---------------------------------------------------------------------------

    def _build(self) -> None:
        self.begin = QPushButton("Sweep…", self)
        self.begin.clicked.connect(self.sweep_wanted)
        self.halt = QPushButton("Stop", self)
        self.halt.clicked.connect(self.stop_wanted)
        self.resume = QPushButton("Resume", self)
        self.resume.clicked.connect(self.resume_wanted)
        formats = {name: exporter.description for name, exporter in FORMATS.items()}
        menu = export_menu(formats, self.export_wanted.emit, self)
        self.export = menu_button("Export", menu, self)
        self.kind, self.along, self.rest, self.figure = (QComboBox(self) for _ in range(4))
        self.along.setToolTip("The axis to draw along")
        self.rest.setToolTip("Values of the other axes")
        self.figure.setToolTip("What the cells show")
        said = QVBoxLayout()
        said.setSpacing(2)
        said.addWidget(self.findings)
        said.addWidget(self.progress)
        top = QHBoxLayout()
        top.addLayout(said, 1)
        for button in (self.begin, self.halt, self.resume, self.export):
            top.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        tools = QHBoxLayout()
        for box in (self.kind, self.along, self.rest, self.figure):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            tools.addWidget(box)
        tools.addSpacing(8)
        tools.addWidget(self.legend, 1)
        curves = QWidget(self)
        row = QHBoxLayout(curves)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for plot in self.plots:
            row.addWidget(plot, 1)
        self.pages = QStackedWidget(self)
        for page in (curves, self.front, self.heat):
            self.pages.addWidget(page)
        self.body = QSplitter(Qt.Orientation.Vertical, self)
        self.body.addWidget(self.pages)
        self.body.addWidget(self.table)
        self.body.setStretchFactor(0, 3)
        self.body.setStretchFactor(1, 2)
        self.body.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 0)
        layout.addLayout(top)
        layout.addLayout(tools)
        layout.addWidget(self.body, 1)
        # Keeps the text at the top while there is no sweep.
        layout.addStretch()

    def _show_buttons(self) -> None:
        sweep = self._model.sweep
        known = sweep.plan is not None
        self.begin.setVisible(not self._running)
        allow(self.begin, self._reason, "Choose what to vary (F7)")
        if not known:
            self.findings.setText(f"{EMPTY} {self._reason}." if self._reason else EMPTY)
        self.halt.setVisible(self._running)
        allow(self.resume, self._reason, "Measure the points that are left")
        self.resume.setVisible(known and not self._running and bool(sweep.unfinished()))
        self.export.setVisible(known)
        self.body.setVisible(known)
        for widget in (self.kind, self.legend, self.progress):
            widget.setVisible(known)

    # --- what is shown --------------------------------------------------------------------

    def _on_changed(self) -> None:
        self._old = True
        self._show_buttons()
        if self.isVisible():
            self._refresh()

    def _refresh(self) -> None:
        self._old = False
        sweep = self._model.sweep
        self._show_buttons()
        if sweep.plan is None:
            for box in (self.along, self.rest, self.figure):
                box.hide()
            return
        self.findings.setText(" ".join(findings(sweep)) or "The first point is on its way.")
        text = progress_text(sweep)
        if sweep.current is not None and self._running:
            text += f"; now {self.point_text(sweep.current).removeprefix('the point ')}"
        self.progress.setText(text)
        self.legend.setText(self._legend(sweep))
        self._fill_boxes(sweep)
        self.table.show_sweep(sweep)
        self._draw()

    def _unit(self) -> str:
        """`Samples/s`, or `Tokens/s`."""
        plan = self._model.sweep.plan
        return unit_of(plan.plan).capitalize() if plan else ""

    def _legend(self, sweep: Sweep) -> str:
        assert sweep.plan is not None
        parts = []
        for number, spec in enumerate(sweep.plan.plan.engines):
            colour, mark = theme.lane_colour(number).name(), MARKS[number % len(MARKS)]
            name = lane_name(spec).replace("<", "&lt;")
            parts.append(f'<span style="color:{colour}">{mark}</span> {name}')
        return "&nbsp;&nbsp; ".join(parts)

    def _fill_boxes(self, sweep: Sweep) -> None:
        assert sweep.plan is not None
        axes = sweep.plan.axes
        _fill(self.kind, [CURVES, FRONT, *([HEAT] if len(axes) > 1 else [])])
        _fill(self.along, [f"along {axis.name}" for axis in axes])
        _fill(self.figure, [figure.text for figure in figures(sweep)])

    def _draw(self) -> None:
        sweep = self._model.sweep
        if sweep.plan is None:
            return
        kind = self.kind.currentText()
        several = len(sweep.plan.axes) > 1
        self.pages.setCurrentIndex([CURVES, FRONT, HEAT].index(kind))
        self.along.setVisible(several and kind == CURVES)
        self.figure.setVisible(kind == HEAT)
        axis = max(0, self.along.currentIndex())
        found = slices(sweep, axis)
        rest = [a for number, a in enumerate(sweep.plan.axes) if number != axis]
        _fill(self.rest, [f"at {describe(rest, others)}" for others in found if others])
        self.rest.setVisible(several and kind == CURVES and bool(found))
        if kind == FRONT:
            self._draw_front(sweep)
        elif kind == HEAT:
            self.heat.show_figure(sweep, figures(sweep)[max(0, self.figure.currentIndex())])
        else:
            chosen = list(found.values())[max(0, self.rest.currentIndex())] if found else []
            self._draw_curves(sweep, axis, chosen)

    def _draw_curves(self, sweep: Sweep, axis: int, results: list[PointResult]) -> None:
        assert sweep.plan is not None
        chosen, labels = sweep.plan.axes[axis], sweep.labels()
        baseline = sweep.plan.plan.baseline
        latencies, rates, speedups = [], [], []
        for lane, label in enumerate(labels):
            points = [p for r in results if (p := lane_point(r, label)) is not None]
            indexes, values = [p.index for p in points], [p.values[axis] for p in points]
            scaled = [p.latency_ns.scaled(1e-6) for p in points]
            latencies.append(Series(lane, indexes, values, scaled))
            rates.append(Series(lane, indexes, values, [p.throughput for p in points]))
            pairs = [(r, c) for r in results if (c := comparison(r, baseline, label)) is not None]
            speedups.append(
                Series(
                    lane,
                    [r.point.index for r, _ in pairs],
                    [r.point.values[axis] for r, _ in pairs],
                    [c.estimate for _, c in pairs],
                )
            )
        name = lane_name(next(s for s in sweep.plan.plan.engines if s.label == baseline))
        self.plots[1].set_title(self._unit())
        self.plots[2].set_title(f"Speedup over {name}")
        for plot, series, level in (
            (self.plots[0], latencies, None),
            (self.plots[1], rates, None),
            (self.plots[2], speedups, 1.0),
        ):
            plot.draw_series(chosen.name, chosen.values, [s for s in series if s.indexes], level)
        if is_number(chosen.values):
            for crossing in crossings(chosen, axis_winners(results, axis)):
                self.plots[2].mark(chosen.values, crossing.last, crossing.first)
        self.plots[2].setVisible(len(labels) > 1)

    def _draw_front(self, sweep: Sweep) -> None:
        found, labels = lane_points(sweep), sweep.labels()
        best = {(p.label, p.index) for p in pareto_front(found)}
        self.front.draw_front(
            self._unit(),
            [
                (
                    labels.index(p.label),
                    p.index,
                    p.throughput.value,
                    p.stats.p99_ns / 1e6,
                    (p.label, p.index) in best,
                )
                for p in found
            ],
        )

    def _on_row_chosen(self, index: int) -> None:
        result = self._model.sweep.results.get(index)
        if result is not None and result.session.plan is not None:
            self.point_chosen.emit(index)

    # Qt overrides

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._old:
            self._refresh()


def _fill(box: QComboBox, texts: list[str]) -> None:
    """Other choices; the one that was chosen stays where it still is."""
    before = [box.itemText(number) for number in range(box.count())]
    if before == texts:
        return
    chosen = box.currentText()
    box.clear()
    box.addItems(texts)
    box.setCurrentIndex(max(0, box.findText(chosen)))
