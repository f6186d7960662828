"""The model's inputs: dtype, shape and fill can be changed in place."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from gui.dialogs.bounds_dialog import BoundsDialog
from gui.plan_draft import PlanDraft
from profiler.errors import InputError, ProfilerError
from profiler.inputs import (
    BOUNDED,
    DTYPES,
    apply_overrides,
    describe_shape,
    with_dtype,
    with_fill,
    with_shape,
)
from profiler.types import Fill, InputSpec

NAME, DTYPE, SHAPE, FILL = range(4)
MOST_ROWS_SHOWN = 7


class InputsTable(QTableWidget):
    """Signal `refused(ProfilerError)` for a value that doesn't fit; the old one stays."""

    refused = Signal(object)

    def __init__(self, draft: PlanDraft, parent: QWidget | None = None) -> None:
        super().__init__(0, 4, parent)
        self._draft = draft
        self.setHorizontalHeaderLabels(["Input", "dtype", "Shape", "Fill"])
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(28)
        self.setShowGrid(False)
        self.setVerticalScrollMode(QTableWidget.ScrollMode.ScrollPerPixel)
        header = self.horizontalHeader()
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(DTYPE, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(SHAPE, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(FILL, QHeaderView.ResizeMode.Fixed)
        header.setMinimumSectionSize(56)
        self.setColumnWidth(FILL, 86)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.itemChanged.connect(self._on_item_changed)
        draft.changed.connect(self.reload)
        self.reload()

    def reload(self) -> None:
        """Show the draft's inputs."""
        with QSignalBlocker(self):
            self.setRowCount(len(self._draft.inputs))
            for row, spec in enumerate(self._draft.inputs):
                self._show(row, spec)
        self._order_tabs()
        # A name says more than a dtype that can't be changed.
        guessed = any(spec.guessed for spec in self._draft.inputs)
        self.setColumnWidth(DTYPE, 84 if guessed else 62)
        rows = min(max(1, self.rowCount()), MOST_ROWS_SHOWN)
        height = max(28, self.horizontalHeader().sizeHint().height()) + 28 * rows + 4
        self.setFixedHeight(height)

    def _order_tabs(self) -> None:
        """What stands in cells comes after the table; else it would come last in the window."""
        cells = (self.cellWidget(row, c) for row in range(self.rowCount()) for c in (DTYPE, FILL))
        for one, other in pairwise((self, *filter(None, cells))):
            self.setTabOrder(one, other)

    def _show(self, row: int, spec: InputSpec) -> None:
        name = QTableWidgetItem(spec.name)
        name.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        name.setToolTip(f"{spec.name}: {spec.dtype} {describe_shape(spec)}")
        self.setItem(row, NAME, name)
        shape = QTableWidgetItem("×".join(str(size) for size in spec.shape) or "scalar")
        dynamic = [symbol for symbol in spec.symbols if symbol]
        hint = f"dynamic: {', '.join(dynamic)}" if dynamic else "fixed by the model"
        shape.setToolTip(f"{describe_shape(spec)}\n{hint}")
        if not dynamic and not spec.guessed:
            shape.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        self.setItem(row, SHAPE, shape)
        self.removeCellWidget(row, DTYPE)
        dtype = QTableWidgetItem("" if spec.guessed else spec.dtype)
        dtype.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        dtype.setToolTip("fixed by the model")
        self.setItem(row, DTYPE, dtype)
        if spec.guessed:
            self.setCellWidget(row, DTYPE, self._dtype_box(spec))
        self.setCellWidget(row, FILL, self._fill_box(spec))

    def _dtype_box(self, spec: InputSpec) -> QComboBox:
        box = QComboBox(self)
        box.addItems(list(DTYPES))
        box.setCurrentText(spec.dtype)
        box.textActivated.connect(lambda text: self._try(lambda: with_dtype(spec, text)))
        return box

    def _fill_box(self, spec: InputSpec) -> QComboBox:
        box = QComboBox(self)
        for fill in Fill:
            asks = fill is Fill.FILE or fill in BOUNDED
            box.addItem(f"{fill.value}…" if asks else fill.value, fill)
        box.setCurrentIndex(box.findData(spec.fill))
        bounds = f"\nfrom {spec.low:g} to {spec.high:g}" if spec.fill in BOUNDED else ""
        box.setToolTip(spec.path or f"How values are made; the same for every lane.{bounds}")
        box.activated.connect(lambda: self._on_fill_chosen(spec, Fill(box.currentData())))
        return box

    def _on_fill_chosen(self, spec: InputSpec, fill: Fill) -> None:
        if fill in BOUNDED:
            self._ask_bounds(spec, fill)
            return
        if fill is not Fill.FILE:
            self._try(lambda: with_fill(spec, fill))
            return
        path, _ = QFileDialog.getOpenFileName(
            self, f"Values for {spec.name}", "", "Values (*.npy *.npz *.pb *.json)"
        )
        if not path:
            self.reload()
            return
        name = str(Path(path))
        self._try(lambda: apply_overrides([spec], [f"{spec.name}={name}"])[0])

    def _ask_bounds(self, spec: InputSpec, fill: Fill) -> None:
        dialog = BoundsDialog(spec, fill, self)
        dialog.accepted.connect(lambda: self._try(lambda: with_fill(spec, fill, *dialog.bounds())))
        dialog.rejected.connect(self.reload)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        spec = self._draft.inputs[item.row()]
        self._try(lambda: with_shape(spec, parse_shape(item.text())))

    def _try(self, change: object) -> None:
        assert callable(change)
        try:
            spec = change()
        except ProfilerError as error:
            self.reload()
            self.refused.emit(error)
            return
        self._draft.set_input(spec)


def parse_shape(text: str) -> tuple[int, ...]:
    """`1 × 3 × 224 × 224`, `1,3,224,224` or `1x3x224`. Raises InputError."""
    if text.strip() in ("", "scalar"):
        return ()
    parts = [part for part in re.split(r"[\s,x×\[\]()]+", text) if part]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"{text!r} is no shape.", "Write for example 1, 3, 224, 224.")
    return tuple(int(part) for part in parts)
