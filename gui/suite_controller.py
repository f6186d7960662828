"""The suite's commands: look at the machine, run, open sessions and earlier suites, export."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog

from gui.settings import sessions_folder
from gui.suite_model import SuiteModel
from gui.tools import Tools
from profiler.jobs import capabilities
from profiler.suite.catalogue import CATALOGUE
from profiler.suite.models import check_library
from profiler.suite.planning import suite_plan
from profiler.suite.records import SuitePlan
from profiler.suite.state import Suite
from profiler.suite.suite_file import JSON, read_suite
from profiler.suite.table import FORMATS


class SuiteController(QObject):
    """Signal `session_wanted(Path)`: of a row."""

    session_wanted = Signal(object)

    def __init__(self, tools: Tools, model: SuiteModel) -> None:
        super().__init__(tools.window)
        self._tools = tools
        self._model = model

    def start(self, quick: bool) -> None:
        """Begin a suite in a folder of its own."""
        self._start(quick, sessions_folder() / time.strftime("suite-%Y%m%d-%H%M%S"))

    def resume(self) -> None:
        """Go on with the suite that is shown."""
        plan, folder = self._model.suite.plan, self._model.folder
        if plan is not None and folder is not None:
            self._start(plan.quick, folder)

    def _start(self, quick: bool, folder: Path) -> None:
        if self._tools.runs.running:
            return

        def work(cancelled: Callable[[], bool], _: object) -> SuitePlan:
            check_library()
            return suite_plan(CATALOGUE, capabilities(cancelled=cancelled), quick=quick)

        def then(plan: object) -> None:
            assert isinstance(plan, SuitePlan)
            self._tools.runs.start_suite(plan, folder)

        self._tools.opener.prepare("Looking at this machine…", work, then)

    def choose(self) -> None:
        """Ask for an earlier suite, and show it."""
        start = str(self._model.folder or sessions_folder())
        name, _ = QFileDialog.getOpenFileName(
            self._tools.window, "Open suite", start, f"Suite ({JSON})"
        )
        if name:
            self.open(Path(name))

    def open(self, path: Path) -> None:
        """Show the suite of that `suite.json`."""

        def then(suite: object) -> None:
            assert isinstance(suite, Suite)
            self._model.show(suite, path.parent)

        self._tools.opener.prepare(f"Reading {path.name}…", lambda *_: read_suite(path), then)

    def open_session(self, name: str) -> None:
        """One run of the suite, as a session."""
        if self._model.folder is not None and name:
            self.session_wanted.emit(self._model.folder / name)

    def ask_export(self, name: str) -> None:
        """Ask where to, and write."""
        folder = self._model.folder or sessions_folder()
        target = self._tools.files.ask_target(FORMATS[name], folder / "table")
        if target is not None:
            self.export(name, target)

    def export(self, name: str, target: Path) -> None:
        """Write the suite in a format, off the UI thread."""
        suite, exporter = self._model.suite, FORMATS[name]
        self._tools.files.write(
            f"Exported {target.name}.", target, lambda: exporter.write(suite, target)
        )
