"""The gap of two lanes as steps: from the baseline's p50 to the candidate's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from gui import theme
from profiler.explanation import Explanation
from profiler.waterfall import Bar

ROW, MARGIN, FIGURES, LABEL_SHARE = 20, 10, 150, 0.36
LEAST_ROWS = 4


@dataclass(frozen=True)
class Step:
    """One line: where its bar begins and ends, in ns; `regions` as indexes of the explanation."""

    text: str
    start_ns: float
    end_ns: float
    figure: str
    regions: tuple[int, ...] = ()
    total: bool = False


def steps(found: Explanation, names: tuple[str, str], room: int) -> list[Step]:
    """At most `room` lines: both lanes' latencies, the largest steps between, the rest as one."""
    bars = found.grouped_bars()
    inner = max(1, room - 2)
    if len(bars) > inner:
        kept, rest = bars[: max(0, inner - 2)], bars[max(0, inner - 2) : -1]
        bars = [*kept, _joined(rest), bars[-1]] if inner >= 2 else [_joined(bars)]
    at = found.figures[0].timed_ns
    lines = [Step(names[0], 0.0, at, f"{at / 1e6:,.3f} ms", total=True)]
    for bar in bars:
        end = at + bar.difference_ns
        figure = f"{bar.difference_ns / 1e6:+,.3f} ms  {bar.share * 100:.0f} %"
        lines.append(Step(bar.name, at, end, figure, bar.regions))
        at = end
    at = found.figures[1].timed_ns
    return [*lines, Step(names[1], 0.0, at, f"{at / 1e6:,.3f} ms", total=True)]


def _joined(bars: Sequence[Bar]) -> Bar:
    return Bar(
        name=f"{len(bars)} more",
        difference_ns=sum(bar.difference_ns for bar in bars),
        share=sum(bar.share for bar in bars),
        regions=tuple(index for bar in bars for index in bar.regions),
    )


class WaterfallChart(QWidget):
    """Painted here. Signal `regions_chosen(indexes)` when a person clicks on a step."""

    regions_chosen = Signal(tuple)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: Explanation | None = None
        self._names = ("", "")
        self._colours = (QColor(), QColor())
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(LEAST_ROWS * ROW + 2 * MARGIN)
        self.setMouseTracking(True)

    def show_gap(
        self, found: Explanation | None, names: tuple[str, str], lanes: tuple[int, int]
    ) -> None:
        """Draw another gap; `lanes` are the lanes' places in the plan, for their colours."""
        self._found, self._names, self._lanes = found, names, lanes
        self.update()

    def lines(self) -> list[Step]:
        """What is drawn at this size."""
        if self._found is None:
            return []
        room = max(LEAST_ROWS, (self.height() - MARGIN) // ROW)
        return steps(self._found, self._names, room)

    def step_at(self, place: QPoint) -> Step | None:
        """The line under a point."""
        number = (place.y() - MARGIN // 2) // ROW
        lines = self.lines()
        return lines[number] if 0 <= number < len(lines) else None

    def _paint_line(self, painter: QPainter, step: Step, top: int, largest_ns: float) -> None:
        label = max(120, round(self.width() * LABEL_SHARE))
        left, right = MARGIN + label + 8, self.width() - MARGIN - FIGURES
        scale = max(1, right - left) / largest_ns
        metrics = painter.fontMetrics()
        centred = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(self.palette().text().color())
        name = metrics.elidedText(step.text, Qt.TextElideMode.ElideMiddle, label)
        painter.drawText(QRect(MARGIN, top, label, ROW), centred, name)
        low, high = sorted((step.start_ns, step.end_ns))
        bar = QRectF(left + low * scale, top + 3, max(1.5, (high - low) * scale), ROW - 6)
        painter.fillRect(bar, self._colour(step))
        where = QRect(right, top, FIGURES, ROW)
        painter.drawText(where, centred | Qt.AlignmentFlag.AlignRight, step.figure)

    def _colour(self, step: Step) -> QColor:
        if step.total:
            first = step.text == self._names[0]
            return theme.lane_colour(self._lanes[0 if first else 1])
        return theme.change_colour(step.end_ns - step.start_ns)

    # Qt overrides

    def sizeHint(self) -> QSize:
        return QSize(600, 7 * ROW + MARGIN)

    def paintEvent(self, event: QPaintEvent) -> None:
        del event
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.base())
        lines = self.lines()
        largest_ns = max((max(s.start_ns, s.end_ns) for s in lines), default=0.0) or 1.0
        for number, step in enumerate(lines):
            self._paint_line(painter, step, MARGIN // 2 + number * ROW, largest_ns)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        step = self.step_at(event.position().toPoint())
        if step is not None and step.regions:
            self.regions_chosen.emit(step.regions)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            step = self.step_at(event.pos())
            QToolTip.showText(event.globalPos(), f"{step.text}: {step.figure}" if step else "")
            return True
        return super().event(event)
