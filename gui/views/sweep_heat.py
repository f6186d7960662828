"""The heat map of a sweep: a cell a point of two axes, coloured by a figure of a lane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from gui import theme
from gui.views.keyboard import on_chosen
from profiler.compare import lane_name, plain
from profiler.intervals import ends_text, value_text
from profiler.sweep.axes import unit_of
from profiler.sweep.results import LanePoint, comparison, lane_point
from profiler.sweep.state import PointResult, Sweep
from profiler.sweep.table import speedup_text

Place = tuple[int, int]
"""(row, column)."""


@dataclass(frozen=True)
class Figure:
    """What cells show: `kind` is `speedup`, `latency` or `throughput`, of the lane `label`."""

    kind: str
    label: str
    text: str


@dataclass(frozen=True)
class Cell:
    """`index`: the point's."""

    index: int
    text: str
    tip: str
    colour: QColor


@dataclass(frozen=True)
class _Value:
    """From 0 to 1 once scaled, or for speedups from -1 to 1."""

    value: float
    text: str
    tip: str


def figures(sweep: Sweep) -> list[Figure]:
    """Every figure of every lane that cells can show."""
    assert sweep.plan is not None
    plan = sweep.plan.plan
    names = {spec.label: lane_name(spec) for spec in plan.engines}
    unit = unit_of(plan).capitalize()
    others = [label for label in names if label != plan.baseline]
    return [
        *(Figure("speedup", label, f"Speedup of {names[label]}") for label in others),
        *(Figure("latency", label, f"Latency of {name}") for label, name in names.items()),
        *(Figure("throughput", label, f"{unit} of {name}") for label, name in names.items()),
    ]


class HeatMap(QTableWidget):
    """A cell a point of two axes. Signal `point_chosen(index)` of the cell that is chosen."""

    point_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        for header in (self.horizontalHeader(), self.verticalHeader()):
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
            header.setMinimumSectionSize(24)
        on_chosen(self, self._on_cell_chosen)

    def show_figure(self, sweep: Sweep, figure: Figure) -> None:
        """The sweep's first axis down, its second across; a third at its first value."""
        assert sweep.plan is not None
        first, second, *_ = sweep.plan.axes
        self._draw(
            [f"{second.name} {value}" for value in second.values],
            [f"{first.name} {value}" for value in first.values],
            _cells(sweep, figure),
        )

    def _draw(self, columns: Sequence[str], rows: Sequence[str], cells: dict[Place, Cell]) -> None:
        self.clear()
        self.setRowCount(len(rows))
        self.setColumnCount(len(columns))
        self.setHorizontalHeaderLabels(list(columns))
        self.setVerticalHeaderLabels(list(rows))
        for (row, column), cell in cells.items():
            item = QTableWidgetItem(cell.text)
            item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            item.setToolTip(cell.tip)
            item.setData(Qt.ItemDataRole.UserRole, cell.index)
            item.setBackground(cell.colour)
            ground = _over(cell.colour, theme.base())
            item.setForeground(QColor("#101418" if ground.lightness() > 140 else "#f4f6f8"))
            self.setItem(row, column, item)

    def _on_cell_chosen(self, item: QTableWidgetItem) -> None:
        index = item.data(Qt.ItemDataRole.UserRole)
        if index is not None:
            self.point_chosen.emit(int(index))


def _cells(sweep: Sweep, figure: Figure) -> dict[Place, Cell]:
    kept = _results(sweep)
    found = {
        place: value
        for place, result in kept.items()
        if (value := _value_of(sweep, figure, result)) is not None
    }
    largest = max((abs(value.value) for value in found.values()), default=0.0) or 1.0
    return {
        place: Cell(
            kept[place].point.index,
            value.text,
            value.tip,
            _colour(sweep, figure, value.value / largest),
        )
        for place, value in found.items()
    }


def _results(sweep: Sweep) -> dict[Place, PointResult]:
    """Of points that have the first value of a third axis."""
    assert sweep.plan is not None
    first, second, *more = sweep.plan.axes
    kept = {}
    for result in sweep.done():
        row, column, *rest = result.point.values
        if all(value == axis.values[0] for value, axis in zip(rest, more, strict=True)):
            kept[first.values.index(row), second.values.index(column)] = result
    return kept


def _value_of(sweep: Sweep, figure: Figure, result: PointResult) -> _Value | None:
    assert sweep.plan is not None
    if figure.kind == "speedup":
        pair = comparison(result, sweep.plan.plan.baseline, figure.label)
        if pair is None:
            return None
        sure = pair.verdict.value in ("faster", "slower")
        text = f"{value_text(pair.estimate)}×{'' if sure else ' ?'}"
        return _Value(math.log2(pair.speedup), text, speedup_text(pair))
    point = lane_point(result, figure.label)
    return None if point is None else _value_of_lane(figure, point)


def _value_of_lane(figure: Figure, point: LanePoint) -> _Value:
    if figure.kind == "latency":
        found = point.latency_ns.scaled(1e-6)
        return _Value(found.value, f"{found.value:.3g} ms", f"{ends_text(found)} ms")
    found = point.throughput
    return _Value(found.value, plain(found.value), f"{ends_text(found)} a second")


def _colour(sweep: Sweep, figure: Figure, scaled: float) -> QColor:
    """The faster lane's own colour, the stronger the further apart they are."""
    assert sweep.plan is not None
    ahead = figure.label if figure.kind != "speedup" or scaled > 0 else sweep.plan.plan.baseline
    colour = theme.lane_colour(sweep.labels().index(ahead))
    colour.setAlphaF(min(1.0, 0.06 + 0.8 * abs(scaled)))
    return colour


def _over(colour: QColor, ground: QColor) -> QColor:
    """What a translucent colour looks like there."""
    share = colour.alphaF()
    mixed = [
        round(share * a + (1 - share) * b)
        for a, b in zip(colour.getRgb()[:3], ground.getRgb()[:3], strict=True)  # type: ignore[index]
    ]
    return QColor(*mixed)
