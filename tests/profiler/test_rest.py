"""When a process's threads rest."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from profiler import rest


@dataclass
class ScriptedTime:
    """Threads that take `busy` of a core until `until_s`, then nothing."""

    busy: float
    until_s: float
    now_s: float = 0.0
    cpu_s: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.cpu_s += self.busy * max(0.0, min(seconds, self.until_s - self.now_s))
        self.now_s += seconds

    def perf_counter(self) -> float:
        return self.now_s

    def process_time(self) -> float:
        return self.cpu_s


@pytest.mark.parametrize(
    ("busy", "until_s", "rests", "after_windows"),
    [
        (1.0, 0.0, True, 1),
        (0.1, 100.0, True, 1),
        (1.0, 3.5 * rest.WINDOW_S, True, 5),
        (2.0, 100.0, False, 10),
    ],
)
def test_it_waits_until_threads_rest_or_the_limit(
    monkeypatch: pytest.MonkeyPatch,
    busy: float,
    until_s: float,
    rests: bool,
    after_windows: int,
) -> None:
    script = ScriptedTime(busy, until_s)
    monkeypatch.setattr(rest, "time", script)
    monkeypatch.setattr(rest, "THREADS", Path("no such folder"))
    assert rest.wait_for_rest(limit_s=9.5 * rest.WINDOW_S) is rests
    assert script.now_s == pytest.approx(after_windows * rest.WINDOW_S)


def test_an_idle_process_rests() -> None:
    assert rest.wait_for_rest(limit_s=30.0)


def test_threads_that_hand_on_work_rest_when_none_has_run_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They run from 0 to 2, 6 to 8 and 20 to 22 windows."""
    script = ScriptedTime(0.0, 0.0)
    spans = [(start * rest.WINDOW_S, (start + 2) * rest.WINDOW_S) for start in (0, 6, 20)]

    def others_run() -> bool:
        running = any(start <= script.now_s < end - 1e-9 for start, end in spans)
        if running:
            script.sleep(rest.WINDOW_S)
        return running

    monkeypatch.setattr(rest, "time", script)
    monkeypatch.setattr(rest, "THREADS", Path("/"))
    monkeypatch.setattr(rest, "_others_run", others_run)
    assert rest.wait_for_rest(limit_s=100 * rest.WINDOW_S, quiet_s=5.5 * rest.WINDOW_S)
    assert script.now_s == pytest.approx(14 * rest.WINDOW_S)


def work() -> None:
    """A second or so without the interpreter, as an engine's threads do."""
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000)


@pytest.mark.skipif(not rest.THREADS.is_dir(), reason="needs the state of threads")
def test_a_thread_that_works_does_not_rest() -> None:
    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.02)
    assert not rest.wait_for_rest(limit_s=0.1)
    thread.join()
    assert rest.wait_for_rest(limit_s=30.0)
