"""The graph with its few tools: which form of the model, zoom, search."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from gui import theme
from gui.graph.heat_map import Colouring, Legend, colourings, node_colours
from gui.graph.view import GraphView
from gui.session_model import SessionModel
from gui.views.trace_note import TraceNote

ZOOM_STEP = 1.25
OWN_COLOURS = "colours by op type"
COLOUR_TIP = (
    "What colours the nodes: a lane's time, the difference of two lanes, or the size of what a "
    "node's operators give as outputs in one iteration"
)
WELCOME = "Drop a .pt, .onnx or .dualscope file anywhere on this window,\nor open one with Ctrl+O."


class GraphPanel(QWidget):
    """Signal `node_selected(value name)` when a person chooses a node."""

    node_selected = Signal(str)

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._colourings: list[Colouring] = []
        self.graph = GraphView(self)
        self.form = QComboBox(self)
        self.form.setToolTip("The model's form that is drawn")
        self.colour = QComboBox(self)
        self.colour.setToolTip(COLOUR_TIP)
        self.colour.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.colour.addItem(OWN_COLOURS)
        self.legend = Legend(self)
        self.note = TraceNote(model, self)
        self._facts = QLabel(self)
        self._facts.setProperty("role", "caption")
        bar = QHBoxLayout()
        bar.setContentsMargins(8, 4, 8, 4)
        bar.addWidget(self.form)
        bar.addWidget(self.colour)
        bar.addWidget(self.legend)
        bar.addSpacing(8)
        bar.addWidget(self._facts)
        bar.addStretch(1)
        for text, tip, slot in (
            ("−", "Zoom out (Ctrl+-)", lambda: self.graph.zoom(1 / ZOOM_STEP)),
            ("1:1", "Original size (Ctrl+0)", lambda: self.graph.zoom(0)),
            ("+", "Zoom in (Ctrl++)", lambda: self.graph.zoom(ZOOM_STEP)),
            ("Find", "Find a node (Ctrl+F)", self.graph.open_search),
        ):
            button = QToolButton(self)
            button.setText(text)
            button.setToolTip(tip)
            button.setAutoRaise(True)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(slot)
            bar.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self.note)
        layout.addWidget(self.graph, 1)
        self.form.activated.connect(self._on_form_chosen)
        self.colour.currentIndexChanged.connect(self.recolour)
        model.session_reset.connect(self._offer_colours)
        model.operators_changed.connect(self._offer_colours)
        self.graph.node_selected.connect(self.node_selected)
        self.graph.loaded.connect(self._on_loaded)
        self.graph.failed.connect(lambda: self._facts.setText(""))
        self.show_text(WELCOME)

    @property
    def facts(self) -> str:
        """What stands beside the tools: "75 nodes", once the graph is drawn."""
        return self._facts.text()

    def show_text(self, text: str) -> None:
        """No graph, but a word on why."""
        self.form.clear()
        self._facts.setText("")
        self.graph.clear()
        self.graph.say(text)
        self._show_tools()

    def show_forms(self, forms: list[tuple[str, Path]]) -> None:
        """Files that hold the model's graph, by name; the first is drawn."""
        self.form.clear()
        for name, path in forms:
            self.form.addItem(name, path)
        self._show_tools()
        self._draw()

    def add_form(self, name: str, path: Path) -> None:
        """Another form that can be chosen from now on."""
        known = {self.form.itemData(index) for index in range(self.form.count())}
        if path in known:
            return
        self.form.addItem(name, path)
        self._show_tools()
        if self.form.count() == 1:
            self._draw()

    def select_node(self, value_name: str) -> None:
        """Show where this node is."""
        self.graph.select_node(value_name)

    def recolour(self) -> None:
        """Colour the nodes by what is chosen, in the theme's colours."""
        number = self.colour.currentIndex() - 1
        if not 0 <= number < len(self._colourings):
            self.graph.show_heat({})
            self.legend.show_scale(0.0, signed=False)
            self.note.show_lanes(())
            return
        chosen = self._colourings[number]
        colours, largest = node_colours(
            chosen.heat(), signed=chosen.signed, dark=theme.is_dark(), written=chosen.written
        )
        self.graph.show_heat(colours)
        self.legend.show_scale(largest, signed=chosen.signed, written=chosen.written)
        self.note.show_lanes(chosen.lanes)

    def _offer_colours(self) -> None:
        """What the session has; the choice stays where it can, else a first one is made."""
        self._colourings = colourings(self._model.session)
        texts = [one.text for one in self._colourings]
        before = self.colour.currentText()
        self.colour.blockSignals(True)
        self.colour.clear()
        self.colour.addItems([OWN_COLOURS, *texts])
        wanted = self.colour.findText(before)
        self.colour.setCurrentIndex(max(0, wanted))
        self.colour.blockSignals(False)
        self.colour.setVisible(bool(texts))
        self.recolour()

    def _show_tools(self) -> None:
        self.form.setVisible(self.form.count() > 1)

    def _on_form_chosen(self) -> None:
        self._draw()

    def _draw(self) -> None:
        path = self.form.currentData()
        if path is not None:
            self._facts.setText("drawing…")
            self.graph.show_model(path)

    def _on_loaded(self, node_count: int) -> None:
        self._facts.setText(f"{node_count} nodes")
