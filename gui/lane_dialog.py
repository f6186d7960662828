"""A lane's engine and options, as a form that shows only those that apply."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from profiler.compare import ENGINE_NAMES
from profiler.lanes import FLAG, INTEGER, OPTIONS, parse_lane
from profiler.types import EngineKind, EngineSpec

DEFAULT = "default"


class LaneDialog(QDialog):
    """Ask for one lane. `spec()` after it was accepted."""

    def __init__(self, spec: EngineSpec | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Lane")
        self.setMinimumWidth(420)
        self.engine = QComboBox(self)
        for kind in EngineKind:
            self.engine.addItem(ENGINE_NAMES[kind], kind)
        self.label = QLineEdit(self)
        self.label.setPlaceholderText("named after the engine")
        self._form = QFormLayout()
        self._form.addRow("Engine", self.engine)
        self._form.addRow("Name", self.label)
        self._fields: dict[str, QComboBox | QLineEdit] = {}
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addWidget(buttons)
        if spec is not None:
            self.engine.setCurrentIndex(self.engine.findData(spec.engine))
            self.label.setText("" if spec.label == spec.engine.value else spec.label)
        self._build_options(spec)
        self.engine.currentIndexChanged.connect(lambda: self._build_options(None))

    def spec(self) -> EngineSpec:
        """The lane as filled in. Raises PlanError for a value that an option can't take."""
        kind: EngineKind = self.engine.currentData()
        parts = [f"{self.label.text().strip()}={kind.value}"]
        for name, field in self._fields.items():
            text = field.currentText() if isinstance(field, QComboBox) else field.text().strip()
            if text not in ("", DEFAULT):
                parts.append(f"{name}={text}")
        return parse_lane(",".join(parts))

    def _build_options(self, spec: EngineSpec | None) -> None:
        for field in self._fields.values():
            self._form.removeRow(field)
        self._fields.clear()
        kind: EngineKind = self.engine.currentData()
        for name, allowed in OPTIONS[kind].items():
            field = self._field(allowed)
            value = spec.options.get(name) if spec else None
            if value is not None:
                text = str(value).lower() if isinstance(value, bool) else str(value)
                if isinstance(field, QComboBox):
                    field.setCurrentText(text)
                else:
                    field.setText(text)
            self._fields[name] = field
            self._form.addRow(name.replace("_", " ").capitalize(), field)
        self.adjustSize()

    def _field(self, allowed: str | tuple[str, ...]) -> QComboBox | QLineEdit:
        if isinstance(allowed, tuple) or allowed == FLAG:
            box = QComboBox(self)
            box.addItem(DEFAULT)
            box.addItems(list(allowed) if isinstance(allowed, tuple) else ["true", "false"])
            return box
        line = QLineEdit(self)
        line.setPlaceholderText(DEFAULT if allowed == INTEGER else f"{DEFAULT}; {allowed}")
        return line
