"""Between which bounds are an input's values?"""

from __future__ import annotations

from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QVBoxLayout,
    QWidget,
)

from profiler.types import Fill, InputSpec

WIDEST = 1e9


class BoundsDialog(QDialog):
    """For the fills uniform and integers; `bounds()` after it was accepted."""

    def __init__(self, spec: InputSpec, fill: Fill, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Values of {spec.name}")
        self.setMinimumWidth(320)
        whole = fill is Fill.INTEGERS
        least = 0.0 if spec.limit is not None else -WIDEST
        most = float(spec.limit) if spec.limit is not None else WIDEST
        self.low = self._box(least, most, spec.low, whole)
        self.high = self._box(least, most, spec.high, whole)
        form = QFormLayout()
        form.addRow("From", self.low)
        form.addRow("Below" if whole else "To", self.high)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(buttons)

    def bounds(self) -> tuple[float, float]:
        return self.low.value(), self.high.value()

    def _box(self, least: float, most: float, value: float, whole: bool) -> QDoubleSpinBox:
        box = QDoubleSpinBox(self)
        box.setDecimals(0 if whole else 4)
        box.setRange(least, most)
        box.setValue(value)
        return box
