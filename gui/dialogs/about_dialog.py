"""What this program is, and its keys."""

from __future__ import annotations

from PySide6.QtWidgets import QMessageBox, QWidget

from gui.actions import ACTIONS
from profiler.version import VERSION


def show_about(window: QWidget) -> None:
    """The box, until it is closed."""
    keys = "".join(
        f"<tr><td>{spec.text.replace('&', '')}&nbsp;&nbsp;</td><td>{spec.shortcut}</td></tr>"
        for spec in ACTIONS
        if spec.shortcut
    )
    QMessageBox.about(
        window,
        "About Dualscope",
        f"<b>Dualscope {VERSION}</b><p>Is ONNX Runtime or PyTorch faster for your model, on "
        f"this machine, and why?</p><table>{keys}</table>"
        "<p>The graph is drawn by Netron. Nothing leaves this machine.</p>",
    )
