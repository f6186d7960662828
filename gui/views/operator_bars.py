"""The operators that take most time, as bars, one column a lane."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import theme
from gui.session_model import SessionModel
from profiler.types import Event, OperatorRow, OpTimings

ROW_HEIGHT = 18
MARGIN = 10
FIGURE_WIDTH = 92


class OperatorBars(QWidget):
    """Painted here: a bar, the operator's name over it, its time and share."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._rows: dict[str, list[OperatorRow]] = {}
        self.setMinimumWidth(280)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        model.session_reset.connect(self._on_session_reset)
        model.events_applied.connect(self._on_events_applied)

    def _on_session_reset(self) -> None:
        self._rows = {label: self._top(label) for label in self._model.session.labels()}
        self.update()

    def _on_events_applied(self, events: list[Event]) -> None:
        labels = {event.label for event in events if isinstance(event, OpTimings)}
        self._rows |= {label: self._top(label) for label in labels}
        if labels:
            self.update()

    def _top(self, label: str) -> list[OperatorRow]:
        return self._model.session.operators(label)[:24]

    # Qt overrides

    def paintEvent(self, event: QPaintEvent) -> None:
        del event
        painter = QPainter(self)
        bold = painter.font()
        bold.setBold(True)
        painter.save()
        painter.setFont(bold)
        painter.drawText(
            QRect(MARGIN, 6, self.width() - 2 * MARGIN, ROW_HEIGHT),
            Qt.AlignmentFlag.AlignVCenter,
            "Operators with most time (traced)",
        )
        painter.restore()
        labels = [label for label in self._model.session.labels() if self._rows.get(label)]
        if not labels:
            painter.setPen(theme.soft_text())
            painter.drawText(
                QRect(MARGIN, 6 + ROW_HEIGHT, self.width(), ROW_HEIGHT), 0, "nothing traced yet"
            )
            return
        width = (self.width() - MARGIN) // len(labels)
        for column, label in enumerate(labels):
            area = QRect(MARGIN + column * width, 8 + ROW_HEIGHT, width - MARGIN, self.height())
            self._paint_lane(painter, area, label)

    def _paint_lane(self, painter: QPainter, area: QRect, label: str) -> None:
        session = self._model.session
        rows = self._rows[label]
        colour = theme.lane_colour(session.labels().index(label))
        painter.setPen(theme.soft_text())
        title = painter.fontMetrics().elidedText(
            session.name(label), Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(QRect(area.left(), area.top(), area.width(), ROW_HEIGHT), 0, title)
        fits = max(0, (self.height() - area.top() - ROW_HEIGHT - 4) // ROW_HEIGHT)
        text_colour = self.palette().text().color()
        figures = FIGURE_WIDTH if area.width() > 2 * FIGURE_WIDTH else 0
        room = area.width() - figures - 6
        for place, row in enumerate(rows[:fits]):
            top = area.top() + ROW_HEIGHT * (place + 1) + 1
            bar = max(2, round(room * row.share / (rows[0].share or 1.0)))
            colour.setAlpha(90)
            painter.fillRect(QRect(area.left(), top, bar, ROW_HEIGHT - 3), colour)
            painter.setPen(text_colour)
            name = painter.fontMetrics().elidedText(
                f"{row.op_type.removeprefix('aten::')}  {row.name}",
                Qt.TextElideMode.ElideRight,
                room - 4,
            )
            inside = QRect(area.left() + 4, top, room, ROW_HEIGHT - 3)
            painter.drawText(inside, Qt.AlignmentFlag.AlignVCenter, name)
            if figures:
                where = QRect(area.right() - figures, top, figures, ROW_HEIGHT - 3)
                text = f"{row.traced_ns / 1e3:.0f} µs {row.share:.0%}"
                right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
                painter.drawText(where, right, text)
