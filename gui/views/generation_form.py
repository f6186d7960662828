"""Whether text is generated, and how much: shown for models with a KV cache."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QCheckBox, QFormLayout, QSpinBox, QWidget

from gui.plan_draft import PlanDraft
from profiler.types import ModelKind

MOST_TOKENS = 1 << 20


class GenerationForm(QWidget):
    """A switch between single calls and generation, and the numbers of tokens."""

    def __init__(self, draft: PlanDraft, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._draft = draft
        self.generates = QCheckBox("Generate text, token by token", self)
        self.generates.setToolTip("Time to first token and inter-token latency, in place of calls")
        self.prompt = self._spin_box(1, "Tokens of the prefill")
        self.new = self._spin_box(2, "Tokens that are generated, the prefill's first included")
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 8, 0, 0)
        self._form.addRow(self.generates)
        self._form.addRow("Prompt tokens", self.prompt)
        self._form.addRow("New tokens", self.new)
        self.generates.toggled.connect(self._on_toggled)
        self.prompt.valueChanged.connect(self._on_tokens_changed)
        self.new.valueChanged.connect(self._on_tokens_changed)
        draft.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the draft."""
        info = self._draft.info
        self.setVisible(info is not None and info.generation is not None)
        with QSignalBlocker(self.generates), QSignalBlocker(self.prompt), QSignalBlocker(self.new):
            self.generates.setChecked(self._draft.generates)
            self.prompt.setValue(self._draft.prompt_tokens)
            self.new.setValue(self._draft.new_tokens)
        # Its folder holds no graph to call.
        always = info is not None and info.source.kind in (
            ModelKind.TRANSFORMERS,
            ModelKind.ENDPOINT,
        )
        self.generates.setEnabled(not always)
        for box in (self.prompt, self.new):
            self._form.setRowVisible(box, self._draft.generates)

    def _spin_box(self, low: int, tip: str) -> QSpinBox:
        box = QSpinBox(self)
        box.setRange(low, MOST_TOKENS)
        box.setToolTip(tip)
        box.setAccessibleName(tip)
        return box

    def _on_toggled(self, checked: bool) -> None:
        self._draft.set_generates(checked)

    def _on_tokens_changed(self) -> None:
        self._draft.prompt_tokens = self.prompt.value()
        self._draft.new_tokens = self.new.value()
