"""Plots of a sweep: curves with their intervals, the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import (
    QApplication,
    QWidget,
)

from gui import theme
from profiler.sweep.axes import is_number
from profiler.types import Estimate

# Told apart without colour, too.
SYMBOLS = ("o", "s", "t", "d", "p", "h")


@dataclass(frozen=True)
class Series:
    """One lane's line: the point's index, x (a value's text) and y with its interval."""

    lane: int
    indexes: list[int]
    values: list[str]
    ys: list[Estimate]


class SweepPlot(pg.PlotWidget):  # type: ignore[misc]
    """One plot in the window's colours. Signal `point_chosen(index)` of a click."""

    point_chosen = Signal(int)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None)
        self._title = title
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.setMinimumSize(180, 140)
        item = self.getPlotItem()
        item.getAxis("left").enableAutoSIPrefix(False)
        item.getAxis("bottom").enableAutoSIPrefix(False)
        item.getAxis("left").setWidth(52)
        item.setClipToView(False)
        self.restyle()

    def restyle(self) -> None:
        """Take on the theme's colours."""
        self.setBackground(QApplication.palette().color(QPalette.ColorRole.Window))
        item = self.getPlotItem()
        theme.style_plot(item)
        item.setTitle(self._title, color=theme.soft_text().name(), size="9pt")

    def set_title(self, title: str) -> None:
        self._title = title
        self.restyle()

    def draw_series(
        self, axis: str, values: Sequence[str], series: Sequence[Series], level: float | None = None
    ) -> None:
        """Lines over an axis with these values; `level` is a line across."""
        self.clear()
        self.setLabel("bottom", axis, color=theme.soft_text().name())
        place = _places(values)
        ticks = [(place[value], value) for value in values]
        self.getPlotItem().getAxis("bottom").setTicks([_thinned(ticks)])
        if level is not None:
            pen = pg.mkPen(theme.soft_text(), style=Qt.PenStyle.DashLine)
            self.addItem(pg.InfiniteLine(level, angle=0, pen=pen))
        for found in series:
            self._draw_one(found, place)
        self._fit([place[v] for v in values], [y for s in series for y in s.ys], level)

    def mark(self, values: Sequence[str], first: str, last: str) -> None:
        """Shade the part of the axis in which the fastest lane changes."""
        place = _places(values)
        colour = _faint(theme.soft_text())
        region = pg.LinearRegionItem(
            (place[first], place[last]), movable=False, brush=colour, pen=pg.mkPen(None)
        )
        region.setZValue(-10)
        region.setToolTip(f"The fastest lane changes between {first} and {last}")
        self.addItem(region)

    def _draw_one(self, series: Series, place: dict[str, float]) -> None:
        colour = theme.lane_colour(series.lane)
        xs = [place[value] for value in series.values]
        sure = [(x, y) for x, y in zip(xs, series.ys, strict=True) if y.known]
        if len(sure) > 1:
            at = [x for x, _ in sure]
            low = pg.PlotCurveItem(at, [y.low for _, y in sure], pen=pg.mkPen(None))
            high = pg.PlotCurveItem(at, [y.high for _, y in sure], pen=pg.mkPen(None))
            self.addItem(low)
            self.addItem(high)
            self.addItem(pg.FillBetweenItem(low, high, brush=_faint(colour)))
        for x, y in sure:
            self.plot([x, x], [y.low, y.high], pen=pg.mkPen(colour, width=1))
        curve = self.plot(
            xs,
            [y.value for y in series.ys],
            pen=pg.mkPen(colour, width=1.8),
            symbol=SYMBOLS[series.lane % len(SYMBOLS)],
            symbolSize=8,
            symbolPen=None,
            symbolBrush=colour,
            data=series.indexes,
        )
        curve.sigPointsClicked.connect(self._on_clicked)

    def draw_front(self, unit: str, found: Sequence[tuple[int, int, float, float, bool]]) -> None:
        """(lane, index, throughput, p99 ms, on the front): the front as a line through rings."""
        self.clear()
        self.setLabel("bottom", unit, color=theme.soft_text().name())
        self.getPlotItem().getAxis("bottom").setTicks(None)
        front = sorted((x, y) for _, _, x, y, best in found if best)
        pen = pg.mkPen(theme.soft_text(), style=Qt.PenStyle.DashLine)
        self.plot([x for x, _ in front], [y for _, y in front], pen=pen)
        for lane in sorted({lane for lane, *_ in found}):
            own = [point for point in found if point[0] == lane]
            rings = [
                pg.mkPen(self.palette().text().color(), width=1.6) if best else pg.mkPen(None)
                for *_, best in own
            ]
            dots = pg.ScatterPlotItem(
                [p[2] for p in own],
                [p[3] for p in own],
                data=[p[1] for p in own],
                symbol=SYMBOLS[lane % len(SYMBOLS)],
                size=11,
                brush=pg.mkBrush(theme.lane_colour(lane)),
                pen=rings,
            )
            dots.sigClicked.connect(self._on_clicked)
            self.addItem(dots)
        if found:
            self.setXRange(0, max(x for _, _, x, _, _ in found) * 1.05, padding=0.02)
            self.setYRange(0, max(y for *_, y, _ in found) * 1.05, padding=0.02)

    def _fit(self, xs: Sequence[float], ys: Sequence[Estimate], level: float | None) -> None:
        if not ys:
            return
        tops = [y.high if y.known else y.value for y in ys]
        # One wide interval must not flatten all lines.
        top = min(max(tops), 2.0 * max(y.value for y in ys))
        self.setYRange(0, max(top, level or 0.0) * 1.05, padding=0)
        self.setXRange(min(xs), max(xs), padding=0.08)

    def _on_clicked(self, _: object, spots: Sequence[object], *__: object) -> None:
        for spot in spots:
            data = getattr(spot, "data", lambda: None)()
            if data is not None:
                self.point_chosen.emit(int(data))
                return


def _places(values: Sequence[str]) -> dict[str, float]:
    """Where each value stands: by size, by its logarithm where sizes are far apart, or in order."""
    if not is_number(values) or len(values) < 2:
        return {value: float(number) for number, value in enumerate(values)}
    sizes = [float(value) for value in values]
    if min(sizes) > 0 and max(sizes) / min(sizes) >= 8:
        return {value: math.log2(float(value)) for value in values}
    return {value: float(value) for value in values}


def _thinned(ticks: Sequence[tuple[float, str]], most: int = 9) -> list[tuple[float, str]]:
    step = max(1, math.ceil(len(ticks) / most))
    return list(ticks)[::step]


def _faint(colour: QColor) -> QColor:
    found = QColor(colour)
    found.setAlpha(50)
    return found
