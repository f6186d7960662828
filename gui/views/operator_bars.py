"""The operators that take most time, as bars, one column a lane."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QToolTip, QVBoxLayout, QWidget

from gui import theme
from gui.session_model import SessionModel
from gui.views.nothing_traced import nothing_traced
from profiler.types import Event, OperatorRow, OpTimings

MOST = 24
ROW_HEIGHT = 18
MARGIN = 10
# Room for time and share, for the share alone, and for a column that tells both name and share.
FIGURES_WIDTH, SHARE_WIDTH, COLUMN_WIDTH = 92, 38, 122
TITLE = "Operators with most time (traced)"


class OperatorBars(QWidget):
    """A heading over the lanes' columns, which scroll sideways where lanes are many."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        heading = QLabel(TITLE, self)
        heading.setProperty("role", "heading")
        heading.setContentsMargins(MARGIN, 6, MARGIN, 0)
        self.columns = OperatorColumns(model, self)
        area = QScrollArea(self)
        area.setWidget(self.columns)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(heading)
        layout.addWidget(area, 1)
        self.setMinimumWidth(280)


class OperatorColumns(QWidget):
    """Painted here: a bar, the operator's name over it, its time and share."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._rows: dict[str, list[OperatorRow]] = {}
        model.session_reset.connect(self._on_session_reset)
        model.events_applied.connect(self._on_events_applied)

    def row_at(self, x: int, y: int) -> OperatorRow | None:
        """The operator whose bar is there."""
        for label, area in self._areas():
            place = (y - area.top()) // ROW_HEIGHT - 1
            if area.left() <= x <= area.right() and 0 <= place < len(self._rows[label]):
                return self._rows[label][place]
        return None

    def figures(self, row: OperatorRow, width: int) -> str:
        """What stands at the right end of a bar in a column of this width, in pixels."""
        if width > 2 * FIGURES_WIDTH:
            return f"{row.traced_ns / 1e3:.0f} µs {row.share:.0%}"
        return f"{row.share:.0%}"

    def empty_text(self) -> str:
        """What stands there without any operator."""
        return nothing_traced(self._model.session, "Nothing was traced yet.")

    def _on_session_reset(self) -> None:
        self._rows = {label: self._top(label) for label in self._model.session.labels()}
        self._refresh()

    def _on_events_applied(self, events: list[Event]) -> None:
        labels = {event.label for event in events if isinstance(event, OpTimings)}
        self._rows |= {label: self._top(label) for label in labels}
        if labels or not self._labels():
            self._refresh()

    def _refresh(self) -> None:
        self.setMinimumWidth(MARGIN + COLUMN_WIDTH * len(self._labels()))
        self.update()

    def _top(self, label: str) -> list[OperatorRow]:
        return self._model.session.operators(label)[:MOST]

    def _labels(self) -> list[str]:
        return [label for label in self._model.session.labels() if self._rows.get(label)]

    def _areas(self) -> list[tuple[str, QRect]]:
        """Of each lane that was traced, its title's line included."""
        labels = self._labels()
        width = (self.width() - MARGIN) // max(1, len(labels))
        return [
            (label, QRect(MARGIN + column * width, 0, width - MARGIN, self.height()))
            for column, label in enumerate(labels)
        ]

    def _paint_lane(self, painter: QPainter, area: QRect, label: str) -> None:
        session = self._model.session
        rows = self._rows[label]
        colour = theme.lane_colour(session.labels().index(label))
        painter.setPen(theme.soft_text())
        title = painter.fontMetrics().elidedText(
            session.name(label), Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(QRect(area.left(), area.top(), area.width(), ROW_HEIGHT), 0, title)
        fits = max(0, (self.height() - area.top() - ROW_HEIGHT - 2) // ROW_HEIGHT)
        text_colour = self.palette().text().color()
        figures = FIGURES_WIDTH if area.width() > 2 * FIGURES_WIDTH else SHARE_WIDTH
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
            where = QRect(area.right() - figures, top, figures, ROW_HEIGHT - 3)
            right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
            painter.drawText(where, right, self.figures(row, area.width()))

    # Qt overrides

    def sizeHint(self) -> QSize:
        return QSize(self.minimumWidth(), 4 * ROW_HEIGHT)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            row = self.row_at(event.pos().x(), event.pos().y())
            text = "" if row is None else _told(row)
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        del event
        painter = QPainter(self)
        areas = self._areas()
        if not areas:
            painter.setPen(theme.soft_text())
            where = self.rect().adjusted(MARGIN, 0, -MARGIN, 0)
            painter.drawText(where, Qt.TextFlag.TextWordWrap, self.empty_text())
        for label, area in areas:
            self._paint_lane(painter, area, label)


def _told(row: OperatorRow) -> str:
    return f"{row.op_type}  {row.name}\n{row.traced_ns / 1e3:.1f} µs traced, {row.share:.1%}"
