"""Children that Ctrl-C does not reach at any time, and how their end is worded."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from profiler.child import exit_reason, start
from tests import interrupted_child

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


def test_a_child_outlives_ctrl_c_while_it_imports(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=interrupted_child.work,
        args=(theirs, str(tmp_path / "log")),
        name=interrupted_child.NAME,
        daemon=True,
    )
    start(process)
    theirs.close()
    assert ours.poll(50)
    assert ours.recv() == "done"
    process.join(50)
    assert process.exitcode == 0


def test_starting_a_child_leaves_our_own_signals_as_they_were() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    process = multiprocessing.get_context("spawn").Process(target=os.getpid)
    start(process)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == before
    process.join(50)
    assert process.exitcode == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, "stopped answering"),
        (3, "ended with exit code 3"),
        (-signal.SIGSEGV, "died with SIGSEGV"),
        (-250, "died with signal 250"),
    ],
)
def test_exit_reasons(code: int | None, words: str) -> None:
    assert exit_reason(code) == words
