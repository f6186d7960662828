"""Saves and exports what the window shows, off the UI thread."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

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
        start = str(self._folder() / source.name)
        path, _ = QFileDialog.getSaveFileName(
            self._window, "Save session", start, f"Session (*{SUFFIX})"
        )
        if path:
            target = Path(path)
            target = target if target.suffix == SUFFIX else target.with_name(target.name + SUFFIX)
            self.write(f"Saved {target.name}.", target, lambda: copy_session(source, target))

    def ask_export(self, exporter: Exporter[Session]) -> None:
        """Ask where to, and write the session in a format."""
        path = self._model.path
        start = f"{path.stem if path else 'session'}{exporter.suffix}"
        target = self.ask_target(exporter.description, exporter.suffix, start)
        if target is not None:
            self.export(exporter, target)

    def ask_target(self, description: str, suffix: str, start: str | Path) -> Path | None:
        """Ask for a file to export to; None when the person changed their mind.

        `start` is proposed: a name in the folder that was last exported to, or a whole path.
        """
        name, _ = QFileDialog.getSaveFileName(
            self._window,
            f"Export {description}",
            str(self._folder() / start),
            f"{description} (*{suffix})",
        )
        return Path(name) if name else None

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

    def _folder(self) -> Path:
        return Path(self._settings.export_folder or self._settings.last_folder)

    def _on_finished(self, task: Task) -> None:
        self._tasks.discard(task)
        task.deleteLater()
