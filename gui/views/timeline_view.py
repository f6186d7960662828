"""All lanes' operators on one time axis: zoom with the wheel, move by dragging or with the keys."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from gui import theme
from gui.session_model import SessionModel
from gui.views.nothing_traced import nothing_traced
from gui.views.timeline_rows import Row, filled_pixels, rows_of
from profiler.node_path import outermost
from profiler.types import OpTiming

HEAD, ROW, GAP, AXIS, MARGIN = 20, 26, 8, 26, 10
# More operators than this share of the pixels are drawn as filled runs.
DENSE = 0.5
ZOOM, STEP = 1.25, 0.15
LEAST_SPAN_NS = 1_000.0
EMPTY = "Profile a model (F5): here stand the operators of every lane on one time axis."
HINT = "wheel or +/-: zoom   ·   drag or arrows: move   ·   0: everything"


class TimelineView(QWidget):
    """Painted here. Signal `node_selected(value name)` when a person clicks on an operator."""

    node_selected = Signal(str)

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.rows: list[Row] = []
        self.start_ns, self.end_ns = 0.0, 1.0
        self._whole_ns = 1.0
        self._node = ""
        self._dragged: tuple[float, float] | None = None
        self._is_old = True
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        model.session_reset.connect(self._on_changed)
        model.operators_changed.connect(self._on_changed)

    def show_rows(self, rows: list[Row]) -> None:
        """Draw these, all of them in view."""
        self.rows = rows
        self._is_old = False
        self._whole_ns = max((float(row.ends_ns[-1]) for row in rows if row.ops), default=1.0)
        self.show_span(0.0, self._whole_ns)

    def show_span(self, start_ns: float, end_ns: float) -> None:
        """Look at a part, kept within what there is."""
        span = min(max(end_ns - start_ns, LEAST_SPAN_NS), max(self._whole_ns, LEAST_SPAN_NS))
        start_ns = min(max(0.0, start_ns), max(0.0, self._whole_ns - span))
        self.start_ns, self.end_ns = start_ns, start_ns + span
        self.update()

    def zoom(self, factor: float, around_ns: float | None = None) -> None:
        """By a factor, around a time or the middle."""
        at = (self.start_ns + self.end_ns) / 2 if around_ns is None else around_ns
        self.show_span(at - (at - self.start_ns) / factor, at + (self.end_ns - at) / factor)

    def select_node(self, value_name: str) -> None:
        """Mark the operators of this graph node. No signal follows."""
        self._node = outermost(value_name)
        self.update()

    def operator_at(self, place: QPointF) -> OpTiming | None:
        """What is drawn there."""
        for row, top in self._placed():
            if top <= place.y() < top + ROW:
                index = row.at(self._time_at(place.x()))
                return None if index is None else row.ops[index]
        return None

    def heading(self, label: str) -> str:
        """What stands above a lane's rows, with why its times may be wrong."""
        session = self._model.session
        if label not in session.labels():
            return f"{label}, last traced round"
        figures = session.trace_figures(label)
        doubt = f"; {figures.doubt}" if figures and figures.doubt else ""
        return f"{session.name(label)}, last traced round{doubt}"

    def _heading_at(self, place: QPointF) -> str:
        last = ""
        for row, top in self._placed():
            if row.label != last and top - HEAD <= place.y() < top:
                return self.heading(row.label)
            last = row.label
        return ""

    def _on_changed(self) -> None:
        self._is_old = True
        self.update()

    def _placed(self) -> list[tuple[Row, int]]:
        """Rows with their tops: a lane's name stands over its first thread."""
        found, top, last = [], AXIS, ""
        for row in self.rows:
            top += HEAD + GAP if row.label != last else 2
            found.append((row, top))
            top, last = top + ROW, row.label
        return found

    def _scale(self) -> float:
        return max(1, self.width() - 2 * MARGIN) / (self.end_ns - self.start_ns)

    def _time_at(self, x: float) -> float:
        return self.start_ns + (x - MARGIN) / self._scale()

    # --- drawing --------------------------------------------------------------------------

    def _paint_axis(self, painter: QPainter) -> None:
        painter.setPen(theme.soft_text())
        span = self.end_ns - self.start_ns
        decade: float = 10.0 ** len(str(int(span / 8)))
        step = next(decade / part for part in (10, 5, 2, 1) if span * part / decade <= 9)
        at = (self.start_ns // step + 1) * step
        while at < self.end_ns:
            x = MARGIN + (at - self.start_ns) * self._scale()
            painter.drawLine(QPointF(x, AXIS - 4), QPointF(x, AXIS))
            painter.drawText(QPointF(x + 3, AXIS - 8), f"{at / 1e6:g} ms")
            at += step

    def _paint_row(self, painter: QPainter, row: Row, top: int, colour: QColor) -> None:
        width = max(1, self.width() - 2 * MARGIN)
        first, last = row.visible(self.start_ns, self.end_ns)
        if last - first > width * DENSE:
            for begin, end in filled_pixels(row, self.start_ns, self.end_ns, width):
                painter.fillRect(MARGIN + begin, top, end - begin, ROW, colour)
            return
        light, scale = QColor(colour), self._scale()
        light.setAlpha(110)
        text = self.palette().text().color()
        for index in range(first, last):
            op = row.ops[index]
            left = max(0.0, (float(row.starts_ns[index]) - self.start_ns) * scale)
            right = min(float(width), (float(row.ends_ns[index]) - self.start_ns) * scale)
            box = QRectF(MARGIN + left, top, max(1.0, right - left - 0.5), ROW)
            chosen = bool(self._node) and self._node in op.source_nodes
            painter.fillRect(box, colour if chosen else light)
            if box.width() > 34:
                painter.setPen(text)
                name = op.op_type.removeprefix("aten::")
                inner = box.adjusted(4, 0, -2, 0)
                elided = painter.fontMetrics().elidedText(
                    name, Qt.TextElideMode.ElideRight, int(inner.width())
                )
                painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, elided)

    # Qt overrides

    def paintEvent(self, event: QPaintEvent) -> None:
        del event
        if self._is_old:
            self.show_rows(rows_of(self._model.session))
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.base())
        if not self.rows:
            painter.setPen(theme.soft_text())
            text = nothing_traced(self._model.session, EMPTY)
            flags = Qt.AlignmentFlag.AlignCenter.value | Qt.TextFlag.TextWordWrap.value
            painter.drawText(self.rect(), flags, text)
            return
        self._paint_axis(painter)
        session, last = self._model.session, ""
        labels = session.labels()
        for row, top in self._placed():
            if row.label != last:
                painter.setPen(self.palette().text().color())
                heading = painter.fontMetrics().elidedText(
                    self.heading(row.label), Qt.TextElideMode.ElideRight, self.width() - 2 * MARGIN
                )
                painter.drawText(QPointF(MARGIN, top - 6), heading)
                last = row.label
            place = labels.index(row.label) if row.label in labels else 0
            self._paint_row(painter, row, top, theme.lane_colour(place))
        painter.setPen(theme.soft_text())
        painter.drawText(QPointF(MARGIN, self.height() - 8), HINT)

    def wheelEvent(self, event: QWheelEvent) -> None:
        factor = ZOOM ** (event.angleDelta().y() / 120)
        self.zoom(factor, self._time_at(event.position().x()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._dragged = (event.position().x(), self.start_ns)
        op = self.operator_at(event.position())
        if op is not None and op.source_nodes:
            self.select_node(op.source_nodes[-1])
            self.node_selected.emit(op.source_nodes[-1])

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._dragged is not None and event.buttons():
            moved_ns = (event.position().x() - self._dragged[0]) / self._scale()
            span = self.end_ns - self.start_ns
            self.show_span(self._dragged[1] - moved_ns, self._dragged[1] - moved_ns + span)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        del event
        self._dragged = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step_ns = STEP * (self.end_ns - self.start_ns)
        match event.key():
            case Qt.Key.Key_Left:
                self.show_span(self.start_ns - step_ns, self.end_ns - step_ns)
            case Qt.Key.Key_Right:
                self.show_span(self.start_ns + step_ns, self.end_ns + step_ns)
            case Qt.Key.Key_Plus | Qt.Key.Key_Up:
                self.zoom(ZOOM)
            case Qt.Key.Key_Minus | Qt.Key.Key_Down:
                self.zoom(1 / ZOOM)
            case Qt.Key.Key_0:
                self.show_span(0.0, self._whole_ns)
            case _:
                super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            place = QPointF(event.pos())
            op = self.operator_at(place)
            QToolTip.showText(event.globalPos(), _tip(op) if op else self._heading_at(place))
            return True
        return super().event(event)


def _tip(op: OpTiming) -> str:
    lines = (
        f"{op.name} ({op.op_type})",
        f"{op.duration_ns / 1e3:,.1f} µs, from {op.start_ns / 1e6:,.3f} ms of iteration "
        f"{op.iteration}",
        op.scope,
        op.shapes,
        ", ".join(op.source_nodes),
    )
    return "\n".join(line for line in lines if line)
