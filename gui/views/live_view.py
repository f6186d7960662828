"""The live strips side by side, along the bottom of the window."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QWidget

from gui.session_model import SessionModel
from gui.views.operator_bars import OperatorBars
from gui.views.strips import CpuStrip, GpuStrip, LatencyStrip


class LiveView(QWidget):
    """Latency, operators, GPUs, CPU and memory."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.latency = LatencyStrip(model, self)
        self.operators = OperatorBars(model, self)
        self.gpu = GpuStrip(model, self)
        self.cpu = CpuStrip(model, self)
        splitter = QSplitter(Qt.Orientation.Horizontal, self)
        for widget, share in (
            (self.latency, 4),
            (self.operators, 5),
            (self.gpu, 3),
            (self.cpu, 3),
        ):
            splitter.addWidget(widget)
            splitter.setStretchFactor(splitter.count() - 1, share)
        splitter.setChildrenCollapsible(False)
        splitter.setSizes([400, 460, 240, 280])
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        self.setMinimumHeight(120)

    def restyle(self) -> None:
        """Take on the theme's colours."""
        for strip in (self.latency, self.gpu, self.cpu):
            strip.restyle()
            # The dots in it have the curves' colours.
            strip.show_figures()
        self.operators.columns.update()
