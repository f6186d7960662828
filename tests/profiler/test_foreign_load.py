"""What others took of the CPU, with real processes, and with made-up counters."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator

import psutil
import pytest

from profiler import foreign_load
from profiler.foreign_load import ForeignLoad, ProcessTable

Times = namedtuple("Times", "user system idle iowait steal guest guest_nice")


def counters(monkeypatch: pytest.MonkeyPatch, *readings: Times, seconds: float = 1.0) -> None:
    """CPU times and the clock, one reading after the other."""
    left = iter(readings)
    clock = iter(n * seconds for n in range(len(readings)))
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(left))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.mark.parametrize(
    ("after", "engine_ns", "foreign", "steal"),
    [
        # One second of two CPUs: the engine had both.
        (Times(2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 2_000_000_000, 0.0, 0.0),
        (Times(1.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0), 1_000_000_000, 0.5, 0.0),
        (Times(1.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0), 1_000_000_000, 0.0, 0.0),
        (Times(1.0, 0.0, 0.8, 0.0, 0.2, 0.0, 0.0), 1_000_000_000, 0.0, 0.1),
        # Guest time is part of user time.
        (Times(2.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0), 1_000_000_000, 0.5, 0.0),
        # Ticks may make less than the engine's own clock: never below nothing.
        (Times(0.9, 0.0, 1.1, 0.0, 0.0, 0.0, 0.0), 1_000_000_000, 0.0, 0.0),
    ],
)
def test_shares(
    monkeypatch: pytest.MonkeyPatch, after: Times, engine_ns: int, foreign: float, steal: float
) -> None:
    counters(monkeypatch, Times(0, 0, 0, 0, 0, 0, 0), after)
    found = ForeignLoad().shares(engine_ns)
    assert found == pytest.approx((foreign, steal))


def test_no_time_has_no_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Times(0, 0, 0, 0, 0, 0, 0)
    counters(monkeypatch, nothing, nothing, seconds=0.0)
    assert ForeignLoad().shares(0) == (0.0, 0.0)


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process
    process.kill()
    process.wait()


def test_the_busy_process_is_named(busy: subprocess.Popen[bytes]) -> None:
    table = ProcessTable()
    deadline = time.monotonic() + 60

    def took() -> float:
        times = psutil.Process(busy.pid).cpu_times()
        return float(times.user + times.system)

    start = took()
    while took() < start + 0.3 and time.monotonic() < deadline:
        time.sleep(0.05)
    found = {process.pid: process for process in table.look(own=set())}
    assert found[busy.pid].cpu_ns >= 200_000_000
    assert "python" in found[busy.pid].name
    assert len(found) <= foreign_load.MOST_PROCESSES
    # One of our own is left out, and a second look counts from the first.
    assert busy.pid not in {process.pid for process in table.look(own={busy.pid})}
