"""A control that can't be used says why, where the pointer is and in the status bar."""

from __future__ import annotations

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget

RUNNING = "A run is going on: stop it first (Shift+F5), or wait"
OPENING = "A file is being opened"
NO_MODEL = "Open a model first (Ctrl+O)"
NO_SESSION = "Profile a model, or open a session, first"


def allow(control: QAction | QWidget, reason: str, tip: str = "") -> None:
    """Enable it unless there is a reason against that; `tip` is what it does."""
    control.setEnabled(not reason)
    control.setToolTip("\n".join(part for part in (tip, reason and f"{reason}.") if part))
    # Menus show it there, also of an entry that is grey.
    control.setStatusTip(reason)
