"""Which form of a model is drawn: its own file, what lanes ran, or a conversion made for it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from gui.opener import DRAWN_AS_THEY_ARE, Opener
from gui.views.graph_panel import GraphPanel
from profiler.errors import ProfilerError
from profiler.lanes import ONNX
from profiler.session import Session
from profiler.types import InputSpec, ModelInfo, ModelKind, ModelSource

Inputs = tuple[InputSpec, ...]


class GraphDrawing(QObject):
    """Fills the graph's panel."""

    def __init__(self, panel: GraphPanel, opener: Opener) -> None:
        super().__init__(panel)
        self._panel = panel
        self._opener = opener
        self._put_off = False
        opener.form_found.connect(lambda path: panel.add_form("ONNX form", path))
        opener.form_failed.connect(self._on_form_failed)

    def draw(self, source: ModelSource, inputs: Inputs) -> None:
        """The file as it is, or its ONNX form as soon as there is one."""
        path = Path(source.path)
        if source.kind in DRAWN_AS_THEY_ARE:
            name = "TorchScript" if source.kind is ModelKind.TORCHSCRIPT else "ONNX"
            self._panel.show_forms([(name, path)])
        else:
            self._panel.show_text("Converting to ONNX, to draw the graph…")
            self._opener.find_form(source, inputs)

    def draw_measured(
        self, source: ModelSource, inputs: Inputs, session: Session | None = None
    ) -> None:
        """Of a session or sweep that was read: its model may be gone."""
        path = Path(source.path)
        measured = _onnx_form(session) if session is not None else None
        if measured is not None and source.kind not in DRAWN_AS_THEY_ARE:
            # What the lanes ran: neither converted again nor asked about.
            self._panel.show_forms([("ONNX form", measured)])
        elif path.exists():
            self.draw(source, inputs)
        else:
            self._panel.show_text(
                f"{path.name} isn't on this machine, so there is no graph to draw."
            )

    def put_off(self) -> None:
        """A conversion beside the lanes would take the CPU that they are measured on."""
        self._put_off = self._opener.drop_form()
        if self._put_off:
            self._panel.show_text("The graph is drawn when the run has ended.")

    def make_up(self, info: ModelInfo | None) -> None:
        """Draw what was put off, unless a lane's conversion did."""
        if self._put_off and info is not None and not self._panel.form.count():
            self.draw(info.source, info.inputs)
        self._put_off = False

    def _on_form_failed(self, error: ProfilerError) -> None:
        self._panel.show_text(f"There is no graph to draw: {error.message}\n{error.hint}")


def _onnx_form(session: Session) -> Path | None:
    """The ONNX file that lanes of the session ran, where it is still there."""
    paths = [Path(event.model.path) for event in session.converted if event.form == ONNX]
    return next((path for path in paths if path.exists()), None)
