"""Wait until the threads of this process rest, so that the next lane finds the cores free.

An OpenMP thread spins for some milliseconds after a parallel region before it sleeps. That makes
the next region start fast, and deployments have it: threads that sleep at once (OMP_WAIT_POLICY
passive) made PyTorch 1.9 times slower here and its rounds jump, since a woken thread often shares
the waker's core (`docs/measurement.md`). So threads wait as the engine has them wait, and a turn
isn't over before they rest.

A window that has painted has threads that go on, too: those that draw what it shows.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

# Windows counts a process's CPU time in ticks of 1/64 s.
WINDOW_S = 0.032 if sys.platform == "win32" else 0.002
BUSY_SHARE = 0.2
LIMIT_S = 0.25
# Linux tells each thread's state. Its CPU times of threads on other cores are as old as the last
# tick, 4 ms or more: a spinning thread seems to rest in one window of three.
THREADS = Path("/proc/self/task")


def wait_for_rest(limit_s: float = LIMIT_S, quiet_s: float = 0.0) -> bool:
    """Sleep until no other thread of this process runs; False at the limit.

    `quiet_s`: until none has run for so long, where threads hand on work to each other at times of
    their own. Where the system doesn't tell the state of threads: until they take less than a fifth
    of a core.
    """
    clock = time.perf_counter
    deadline = clock() + limit_s
    quiet_at = clock() + quiet_s
    busy = _others_run if THREADS.is_dir() else _takes_time
    while True:
        if busy():
            quiet_at = clock() + quiet_s
            if clock() >= deadline:
                return False
        elif clock() >= quiet_at:
            return True
        else:
            time.sleep(WINDOW_S)


def _others_run() -> bool:
    """Whether another thread runs or could; then some time has passed on return."""
    own = str(threading.get_native_id())
    running = any(task.name != own and _state(task) == "R" for task in THREADS.iterdir())
    if running:
        time.sleep(WINDOW_S)
    return running


def _state(task: Path) -> str:
    """One letter, as `proc(5)` has it; "" of a thread that has ended meanwhile."""
    try:
        text = (task / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name before it stands in brackets, and may hold some.
    return text.rpartition(")")[2].strip()[:1]


def _takes_time() -> bool:
    """Whether this process takes much time within a window, which it sleeps."""
    cpu_s, started = time.process_time(), time.perf_counter()
    time.sleep(WINDOW_S)
    return time.process_time() - cpu_s >= BUSY_SHARE * (time.perf_counter() - started)
