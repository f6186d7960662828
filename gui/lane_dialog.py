"""A lane's engine and options, as a form that shows only those that apply."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from gui.background import Task
from profiler.compare import ENGINE_NAMES
from profiler.errors import ProfilerError
from profiler.lanes import (
    FLAG,
    Option,
    common_of,
    generates,
    lane_spec,
    options_of,
    takes,
)
from profiler.types import EngineKind, EngineSpec, ModelKind

DEFAULT = "default"
MODEL_FILTER = "Models (*.onnx *.pt *.pth *.jit *.pt2);;All files (*)"


class LaneDialog(QDialog):
    """Ask for one lane; `kind` is the model's. `spec` holds it after it was accepted.

    `generation`: a lane that generates text.
    """

    def __init__(
        self,
        kind: ModelKind,
        spec: EngineSpec | None = None,
        parent: QWidget | None = None,
        *,
        generation: bool = False,
    ) -> None:
        super().__init__(parent)
        self.spec = spec
        self._kind = kind
        self._generation = generation
        self._task: Task | None = None
        self.setWindowTitle("Lane")
        self.setMinimumWidth(460)
        self.engine = QComboBox(self)
        self.label = QLineEdit(self)
        self.label.setPlaceholderText("named after the engine")
        self.label.setAccessibleName("Name")
        self.fields: dict[str, QComboBox | QLineEdit] = {}
        self._form = QFormLayout()
        self._form.addRow("Engine", self.engine)
        self._form.addRow("Name", self.label)
        self.problem = QLabel(self)
        self.problem.setProperty("role", "problem")
        self.problem.setWordWrap(True)
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.problem.hide()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addWidget(self.problem)
        layout.addWidget(buttons)
        self._fill(spec)
        self.engine.currentIndexChanged.connect(lambda: self._build_options(None))

    def _fill(self, spec: EngineSpec | None) -> None:
        kind = spec.model.kind if spec and spec.model else self._kind
        for engine in EngineKind:
            fits = generates if self._generation else takes
            if fits(engine, kind) or (spec and spec.engine is engine):
                self.engine.addItem(ENGINE_NAMES[engine], engine)
        if spec is not None:
            self.engine.setCurrentIndex(self.engine.findData(spec.engine))
            self.label.setText("" if spec.label == spec.engine.value else spec.label)
        self._build_options(spec)

    def _build_options(self, spec: EngineSpec | None) -> None:
        for field in self.fields.values():
            self._form.removeRow(field)
        self.fields.clear()
        engine = EngineKind(self.engine.currentData())
        given = _texts(spec) if spec else {}
        own = options_of(engine, generation=self._generation)
        for name, option in (own | common_of(engine)).items():
            field = self._field(name, option)
            field.setToolTip(option.help)
            if name in given and isinstance(field, QComboBox):
                field.setCurrentText(given[name])
            elif name in given and isinstance(field, QLineEdit):
                field.setText(given[name])
            self.fields[name] = field
            title = name.replace("_", " ").capitalize().replace("Io ", "I/O ").replace("Url", "URL")
            self._form.addRow(title, field)
            # Who wonders what a word means points at the word.
            self._form.labelForField(field).setToolTip(option.help)
        self.adjustSize()

    def _field(self, name: str, option: Option) -> QComboBox | QLineEdit:
        if option.choices or option.takes == FLAG:
            box = QComboBox(self)
            box.addItem(DEFAULT)
            # torch.compile has a mode of this name: the one that it takes anyway.
            box.addItems([c for c in option.choices or ("true", "false") if c != DEFAULT])
            return box
        line = QLineEdit(self)
        example = f"; such as {option.example}" if option.example else ""
        line.setPlaceholderText(f"{DEFAULT}{example}")
        if name == "model":
            line.setPlaceholderText("the model that is open")
            choose = line.addAction(
                self.style().standardIcon(self.style().StandardPixmap.SP_DirOpenIcon),
                QLineEdit.ActionPosition.TrailingPosition,
            )
            choose.setToolTip("Choose a file")
            choose.triggered.connect(lambda: self._choose_file(line))
        return line

    def _choose_file(self, line: QLineEdit) -> None:
        start = str(Path(line.text()).parent) if line.text() else ""
        path, _ = QFileDialog.getOpenFileName(self, "Model of this lane", start, MODEL_FILTER)
        if path:
            line.setText(path)

    def _chosen(self) -> dict[str, str]:
        texts = {
            name: field.currentText() if isinstance(field, QComboBox) else field.text().strip()
            for name, field in self.fields.items()
        }
        return {name: text for name, text in texts.items() if text not in ("", DEFAULT)}

    def _on_made(self, spec: EngineSpec) -> None:
        self.spec = spec
        super().accept()

    def _on_refused(self, error: ProfilerError) -> None:
        """What is wrong is said in the form, which stays open."""
        self.problem.setText(str(error))
        self.problem.show()
        self.setEnabled(True)

    # Qt overrides

    def accept(self) -> None:
        engine = EngineKind(self.engine.currentData())
        label, chosen = self.label.text().strip(), self._chosen()
        # A lane's own model file is read whole, for its hash.
        self._task = Task(
            lambda cancelled, _: lane_spec(
                label, engine, chosen, cancelled, generation=self._generation
            ),
            self,
        )
        self._task.done.connect(self._on_made)
        self._task.failed.connect(self._on_refused)
        self.setEnabled(False)
        self._task.start()

    def done(self, result: int) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task.wait()
        super().done(result)


def _texts(spec: EngineSpec) -> dict[str, str]:
    """A lane's options as a person writes them."""
    values = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in spec.options.items()
    }
    if spec.device != "cpu":
        values["device"] = spec.device
    if spec.model is not None:
        values["model"] = spec.model.path
    return values
