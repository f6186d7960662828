"""What has to be asked before a file is opened: consent to its code, and what builds its model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDialog, QWidget

from gui.dialogs.consent_dialog import ConsentDialog
from gui.dialogs.factory_dialog import FactoryDialog
from gui.dialogs.trusted_dialog import TrustedDialog
from gui.opener import Opener
from profiler import consent
from profiler.consent import ConsentNeededError, FactoryNeededError
from profiler.errors import ProfilerError
from profiler.types import Factory, ModelSource


class Questions(QObject):
    """Asks, keeps the answer, and has the opener do again what led to the question.

    Signals: `failed(ProfilerError)`, `declined(ProfilerError)` when the person chose "Cancel".
    """

    failed = Signal(object)
    declined = Signal(object)

    def __init__(self, opener: Opener, window: QWidget) -> None:
        super().__init__(window)
        self._opener = opener
        self._window = window
        self._factories: dict[str, Factory] = {}

    def ask(self, error: ProfilerError) -> bool:
        """Whether the error is a question, which is then put to the person."""
        if isinstance(error, ConsentNeededError):
            self._ask_consent(error)
        elif isinstance(error, FactoryNeededError):
            self._ask_factory(error)
        else:
            return False
        return True

    def show_trusted(self) -> None:
        """The list of what may run its code."""
        dialog = TrustedDialog(self._window)
        dialog.refused.connect(self.failed)
        self._open(dialog)

    def _ask_consent(self, error: ConsentNeededError) -> None:
        dialog, again = ConsentDialog(error, self._window), self._opener.again
        dialog.accepted.connect(lambda: self._agree(error, again))
        dialog.rejected.connect(lambda: self.declined.emit(_declined(error.source)))
        self._open(dialog)

    def _agree(self, error: ConsentNeededError, again: Callable[[], None]) -> None:
        try:
            consent.keep(error.entry)
        except ProfilerError as failure:
            self.failed.emit(failure)
            return
        again()

    def _ask_factory(self, error: FactoryNeededError) -> None:
        dialog = FactoryDialog(error, self._factories.get(error.source.sha256), self._window)
        dialog.accepted.connect(lambda: self._take(error, dialog.factory()))
        dialog.rejected.connect(lambda: self.declined.emit(_declined(error.source)))
        self._open(dialog)

    def _take(self, error: FactoryNeededError, factory: Factory) -> None:
        """The dialog has asked for consent already."""
        self._factories[error.source.sha256] = factory

        def again() -> None:
            self._opener.open(Path(error.source.path), factory)

        try:
            consent.checked(error.source, factory, trust=False)
        except ConsentNeededError as asked:
            self._agree(asked, again)
        except ProfilerError as failure:
            self.failed.emit(failure)
        else:
            again()

    def _open(self, dialog: QDialog) -> None:
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


def _declined(source: ModelSource) -> ProfilerError:
    return ProfilerError(f"{Path(source.path).name} was not opened.", "Open it again to answer.")
