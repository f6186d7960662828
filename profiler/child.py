"""What every child process does first: output into a log file, and who handles Ctrl-C."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path

from profiler import isolation


def start(process: BaseProcess) -> None:
    """Start a child that Ctrl-C does not end while it still imports, before `settle_in`.

    A child inherits which signals are blocked. Here one that comes meanwhile is only late.
    """
    if not hasattr(signal, "pthread_sigmask"):
        process.start()
        return
    # Starting the first child starts this helper, which would unblock the signal.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle_in(log_path: Path, *, network: bool = False) -> None:
    """Send file descriptors 1 and 2 to the log file, so that native code's output is caught too.

    The process loses the network, where the system allows it: it may load what strangers made.
    With `network` it keeps it, and must load nothing.
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
    if network:
        return
    outcome = isolation.cut_network()
    if not outcome.startswith("no "):
        sys.stderr.write(f"dualscope: {outcome}\n")


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
