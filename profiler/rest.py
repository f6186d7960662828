"""Wait until the threads of this process rest, so that the next lane finds the cores free.

An OpenMP thread spins for some milliseconds after a parallel region before it sleeps. That makes
the next region start fast, and deployments have it: threads that sleep at once (OMP_WAIT_POLICY
passive) made PyTorch 1.9 times slower here and its rounds jump, since a woken thread often shares
the waker's core (`docs/measurement.md`). So threads wait as the engine has them wait, and a turn
isn't over before they rest.
"""

from __future__ import annotations

import sys
import time

# Windows counts a process's CPU time in ticks of 1/64 s.
WINDOW_S = 0.032 if sys.platform == "win32" else 0.002
BUSY_SHARE = 0.2
LIMIT_S = 0.25


def wait_for_rest(limit_s: float = LIMIT_S) -> bool:
    """Sleep until this process takes less than a fifth of one core; False at the limit."""
    deadline = time.perf_counter() + limit_s
    while True:
        cpu_s, started = time.process_time(), time.perf_counter()
        time.sleep(WINDOW_S)
        now = time.perf_counter()
        if time.process_time() - cpu_s < BUSY_SHARE * (now - started):
            return True
        if now >= deadline:
            return False
