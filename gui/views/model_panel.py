"""The left side: what the model is, and what will be measured."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.lane_dialog import LaneDialog
from gui.plan_draft import PlanDraft
from gui.reasons import RUNNING, allow
from gui.views.generation_form import GenerationForm
from gui.views.inputs_table import InputsTable
from gui.views.keyboard import on_chosen
from profiler.compare import lane_name
from profiler.plan import default_baseline
from profiler.types import EngineSpec, ModelInfo, ModelKind

KIND_NAMES = {
    ModelKind.ONNX: "ONNX",
    ModelKind.TORCHSCRIPT: "TorchScript",
    ModelKind.TORCH_EXPORT: "torch.export program",
    ModelKind.AOT_INDUCTOR: "AOTInductor package",
    ModelKind.PICKLED_MODULE: "pickled module",
    ModelKind.STATE_DICT: "state dict",
    ModelKind.CHECKPOINT: "training checkpoint",
    ModelKind.SAFETENSORS: "safetensors weights",
    ModelKind.TRANSFORMERS: "transformers folder",
    ModelKind.ENDPOINT: "endpoint",
}
MOST_NOTES = 6


class ModelPanel(QScrollArea):
    """Signal `refused(ProfilerError)` for a value that doesn't fit."""

    refused = Signal(object)

    def __init__(self, draft: PlanDraft, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._draft = draft
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(372)
        self.inputs = InputsTable(draft, self)
        self.generation = GenerationForm(draft, self)
        self.lanes = QListWidget(self)
        self.baseline = QComboBox(self)
        self.target = self._spin_box(0.1, 50.0, " %", 1)
        self.time_limit = self._spin_box(1.0, 86_400.0, " s", 0)
        self._buttons: list[QToolButton] = []
        self._name = QLabel("No model", self)
        self._facts = QFormLayout()
        self._notes = QLabel(self)
        self.setWidget(self._build())
        self.inputs.refused.connect(self.refused)
        on_chosen(self.lanes, lambda _: self._edit_lane())
        self.baseline.activated.connect(self._on_baseline_chosen)
        self.target.valueChanged.connect(self._on_limits_changed)
        self.time_limit.valueChanged.connect(self._on_limits_changed)
        draft.changed.connect(self.refresh)
        self._order_tabs()
        self.refresh()

    def set_editable(self, editable: bool) -> None:
        """While a run goes on nothing here can be changed."""
        for widget in (self.inputs, self.lanes, self.baseline, self.target, self.time_limit):
            widget.setEnabled(editable)
        self.generation.setEnabled(editable)
        reason = "" if editable else RUNNING
        for button in self._buttons:
            allow(button, reason, button.accessibleName())
        # Of what has no tip of its own.
        self.setToolTip(reason)

    def refresh(self) -> None:
        """Show the draft."""
        self._show_model(self._draft.info)
        # A generation makes its inputs itself.
        self._calls.setVisible(not self._draft.generates)
        with QSignalBlocker(self.lanes), QSignalBlocker(self.baseline):
            self._show_lanes()
        with QSignalBlocker(self.target), QSignalBlocker(self.time_limit):
            self.target.setValue(self._draft.target_width * 100)
            self.time_limit.setValue(self._draft.time_limit_s)

    def _build(self) -> QWidget:
        inside = QWidget(self)
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(6)
        self._name.setProperty("role", "figure")
        self._name.setWordWrap(True)
        self._name.setTextFormat(Qt.TextFormat.PlainText)
        self._notes.setProperty("role", "caption")
        self._notes.setWordWrap(True)
        self._notes.setTextFormat(Qt.TextFormat.PlainText)
        self._facts.setVerticalSpacing(2)
        self._facts.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._name)
        layout.addLayout(self._facts)
        layout.addWidget(self._notes)
        reset_inputs = self._button("Reset", "Back to the inputs proposed for this model")
        self._buttons.append(reset_inputs)
        reset_inputs.clicked.connect(self._draft.reset_inputs)
        layout.addWidget(self.generation)
        self._calls = QWidget(inside)
        calls = QVBoxLayout(self._calls)
        calls.setContentsMargins(0, 0, 0, 0)
        calls.addLayout(self._heading("Inputs", reset_inputs))
        calls.addWidget(self.inputs)
        layout.addWidget(self._calls)
        layout.addLayout(self._heading("Lanes", *self._lane_buttons()))
        self.lanes.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.lanes.setIconSize(QSize(12, 12))
        layout.addWidget(self.lanes)
        form = QFormLayout()
        form.addRow("Baseline", self.baseline)
        form.addRow("Stop at an interval of", self.target)
        form.addRow("or after", self.time_limit)
        layout.addLayout(form)
        layout.addStretch(1)
        return inside

    def _order_tabs(self) -> None:
        """The tab key goes from top to bottom, whatever was made first."""
        *lane_buttons, reset_inputs = self._buttons
        limits = (self.lanes, self.baseline, self.target, self.time_limit)
        for one, other in pairwise((reset_inputs, self.inputs, *lane_buttons, *limits)):
            self.setTabOrder(one, other)

    def _lane_buttons(self) -> list[QToolButton]:
        add = self._button("+", "Add a lane")
        add.clicked.connect(self._add_lane)
        edit = self._button("Edit…", "Change the chosen lane")
        edit.clicked.connect(self._edit_lane)
        remove = self._button("−", "Remove the chosen lane")
        remove.clicked.connect(self._remove_lane)
        reset = self._button("Reset", "Back to one lane an engine")
        reset.clicked.connect(self._draft.reset_engines)
        buttons = [add, edit, remove, reset]
        self._buttons[:0] = buttons
        return buttons

    def _button(self, text: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setAutoRaise(True)
        return button

    def _heading(self, text: str, *buttons: QToolButton) -> QHBoxLayout:
        row = QHBoxLayout()
        label = QLabel(text, self)
        label.setProperty("role", "heading")
        row.addWidget(label)
        row.addStretch(1)
        for button in buttons:
            row.addWidget(button)
        row.setContentsMargins(0, 10, 0, 0)
        return row

    def _spin_box(self, low: float, high: float, suffix: str, decimals: int) -> QDoubleSpinBox:
        box = QDoubleSpinBox(self)
        box.setRange(low, high)
        box.setDecimals(decimals)
        box.setSuffix(suffix)
        return box

    def _show_model(self, info: ModelInfo | None) -> None:
        while self._facts.rowCount():
            self._facts.removeRow(0)
        if info is None:
            self._name.setText("No model")
            self._notes.setText("Open a model, or drop one on the window.")
            return
        path = Path(info.source.path)
        self._name.setText(path.name)
        self._name.setToolTip(str(path))
        for title, text, tip in _facts(info):
            caption, value = QLabel(title, self), QLabel(text, self)
            caption.setProperty("role", "caption")
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setTextFormat(Qt.TextFormat.PlainText)
            value.setWordWrap(True)
            value.setToolTip(tip)
            self._facts.addRow(caption, value)
        notes = list(info.notes[:MOST_NOTES])
        if info.missing_torch_ops:
            missing = ", ".join(info.missing_torch_ops)
            notes.append(f"PyTorch can't run this graph yet; operators missing: {missing}.")
        self._notes.setText("\n".join(notes))
        self._notes.setVisible(bool(notes))

    def _show_lanes(self) -> None:
        chosen = self._chosen_label()
        self.lanes.clear()
        self.baseline.clear()
        for number, spec in enumerate(self._draft.engines):
            options = ", ".join(f"{name}={value}" for name, value in spec.options.items())
            if spec.model is not None:
                options = ", ".join(filter(None, (Path(spec.model.path).name, options)))
            text = lane_name(spec) + (f"  ·  {options}" if options else "")
            item = QListWidgetItem(_dot(theme.lane_colour(number)), text, self.lanes)
            item.setData(Qt.ItemDataRole.UserRole, spec.label)
            item.setToolTip(f"{spec.engine.value} on {spec.device}\n{options or 'defaults'}")
            item.setSelected(spec.label == chosen)
            self.baseline.addItem(lane_name(spec), spec.label)
        row_height = self.lanes.sizeHintForRow(0) if self.lanes.count() else 20
        self.lanes.setFixedHeight(row_height * max(2, self.lanes.count()) + 6)
        wanted = self._draft.baseline
        if not wanted and self._draft.engines:
            wanted = default_baseline(self._draft.engines)
        self.baseline.setCurrentIndex(max(0, self.baseline.findData(wanted)))

    def _chosen_label(self) -> str:
        item = self.lanes.currentItem()
        return str(item.data(Qt.ItemDataRole.UserRole)) if item else ""

    def _add_lane(self) -> None:
        self._ask(None)

    def _edit_lane(self) -> None:
        label = self._chosen_label()
        for spec in self._draft.engines:
            if spec.label == label:
                self._ask(spec)
                return

    def _ask(self, spec: EngineSpec | None) -> None:
        kind = self._draft.info.source.kind if self._draft.info else ModelKind.ONNX
        dialog = LaneDialog(kind, spec, self, generation=self._draft.generates)
        accepted = dialog.exec() == QDialog.DialogCode.Accepted
        made = dialog.spec
        dialog.deleteLater()
        if not accepted or made is None:
            return
        if spec is not None:
            self._draft.change_engine(spec.label, made)
        else:
            self._draft.add_engine(made)

    def _remove_lane(self) -> None:
        label = self._chosen_label()
        if label:
            self._draft.remove_engine(label)

    def _on_baseline_chosen(self) -> None:
        self._draft.baseline = str(self.baseline.currentData() or "")

    def _on_limits_changed(self) -> None:
        self._draft.target_width = self.target.value() / 100
        self._draft.time_limit_s = self.time_limit.value()


def _facts(info: ModelInfo) -> list[tuple[str, str, str]]:
    source = info.source
    facts = [
        ("Kind", KIND_NAMES[source.kind], ""),
        ("Size", _size(source.size_bytes), f"{source.size_bytes:,} bytes"),
        ("SHA-256", f"{source.sha256[:16]}…", source.sha256),
    ]
    if source.opset is not None:
        facts.append(("Opset", str(source.opset), ""))
    if source.producer:
        facts.append(("Producer", source.producer, ""))
    if info.parameter_count:
        facts.append(("Parameters", f"{info.parameter_count:,}", _size(info.weights_bytes)))
    if info.node_count:
        common = sorted(info.op_counts.items(), key=lambda item: -item[1])
        tip = "\n".join(f"{count} × {name}" for name, count in common[:20])
        facts.append(("Operators", f"{info.node_count} of {len(info.op_counts)} types", tip))
    return facts


def _size(size_bytes: int) -> str:
    if size_bytes < 2**20:
        return f"{size_bytes / 2**10:.1f} KiB"
    return (
        f"{size_bytes / 2**20:.1f} MiB" if size_bytes < 2**30 else f"{size_bytes / 2**30:.2f} GiB"
    )


def _dot(colour: QColor) -> QIcon:
    pixmap = QPixmap(24, 24)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(colour)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(2, 2, 20, 20)
    painter.end()
    return QIcon(pixmap)
