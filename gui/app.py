"""Starts the window: arguments, the URL scheme, the application object, uncaught errors."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

NO_DISPLAY = WRONG_USAGE = 2


def run(argv: Sequence[str]) -> int:
    """Open the window with FILE, if given. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="dualscope", description="Open the window.")
    parser.add_argument("file", nargs="?", type=Path, help="a model or session")
    parser.add_argument("--profile", action="store_true", help="start a run at once")
    arguments = parser.parse_args(argv)
    file: Path | None = arguments.file
    # With a display the window says so.
    if file is not None and not file.exists() and not has_display():
        sys.stderr.write(
            f"error: {str(file)!r} is no file.\nhint: dualscope --help lists the commands.\n"
        )
        return WRONG_USAGE
    if not has_display():
        sys.stderr.write(
            "error: there is no display to open a window on.\n"
            "hint: use the command line: dualscope profile MODEL\n"
        )
        return NO_DISPLAY
    prepare()

    from PySide6.QtWidgets import QApplication

    from gui.main_window import MainWindow
    from profiler.errors import ProfilerError

    application = QApplication([sys.argv[0]])
    set_up(application)
    window = MainWindow()

    def on_uncaught(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        # An error in a slot must not end the program; it must not vanish either.
        sys.stderr.write("".join(traceback.format_exception(kind, error, trace)))
        window.messages.show_error(
            ProfilerError(f"Something went wrong: {kind.__name__}: {error}", "See standard error.")
        )

    sys.excepthook = on_uncaught
    window.show()
    if file is not None:
        window.open_path(file, profile=arguments.profile)
    return int(application.exec())


def prepare() -> None:
    """What has to be there before the application object is."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Chromium refuses to start its sandbox as root; nobody else goes without.
        os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"
    from gui.graph import scheme

    scheme.register()


def set_up(application: object) -> None:
    """Names and style of the application."""
    import pyqtgraph as pg
    from PySide6.QtWidgets import QApplication

    assert isinstance(application, QApplication)
    application.setApplicationName("dualscope")
    application.setApplicationDisplayName("")
    application.setDesktopFileName("dualscope")
    application.setStyle("Fusion")
    pg.setConfigOptions(antialias=True)


def has_display() -> bool:
    """Whether a window can be opened."""
    if not sys.platform.startswith("linux"):
        return True
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return any(os.environ.get(name) for name in names)
