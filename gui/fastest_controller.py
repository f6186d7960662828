"""The command "Find the fastest": ask, search, and what is done with its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDialog, QFileDialog

from gui.dialogs.fastest_dialog import FastestDialog, Request
from gui.session_model import SessionModel
from gui.tools import Tools
from profiler import consent
from profiler.compare import lane_name
from profiler.jobs import capabilities
from profiler.search.planning import make_search_plan
from profiler.search.snippet import PROGRAM, write_program
from profiler.types import EngineSpec, ModelInfo, SearchPlan

DEFAULT_BUDGET_S = 120.0


class FastestController(QObject):
    """Signal `begun()` when a search starts."""

    begun = Signal()

    def __init__(self, tools: Tools, model: SessionModel) -> None:
        super().__init__(tools.window)
        self._tools = tools
        self._model = model
        self.budget_s = DEFAULT_BUDGET_S

    def ask(self) -> None:
        """Show the form, and search if it is accepted."""
        info = self._tools.draft.info
        if info is None or self._tools.runs.running:
            return
        dialog = FastestDialog(info.source.kind, self.budget_s, self._tools.window)
        accepted = dialog.exec() == QDialog.DialogCode.Accepted
        request = dialog.request()
        dialog.deleteLater()
        if accepted:
            self.budget_s = request.budget_s
            self.search(info, request)

    def search(self, info: ModelInfo, request: Request) -> None:
        """Look what this machine has, then start."""
        inputs, seed, tolerance = (
            self._tools.draft.inputs,
            self._tools.draft.seed,
            self._tools.draft.tolerance,
        )

        def work(cancelled: Callable[[], bool], _: object) -> SearchPlan:
            here = capabilities(cancelled=cancelled)
            plan = make_search_plan(
                info,
                here,
                inputs=inputs,
                engines=request.engines,
                budget_s=request.budget_s,
                max_memory_bytes=request.max_memory_bytes,
                max_p99_ns=request.max_p99_ns,
                seed=seed,
                tolerance=tolerance,
            )
            return consent.renewed_search(plan, cancelled=cancelled)

        def then(plan: object) -> None:
            assert isinstance(plan, SearchPlan)
            self._tools.runs.start_search(plan)
            self.begun.emit()

        self._tools.opener.prepare("Looking at this machine…", work, then)

    def use(self, spec: EngineSpec) -> None:
        """Make it one of the lanes, unless it is one already."""
        unnamed = msgspec.structs.replace(spec, label="")
        for lane in self._tools.draft.engines:
            if msgspec.structs.replace(lane, label="") == unnamed:
                self._tools.messages.show_note(f"{lane_name(lane)} is one of the lanes already.")
                return
        self._tools.draft.add_engine(spec)

    def save_program(self, spec: EngineSpec) -> None:
        """Ask for a folder, and write the lane's program there."""
        name = QFileDialog.getExistingDirectory(self._tools.window, "Folder of the program")
        if name:
            self.save_to(spec, Path(name))

    def save_to(self, spec: EngineSpec, folder: Path) -> None:
        """Write the lane's program, off the UI thread."""
        session, target = self._model.session, folder / PROGRAM
        self._tools.files.write(
            f"Saved {target}.", target, lambda: write_program(session, spec, folder)
        )
