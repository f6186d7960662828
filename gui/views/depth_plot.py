"""Error along a model's depth: one point for each value that two lanes have in common."""

from __future__ import annotations

import math
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from gui import theme
from profiler.divergence import MEASURES, differs, locate
from profiler.types import CutPoint, ValuesCompared

POINT, FIRST_POINT = 8, 15
# What is exactly equal has no place on a logarithmic axis: it stands at its lower end.
FLOOR = 1e-9


class DepthPlot(pg.PlotWidget):  # type: ignore[misc]
    """Signal `point_chosen(CutPoint)` when a person clicks on a point."""

    point_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=None)
        self._found: ValuesCompared | None = None
        self._measure = next(iter(MEASURES))
        self._bound: float | None = None
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMinimumHeight(120)
        item = self.getPlotItem()
        item.setLogMode(x=False, y=True)
        item.showGrid(y=True, alpha=0.25)
        for name in ("left", "bottom"):
            item.getAxis(name).enableAutoSIPrefix(False)
        item.getAxis("left").setWidth(64)
        self.setLabel("bottom", "depth (regions in order of execution)")
        self.points = pg.ScatterPlotItem(hoverable=True, tip=_tip)
        self.points.sigClicked.connect(self._on_clicked)
        self._line = pg.PlotDataItem()
        self._mark = pg.InfiniteLine(angle=90)
        self._tolerance = pg.InfiniteLine(angle=0)
        for part in (self._tolerance, self._mark, self._line, self.points):
            item.addItem(part)
        self.restyle()

    def show_values(
        self, found: ValuesCompared | None, measure: str, bound: float | None = None
    ) -> None:
        """Draw the points by one of `MEASURES`; `bound` is the tolerance of the relative error."""
        self._found, self._measure, self._bound = found, measure, bound
        self.restyle()

    def restyle(self) -> None:
        """Draw again, in the theme's colours."""
        # A plot without a ground of its own keeps the picture of the theme before.
        self.setBackground(QApplication.palette().color(QPalette.ColorRole.Window))
        theme.style_plot(self.getPlotItem())
        self.setLabel("left", self._measure)
        found = self._found
        value = MEASURES[self._measure]
        points = found.points if found else ()
        placed = [(i, p, value(p)) for i, p in enumerate(points) if p.difference is not None]
        finite = [v for _, _, v in placed if v is not None and 0 < v < math.inf]
        low = min([*finite, 1.0]) / 3 if finite else FLOOR
        low, high = max(low, FLOOR), max([*finite, FLOOR * 10])
        ys = [min(max(v or 0.0, low), high * 3) for _, _, v in placed]
        xs = [i for i, _, _ in placed]
        first = locate(found).first if found else None
        good, bad = theme.lane_colour(0), QColor(theme.BAD)
        self._line.setData(xs, ys, pen=pg.mkPen(theme.line(), width=1.5))
        # In a logarithmic plot a scatter of its own takes logarithms.
        self.points.setData(
            [
                {
                    "pos": (i, math.log10(y)),
                    "data": p,
                    "size": FIRST_POINT if p is first else POINT,
                    "symbol": "d" if differs(p) else "o",
                    "brush": pg.mkBrush(bad if differs(p) else good),
                    "pen": pg.mkPen(theme.base()),
                }
                for (i, p, _), y in zip(placed, ys, strict=True)
            ]
        )
        self._mark.setPen(pg.mkPen(bad, width=1, style=Qt.PenStyle.DashLine))
        self._mark.setVisible(first is not None)
        if first is not None:
            self._mark.setValue(points.index(first))
        bound = self._bound if self._measure == next(iter(MEASURES)) else None
        self._tolerance.setVisible(bool(bound) and bool(placed))
        if bound:
            self._tolerance.setValue(math.log10(bound))
            self._tolerance.setPen(pg.mkPen(theme.soft_text(), style=Qt.PenStyle.DotLine))
        self.setXRange(-0.5, max(len(points) - 0.5, 0.5), padding=0.02)
        span = [*ys, *([bound] if bound else [])]
        if span:
            self.setYRange(math.log10(min(span)), math.log10(max(span)), padding=0.12)

    def _on_clicked(self, _: object, points: Any, __: object = None) -> None:
        if len(points):
            self.point_chosen.emit(points[0].data())

    # Qt overrides

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_tolerance"):
            self.restyle()


def _tip(x: float, y: float, data: CutPoint) -> str:
    del y
    assert data.difference is not None
    values = " / ".join(dict.fromkeys(data.values))
    return (
        f"{data.region}\n{values}\nrelative error {data.relative:.2e}, "
        f"max. {data.difference.max_abs:.3g}, cosine {data.difference.cosine:.6f}\n"
        f"{'differs past tolerance' if differs(data) else 'agrees'}, number {x + 1:.0f}"
    )
