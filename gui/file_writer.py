"""Saves and exports what the window shows, off the UI thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from gui.background import Task
from gui.session_model import SessionModel
from gui.settings import Settings
from profiler.exporters import Exporter, export
from profiler.session import Session
from profiler.session_database import copy_session
from profiler.session_schema import SUFFIX


class FileWriter(QObject):
    """Signals `written(str)`: what was done; `failed(ProfilerError)`."""

    written = Signal(str)
    failed = Signal(object)

    def __init__(self, model: SessionModel, settings: Settings, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self._model = model
        self._settings = settings
        self._tasks: set[Task] = set()

    def save(self, source: Path) -> None:
        """Ask where to, and copy a session's file there."""
        target = self._ask_path(
            "Save session", self._folder() / f"{source.stem}{SUFFIX}", "Session"
        )
        if target is not None:
            self.write(f"Saved {target.name}.", target, lambda: copy_session(source, target))

    def missing(self, exporter: Exporter[Session]) -> str:
        """Why the session has nothing for a format; "" where it has."""
        return exporter.missing(self._model.session)

    def ask_export(self, exporter: Exporter[Session]) -> None:
        """Ask where to, and write the session in a format."""
        path = self._model.path
        target = self.ask_target(exporter, path.stem if path else "session")
        if target is not None:
            self.export(exporter, target)

    def ask_target(self, exporter: Exporter[Any], stem: str | Path) -> Path | None:
        """Ask for a file to export to; None when the person changed their mind.

        `stem`, which may have a folder, is proposed with the format's name, so that two formats of
        one suffix are two files; not where the suffix says it already.
        """
        told = exporter.suffix == f".{exporter.name}"
        name = f"{stem}{exporter.suffix}" if told else f"{stem}-{exporter.name}{exporter.suffix}"
        start = self._folder() / name
        return self._ask_path(f"Export {exporter.description}", start, exporter.description)

    def export(self, exporter: Exporter[Session], target: Path) -> None:
        """Write the session in a format."""
        session = self._model.session
        self.write(
            f"Exported {target.name}.", target, lambda: export(session, exporter.name, target)
        )

    def write(self, done_text: str, target: Path, work: object) -> None:
        """Do the work, which writes `target`, and tell."""
        assert callable(work)
        self._settings.export_folder = str(target.parent)
        task = Task(lambda *_: work(), self)
        task.done.connect(lambda _: self.written.emit(done_text))
        task.failed.connect(self.failed)
        task.finished.connect(lambda: self._on_finished(task))
        self._tasks.add(task)
        task.start()

    def wait(self) -> None:
        """A file that was asked for is written to its end."""
        for task in self._tasks:
            task.wait()

    def _ask_path(self, title: str, start: Path, kind: str) -> Path | None:
        """A name that ends as `start` does, whatever was typed."""
        suffix = start.suffix
        name, _ = QFileDialog.getSaveFileName(
            self._window, title, str(start), f"{kind} (*{suffix})"
        )
        if not name or name.endswith(suffix):
            return Path(name) if name else None
        # The dialog asked about the name without the suffix.
        target = Path(name + suffix)
        return target if not target.exists() or self._may_replace(target) else None

    def _may_replace(self, target: Path) -> bool:
        answer = QMessageBox.question(self._window, "Replace", f"{target.name} exists. Replace it?")
        return answer is QMessageBox.StandardButton.Yes

    def _folder(self) -> Path:
        return Path(self._settings.export_folder or self._settings.last_folder)

    def _on_finished(self, task: Task) -> None:
        self._tasks.discard(task)
        task.deleteLater()
