"""Weights without a model: what builds the module? Offers what fits."""

from __future__ import annotations

from pathlib import Path

import msgspec
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from gui.reasons import allow
from profiler.consent import WHAT, FactoryNeededError
from profiler.errors import ProfilerError
from profiler.model_options import parse_argument
from profiler.types import Factory

OTHER = "another one, written below"
EXPLAINED = (
    "The factory is Python code: it and what it imports run in processes of their own, never in "
    "this window, and have no network where the system allows that. It can still read and change "
    "your files. File, Trusted Files… takes the consent back."
)
MOST_KEYS = 6


class FactoryDialog(QDialog):
    """Accepted: the person agrees to run `factory()`."""

    def __init__(
        self, error: FactoryNeededError, before: Factory | None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("What builds this model?")
        self.setMinimumWidth(640)
        self._guesses = error.guesses.factories
        self.guess = QComboBox(self)
        self.guess.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.target = QLineEdit(self)
        self.target.setPlaceholderText("package.module:name  or  path/to/file.py:name")
        self.arguments = QPlainTextEdit(self)
        self.arguments.setPlaceholderText("num_classes=10")
        self.arguments.setFixedHeight(72)
        self.browse = QPushButton("Python File…", self)
        self.browse.setAutoDefault(False)
        self.problem = QLabel(self)
        self.problem.setWordWrap(True)
        self.problem.setStyleSheet(f"color: {theme.BAD}")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel, self)
        self.run_button = self.buttons.addButton(
            "Run Factory and Open", QDialogButtonBox.ButtonRole.AcceptRole
        )
        self._build(error)
        self._fill_guesses()
        self._connect()
        if before is not None:
            self._show(before)
        self._refresh()

    def factory(self) -> Factory:
        """What was chosen. Raises PlanError for arguments that can't be read."""
        lines = [line.strip() for line in self.arguments.toPlainText().splitlines()]
        arguments = dict(parse_argument(line) for line in lines if line)
        return Factory(target=self.target.text().strip(), arguments=arguments)

    def _build(self, error: FactoryNeededError) -> None:
        guesses = error.guesses
        keys = ", ".join(guesses.keys[:MOST_KEYS])
        what = (
            f"{Path(error.source.path).name} is a {WHAT[error.source.kind]} with {guesses.count} "
            "tensors, but without a model."
        )
        title, tensors = QLabel(what, self), QLabel(f"Tensors: {keys}, …", self)
        notes = QLabel("\n".join(guesses.notes), self)
        explained = QLabel(EXPLAINED, self)
        for label in (title, tensors, notes, explained):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        tensors.setProperty("role", "caption")
        notes.setVisible(bool(guesses.notes))
        row = QHBoxLayout()
        row.addWidget(self.target, 1)
        row.addWidget(self.browse)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Fits", self.guess)
        form.addRow("Factory", row)
        form.addRow("Arguments", self.arguments)
        layout = QVBoxLayout(self)
        layout.setSpacing(10)
        for widget in (title, tensors, notes):
            layout.addWidget(widget)
        layout.addLayout(form)
        layout.addWidget(self.problem)
        layout.addWidget(explained)
        layout.addWidget(self.buttons)

    def _fill_guesses(self) -> None:
        for factory in self._guesses:
            values = ", ".join(f"{k}={v}" for k, v in factory.arguments.items() if k != "config")
            self.guess.addItem(f"{factory.target}({values})" if values else factory.target)
        self.guess.addItem(OTHER if self._guesses else "none of the installed packages")
        self.guess.setEnabled(bool(self._guesses))
        if self._guesses:
            self._show(self._guesses[0])

    def _connect(self) -> None:
        self.guess.activated.connect(self._on_guess)
        self.browse.clicked.connect(self._on_browse)
        self.target.textChanged.connect(self._refresh)
        self.arguments.textChanged.connect(self._refresh)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)

    def _show(self, factory: Factory) -> None:
        self.target.setText(factory.target)
        lines = [f"{k}={msgspec.json.encode(v).decode()}" for k, v in factory.arguments.items()]
        self.arguments.setPlainText("\n".join(lines))

    def _on_guess(self, index: int) -> None:
        if index < len(self._guesses):
            self._show(self._guesses[index])
        else:
            self._show(Factory(target=""))
            self.target.setFocus()

    def _on_browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Python file", "", "Python (*.py)")
        if path:
            self.target.setText(f"{path}:")
            self.target.setFocus()

    def _refresh(self) -> None:
        problem = ""
        try:
            self.factory()
        except ProfilerError as error:
            problem = str(error)
        place, _, name = self.target.text().strip().rpartition(":")
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        unnamed = "" if place and name else "Name a factory, as package.module:name or file.py:name"
        allow(self.run_button, problem.rstrip(".") or unnamed)
        shown = self.factory() if not problem else None
        if shown in self._guesses:
            self.guess.setCurrentIndex(self._guesses.index(shown))
        else:
            self.guess.setCurrentIndex(len(self._guesses))
