"""The sweep's commands: ask what to vary, run, go on, open a point, export."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from gui.dialogs.sweep_dialog import SweepDialog
from gui.session_model import SessionModel
from gui.sweep_model import SweepModel
from gui.tools import Tools
from profiler.errors import ProfilerError
from profiler.session import Session
from profiler.sweep.exporters import FORMATS, export_sweep
from profiler.types import SweepPlan


class SweepController(QObject):
    """Works on the sweep that is shown. Signal `point_shown(index)`: its session is there."""

    point_shown = Signal(int)

    def __init__(self, tools: Tools, model: SweepModel, sessions: SessionModel) -> None:
        super().__init__(tools.window)
        self._tools = tools
        self._model = model
        self._sessions = sessions
        self._opened: tuple[Path | None, int] | None = None
        sessions.session_reset.connect(self._on_session_reset)
        tools.opener.point_opened.connect(self._on_point_opened)

    def ask(self) -> None:
        """Show the form, and begin if it is accepted."""
        if self._tools.draft.info is None or self._tools.runs.running:
            return
        try:
            dialog = SweepDialog(self._tools.draft.plan(), self._tools.window)
        except ProfilerError as error:
            self._tools.messages.show_error(error)
            return
        dialog.accepted.connect(lambda: self.start(dialog.sweep()))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def resume(self) -> None:
        """Go on with the points that are left."""
        plan, path = self._model.sweep.plan, self._model.path
        if plan is not None and path is not None and not self._tools.runs.running:
            self.start(plan, path)

    def start(self, sweep: SweepPlan, resumed: Path | None = None) -> None:
        """Measure every point; `resumed`: the file of a sweep to go on with."""
        self._tools.messages.clear()
        self._tools.opener.check(
            sweep.plan,
            lambda plan: self._tools.runs.start_sweep(
                SweepPlan(plan=plan, axes=sweep.axes, seed=sweep.seed), resumed
            ),
        )

    def open_point(self, index: int) -> None:
        """Show one point of the sweep as a session; it is read where it isn't shown already."""
        path = self._model.path
        if self._tools.runs.running:
            self._tools.messages.show_note(
                "Points can be opened when the sweep has ended.", "Stop it first (Shift+F5)."
            )
        elif self._opened == (path, index):
            # Another point may be on its way.
            self._tools.opener.cancel()
            self.point_shown.emit(index)
        elif path is not None:
            self._tools.opener.open_point(path, index)

    def _on_point_opened(self, session: Session, index: int) -> None:
        self._sessions.show(session, None)
        self._opened = (self._model.path, index)
        self.point_shown.emit(index)

    def _on_session_reset(self) -> None:
        self._opened = None

    def ask_export(self, name: str) -> None:
        """Ask where to, and write the sweep in a format."""
        path = self._model.path
        target = self._tools.files.ask_target(FORMATS[name], path.stem if path else "sweep")
        if target is not None:
            self.export(name, target)

    def export(self, name: str, target: Path) -> None:
        """Write the sweep in a format, off the UI thread."""
        sweep = self._model.sweep
        self._tools.files.write(
            f"Exported {target.name}.", target, lambda: export_sweep(sweep, name, target)
        )
