"""A cell with an interval on a logarithmic axis, the leader's latency as a line."""

from __future__ import annotations

import math

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from gui import theme

# (ratio, low, high, colour's name) of the row; None where there is nothing to draw.
INTERVAL_ROLE = Qt.ItemDataRole.UserRole + 1
LEAST, MOST = 0.8, 4.0
TEXT_WIDTH = 138

Index = QModelIndex | QPersistentModelIndex


class IntervalDelegate(QStyledItemDelegate):
    """The figures at the left, the bar at the right. What lies outside ends at the border."""

    # Qt overrides

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(TEXT_WIDTH + 120, super().sizeHint(option, index).height())

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        found = index.data(INTERVAL_ROLE)
        if found is None:
            return
        ratio, low, high, colour = found
        room = QRectF(option.rect).adjusted(TEXT_WIDTH, 3, -8, -3)
        middle = room.center().y()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(theme.line(), 1))
        leader = self._at(1.0, room)
        painter.drawLine(round(leader), round(room.top()), round(leader), round(room.bottom()))
        left, right = self._at(low, room), self._at(high, room)
        soft = QColor(colour)
        soft.setAlpha(80)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(soft)
        painter.drawRoundedRect(QRectF(left, middle - 3.5, max(2.0, right - left), 7.0), 3, 3)
        painter.setBrush(QColor(colour))
        painter.drawEllipse(QRectF(self._at(ratio, room) - 3.5, middle - 3.5, 7.0, 7.0))
        painter.restore()

    @staticmethod
    def _at(ratio: float, room: QRectF) -> float:
        inside = min(max(ratio, LEAST), MOST)
        share = math.log(inside / LEAST) / math.log(MOST / LEAST)
        return room.left() + share * room.width()
