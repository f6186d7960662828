"""What is a search for the fastest configuration allowed, and how long may it take?"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from gui.reasons import allow
from profiler.compare import ENGINE_NAMES
from profiler.lanes import takes
from profiler.search.space import SEARCHED
from profiler.types import EngineKind, ModelKind

MIB = 2**20


@dataclass(frozen=True)
class Request:
    """What was asked for; None where there is no limit."""

    engines: tuple[EngineKind, ...]
    budget_s: float
    max_memory_bytes: int | None
    max_p99_ns: float | None


class FastestDialog(QDialog):
    """Ask for a search; `kind` is the model's. `request()` after it was accepted."""

    def __init__(self, kind: ModelKind, budget_s: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Find the fastest")
        self.setMinimumWidth(440)
        told = QLabel(
            "Configurations of each engine race in rounds; what is surely slower is dropped. "
            "The leaders are then measured against the defaults.",
            self,
        )
        told.setProperty("role", "caption")
        told.setWordWrap(True)
        self.engines = {
            engine: QCheckBox(ENGINE_NAMES[engine], self)
            for engine in SEARCHED
            if takes(engine, kind)
        }
        form = QFormLayout()
        for number, box in enumerate(self.engines.values()):
            box.setChecked(True)
            box.toggled.connect(self._on_changed)
            form.addRow("Engines" if number == 0 else "", box)
        self.budget = self._spin_box(5, 86_400, budget_s, " s", "")
        self.memory = self._spin_box(0, 1 << 20, 0, " MiB", "no limit")
        self.memory.setToolTip("Peak of an engine's process, above the engine alone")
        self.p99 = self._spin_box(0, 1e6, 0, " ms", "no limit", decimals=3)
        self.p99.setToolTip("Latency that 99 of 100 calls keep to")
        form.addRow("Time in all", self.budget)
        form.addRow("Memory at most", self.memory)
        form.addRow("p99 at most", self.p99)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText("Search")
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(told)
        layout.addLayout(form)
        layout.addWidget(self.buttons)

    def request(self) -> Request:
        memory, p99 = self.memory.value(), self.p99.value()
        return Request(
            engines=tuple(engine for engine, box in self.engines.items() if box.isChecked()),
            budget_s=self.budget.value(),
            max_memory_bytes=int(memory * MIB) if memory else None,
            max_p99_ns=p99 * 1e6 if p99 else None,
        )

    def _on_changed(self) -> None:
        some = any(box.isChecked() for box in self.engines.values())
        search = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        allow(search, "" if some else "Choose an engine")

    def _spin_box(
        self, low: float, high: float, value: float, suffix: str, lowest: str, decimals: int = 0
    ) -> QDoubleSpinBox:
        box = QDoubleSpinBox(self)
        box.setDecimals(decimals)
        box.setRange(low, high)
        box.setValue(value)
        box.setSuffix(suffix)
        box.setSpecialValueText(lowest)
        return box
