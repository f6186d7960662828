"""The sweep's commands: ask what to vary, run, go on, open a point, export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from gui.dialogs.sweep_dialog import SweepDialog
from gui.message_bar import MessageBar
from gui.opener import Opener
from gui.plan_draft import PlanDraft
from gui.run_controller import RunController
from gui.sweep_model import SweepModel
from profiler.errors import ProfilerError
from profiler.sweep.exporters import export_sweep
from profiler.types import SweepPlan

Write = Callable[[str, Path, object], None]


class SweepController(QObject):
    """`write(done_text, target, work)` works off the UI thread."""

    def __init__(
        self,
        draft: PlanDraft,
        opener: Opener,
        runs: RunController,
        model: SweepModel,
        messages: MessageBar,
        write: Write,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._window = parent
        self._draft = draft
        self._opener = opener
        self._runs = runs
        self._model = model
        self._messages = messages
        self._write = write

    def ask(self) -> None:
        """Show the form, and begin if it is accepted."""
        if self._draft.info is None or self._runs.running:
            return
        try:
            dialog = SweepDialog(self._draft.plan(), self._window)
        except ProfilerError as error:
            self._messages.show_error(error)
            return
        dialog.accepted.connect(lambda: self.start(dialog.sweep()))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def resume(self) -> None:
        """Go on with the points that are left."""
        plan, path = self._model.sweep.plan, self._model.path
        if plan is not None and path is not None and not self._runs.running:
            self.start(plan, path)

    def start(self, sweep: SweepPlan, resumed: Path | None = None) -> None:
        """Measure every point; `resumed`: the file of a sweep to go on with."""
        self._messages.clear()
        self._opener.check(
            sweep.plan,
            lambda plan: self._runs.start_sweep(
                SweepPlan(plan=plan, axes=sweep.axes, seed=sweep.seed), resumed
            ),
        )

    def open_point(self, index: int) -> None:
        """Show one point of the sweep as a session."""
        path = self._model.path
        if self._runs.running:
            self._messages.show_note(
                "Points can be opened when the sweep has ended.", "Stop it first (Shift+F5)."
            )
        elif path is not None:
            self._opener.open_point(path, index)

    def export(self, name: str, target: Path) -> None:
        """Write the sweep in a format, off the UI thread."""
        sweep = self._model.sweep
        self._write(f"Exported {target.name}.", target, lambda: export_sweep(sweep, name, target))
