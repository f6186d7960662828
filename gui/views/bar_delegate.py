"""Cells with a bar behind their figure."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QWidget

from gui import theme
from gui.views.regions_model import BAR_ROLE, BASELINE, DIFFERENCE

Index = QModelIndex | QPersistentModelIndex
ROW_HEIGHT = 23


class BarDelegate(QStyledItemDelegate):
    """From the left for a lane's time, in the lane's colour; from the middle for a difference.

    `lanes`: places of the baseline and the candidate in the plan.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.lanes = (0, 1)

    # Qt overrides

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(super().sizeHint(option, index).width(), ROW_HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        share = index.data(BAR_ROLE)
        super().paint(painter, option, index)
        if share is None:
            return
        cell: QRect = option.rect.adjusted(2, 4, -2, -4)
        if index.column() == DIFFERENCE:
            middle, width = cell.center().x(), round(cell.width() / 2 * abs(share))
            left = middle if share > 0 else middle - width
            bar, colour = QRect(left, cell.top(), width, cell.height()), theme.change_colour(share)
        else:
            bar = QRect(cell.left(), cell.top(), round(cell.width() * share), cell.height())
            colour = theme.lane_colour(self.lanes[index.column() - BASELINE])
        colour.setAlpha(70)
        painter.fillRect(bar, colour)
