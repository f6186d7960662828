"""What every child process does first: output into a log file, and who handles Ctrl-C."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from pathlib import Path


def settle_in(log_path: Path) -> None:
    """Send file descriptors 1 and 2 to the log file, so that native code's output is caught too.

    Ctrl-C goes to the whole process group; the parent decides what it means.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    faulthandler.enable(sys.stderr)


def exit_reason(exit_code: int | None) -> str:
    """In words: "died with SIGSEGV", "ended with exit code 3"."""
    if exit_code is None:
        return "stopped answering"
    if exit_code < 0:
        try:
            return f"died with {signal.Signals(-exit_code).name}"
        except ValueError:
            return f"died with signal {-exit_code}"
    return f"ended with exit code {exit_code}"
