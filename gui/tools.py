"""What the controllers of the window's commands work with."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QWidget

from gui.file_writer import FileWriter
from gui.message_bar import MessageBar
from gui.opener import Opener
from gui.plan_draft import PlanDraft
from gui.run_controller import RunController


@dataclass(frozen=True)
class Tools:
    """One of each in a window."""

    window: QWidget
    draft: PlanDraft
    opener: Opener
    runs: RunController
    files: FileWriter
    messages: MessageBar
