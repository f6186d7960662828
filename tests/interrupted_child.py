"""A child process that gets Ctrl-C while it still imports, then does its work."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from profiler.child import settle_in

NAME = "interrupted"

if multiprocessing.current_process().name == NAME:
    os.kill(os.getpid(), signal.SIGINT)


def work(connection: Connection, log_path: str) -> None:
    """Answer after Ctrl-C came both before and after `settle_in`."""
    settle_in(Path(log_path))
    os.kill(os.getpid(), signal.SIGINT)
    connection.send("done")
