"""Prices and demand, as the person knows them."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from profiler.types import CostSettings

DEVICE, PRICE = range(2)
LARGEST = 1e12
FIRST_DEVICES = ("cpu", "cuda")
WRONG = "✗"
FIELD_WIDTH = 100


class CostForm(QWidget):
    """Signal `changed(CostSettings)` after each edit."""

    changed = Signal(object)

    def __init__(self, settings: CostSettings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.prices = QTableWidget(0, 2, self)
        self.currency = QLineEdit(self)
        self.requests = self._number(0, "not told", "Samples; a call takes a batch of them")
        self.utilization = self._number(1, "", "Share of its paid time that a machine works")
        self.replicas = QSpinBox(self)
        self.kwh = self._number(4, "not told", "Counts where a lane's GPU told its power")
        self.own = self._number(2, "", "Your work on converting and checking, once")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 8, 10, 8)
        layout.addLayout(self._above_prices())
        layout.addWidget(self.prices)
        layout.addLayout(self._fields())
        layout.addStretch(1)
        self._set_up_prices()
        self._show(settings)
        self.prices.itemChanged.connect(self._on_edited)
        self.currency.editingFinished.connect(self._on_edited)
        self.replicas.valueChanged.connect(self._on_edited)
        for box in (self.requests, self.utilization, self.kwh, self.own):
            box.valueChanged.connect(self._on_edited)

    def _above_prices(self) -> QHBoxLayout:
        add, remove = QToolButton(self), QToolButton(self)
        add.setText("+")
        add.setToolTip("Add a device")
        add.clicked.connect(self._on_add)
        remove.setText("−")
        remove.setToolTip("Remove the chosen device")
        remove.clicked.connect(self._on_remove)
        caption = QLabel("Prices", self)
        caption.setProperty("role", "heading")
        layout = QHBoxLayout()
        layout.addWidget(caption)
        layout.addStretch(1)
        layout.addWidget(add)
        layout.addWidget(remove)
        return layout

    def _set_up_prices(self) -> None:
        self.prices.setHorizontalHeaderLabels(["Device", "Price per hour"])
        self.prices.verticalHeader().hide()
        self.prices.verticalHeader().setDefaultSectionSize(26)
        self.prices.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.prices.setFixedHeight(128)
        self.prices.setToolTip(
            "cpu: a machine without a GPU; cuda: one with any GPU; or a GPU's name, or cuda:0"
        )

    def _fields(self) -> QFormLayout:
        self.currency.setPlaceholderText("EUR, USD …")
        self.currency.setMaxLength(8)
        self.utilization.setRange(1, 100)
        self.utilization.setSuffix(" %")
        self.replicas.setRange(1, 1_000_000)
        self.replicas.setToolTip("Machines that are kept on at the least")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for text, field in (
            ("Currency", self.currency),
            ("Requests per day", self.requests),
            ("Utilization", self.utilization),
            ("Replicas", self.replicas),
            ("Price per kWh", self.kwh),
            ("Conversion, own cost", self.own),
        ):
            # The largest number that fits in would make the form wider than its column.
            field.setMinimumWidth(FIELD_WIDTH)
            form.addRow(text, field)
        return form

    def settings(self) -> CostSettings:
        """What stands in the form; a row without a device or a price counts for nothing."""
        return CostSettings(
            prices=dict(filter(None, (self._row(row) for row in range(self.prices.rowCount())))),
            currency=self.currency.text().strip(),
            requests_per_day=self.requests.value() or None,
            utilization=self.utilization.value() / 100,
            replicas=self.replicas.value(),
            price_per_kwh=self.kwh.value() or None,
            own_cost=self.own.value(),
        )

    def _row(self, row: int) -> tuple[str, float] | None:
        device, price = self.prices.item(row, DEVICE), self.prices.item(row, PRICE)
        if device is None or price is None:
            return None
        value = parse_price(price.text().replace(WRONG, ""))
        return (device.text().strip(), value) if device.text().strip() and value else None

    def _show(self, settings: CostSettings) -> None:
        prices: dict[str, float | None] = dict.fromkeys(FIRST_DEVICES)
        prices.update(settings.prices)
        for device, price in prices.items():
            self._append(device, "" if price is None else f"{price:g}")
        self.currency.setText(settings.currency)
        self.requests.setValue(settings.requests_per_day or 0)
        self.utilization.setValue(settings.utilization * 100)
        self.replicas.setValue(settings.replicas)
        self.kwh.setValue(settings.price_per_kwh or 0)
        self.own.setValue(settings.own_cost)

    def _append(self, device: str, price: str) -> None:
        with QSignalBlocker(self.prices):
            row = self.prices.rowCount()
            self.prices.insertRow(row)
            self.prices.setItem(row, DEVICE, QTableWidgetItem(device))
            item = QTableWidgetItem(price)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.prices.setItem(row, PRICE, item)

    def _number(self, decimals: int, none: str, tip: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox(self)
        box.setDecimals(decimals)
        box.setRange(0, LARGEST)
        box.setGroupSeparatorShown(True)
        box.setSpecialValueText(none)
        box.setToolTip(tip)
        box.setKeyboardTracking(False)
        box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        return box

    def _on_add(self) -> None:
        self._append("", "")
        row = self.prices.rowCount() - 1
        self.prices.setCurrentCell(row, DEVICE)
        item = self.prices.item(row, DEVICE)
        if item is not None:
            self.prices.editItem(item)

    def _on_remove(self) -> None:
        if self.prices.currentRow() >= 0:
            self.prices.removeRow(self.prices.currentRow())
            self._on_edited()

    def _on_edited(self) -> None:
        self._mark()
        self.changed.emit(self.settings())

    def _mark(self) -> None:
        """A price that is no number says so where it stands."""
        with QSignalBlocker(self.prices):
            for row in range(self.prices.rowCount()):
                item = self.prices.item(row, PRICE)
                if item is not None:
                    text = item.text().replace(WRONG, "").strip()
                    wrong = bool(text) and parse_price(text) is None
                    item.setToolTip("Write a number above 0, such as 1.20" if wrong else "")
                    item.setText(f"{text}  {WRONG}" if wrong else text)


def parse_price(text: str) -> float | None:
    """`1.20` or `1,20`; None for anything that isn't a number above 0."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return value if 0 < value < LARGEST else None
