"""Generated text: figures of each lane, comparisons by metric, latency against position."""

from __future__ import annotations

import math
from html import escape

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QApplication,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.session_model import SessionModel
from profiler.compare import MIN_ROUNDS, counted
from profiler.generation.metrics import METRICS, by_position, comparisons, generation_stats
from profiler.generation.summary import rate, size
from profiler.intervals import ends_text, value_text
from profiler.types import Comparison, Verdict

COLUMNS = (
    ("Lane", ""),
    ("TTFT p50", "ms to the first token, median"),
    ("TTFT p99", "ms to the first token"),
    ("ITL p50", "ms from one token to the next, median"),
    ("ITL p99", "ms from one token to the next"),
    ("prefill/s", "prompt tokens a second"),
    ("decode/s", "new tokens a second, of one generation"),
    ("all/s", "new tokens a second, overlapping requests together"),
    ("cache", "memory of the KV cache at the end of a generation"),
    ("in use", "what of it holds tokens"),
    ("done", "generations that came to an end, of those begun"),
)


class GenerationView(QWidget):
    """Follows the session's verdict, which changes at most twice a second."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.workload = QLabel(self)
        self.workload.setProperty("role", "caption")
        self.table = QTableWidget(0, len(COLUMNS), self)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        for column, (title, tip) in enumerate(COLUMNS):
            item = QTableWidgetItem(title)
            item.setToolTip(tip)
            self.table.setHorizontalHeaderItem(column, item)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.verdicts = QLabel(self)
        self.verdicts.setWordWrap(True)
        self.verdicts.setTextFormat(Qt.TextFormat.RichText)
        self.verdicts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.plot = pg.PlotWidget(self, background=None)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setLabel("left", "ITL, ms")
        self.plot.setLabel("bottom", "new token")
        self.plot.getPlotItem().getAxis("left").enableAutoSIPrefix(False)
        self.plot.getPlotItem().getAxis("bottom").enableAutoSIPrefix(False)
        layout = QVBoxLayout(self)
        layout.addWidget(self.workload)
        layout.addWidget(self.table)
        layout.addWidget(self.verdicts)
        layout.addWidget(self.plot, 1)
        # Keeps the rest at the top while there is no plot.
        layout.addStretch()
        model.session_reset.connect(self.refresh)
        model.verdict_changed.connect(self.refresh)
        self.restyle()

    @property
    def applies(self) -> bool:
        """Whether the session is one of generated text."""
        plan = self._model.session.plan
        return plan is not None and plan.generation is not None

    def restyle(self) -> None:
        """Take on the theme's colours."""
        self.plot.setBackground(QApplication.palette().color(QPalette.ColorRole.Window))
        theme.style_plot(self.plot.getPlotItem())
        self.refresh()

    def refresh(self) -> None:
        """Show the session as it is."""
        plan = self._model.session.plan
        if plan is None or plan.generation is None:
            self.workload.setText("Press Profile (F5): figures of each lane show here.")
            self.table.setRowCount(0)
            self.verdicts.setText("")
            self.plot.clear()
            self.table.hide()
            self.plot.hide()
            return
        self.table.show()
        self.workload.setText(
            f"Prompt of {plan.generation.prompt_tokens} tokens, {plan.generation.new_tokens} new "
            "ones, greedy. Times in ms, rates in tokens. The plot's band holds 80 % of the steps "
            "at that position."
        )
        self._show_figures()
        self._show_comparisons()
        self._show_positions()

    def _show_figures(self) -> None:
        session = self._model.session
        labels = session.labels()
        self.table.setRowCount(len(labels))
        for row, label in enumerate(labels):
            found = generation_stats(session, label)
            texts = [session.name(label)]
            if found is not None:
                times = (found.ttft.p50, found.ttft.p99, found.itl.p50, found.itl.p99)
                texts += [f"{value / 1e6:.4g}" for value in times]
                texts += [
                    rate(found.prefill_tokens_per_s),
                    rate(found.decode_tokens_per_s),
                    rate(found.throughput_tokens_per_s),
                    size(found.cache_bytes),
                    size(found.cache_used_bytes),
                    f"{found.generations} of {found.requests}",
                ]
            for column in range(len(COLUMNS)):
                text = texts[column] if column < len(texts) else "–"
                item = QTableWidgetItem(text)
                if column:
                    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    item.setTextAlignment(right)
                elif found is not None and found.errors:
                    told = [f"{count} failed: {error}" for error, count in found.errors.items()]
                    item.setToolTip("\n".join(told))
                if not column:
                    item.setForeground(theme.lane_colour(row))
                self.table.setItem(row, column, item)
        height = self.table.horizontalHeader().height() + 4
        rows = sum(self.table.rowHeight(row) for row in range(len(labels)))
        self.table.setFixedHeight(height + rows)

    def _show_comparisons(self) -> None:
        session = self._model.session
        lines = [
            f"{escape(name[0].upper() + name[1:])}: {escape(session.name(c.candidate))} against "
            f"{escape(session.name(c.baseline))} <b>{value_text(c.estimate)}×</b> {_bounds(c)}"
            for key, (name, _) in METRICS.items()
            for c in comparisons(session, key)
        ]
        self.verdicts.setText("<br>".join(lines))
        self.verdicts.setVisible(bool(lines))

    def _show_positions(self) -> None:
        session = self._model.session
        self.plot.clear()
        top = 0.0
        for place, label in enumerate(session.labels()):
            rows = by_position(session, label)
            if not rows:
                continue
            colour = theme.lane_colour(place)
            xs = [row[0] for row in rows]
            middle, low, high = ([row[part] / 1e6 for row in rows] for part in (1, 2, 3))
            # A curve without a pen has no path to fill up to.
            unseen = pg.mkPen((0, 0, 0, 0))
            edges = [self.plot.plot(xs, values, pen=unseen) for values in (low, high)]
            faint = pg.mkColor(colour)
            faint.setAlpha(40)
            self.plot.addItem(pg.FillBetweenItem(*edges, brush=pg.mkBrush(faint)))
            self.plot.plot(xs, middle, pen=pg.mkPen(colour, width=1.8))
            # On a busy machine the band stands far above the medians, which are what is compared.
            top = max(top, *(2 * value for value in middle))
        self.plot.setVisible(top > 0)
        if top > 0:
            self.plot.setYRange(0, top, padding=0.02)


def _bounds(comparison: Comparison) -> str:
    if not math.isfinite(comparison.high):
        return f"no interval from {counted(comparison.rounds, 'paired round')}"
    unsure = ""
    if comparison.verdict is Verdict.UNRESOLVED:
        few = comparison.rounds < MIN_ROUNDS
        why = f": only {counted(comparison.rounds, 'paired round')}" if few else ""
        unsure = f" (unresolved{why})"
    return f"[{ends_text(comparison.estimate)}]{unsure}"
