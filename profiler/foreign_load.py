"""CPU time that other processes took while a lane had its turn."""

from __future__ import annotations

import os
import time

import psutil


class ForeignLoad:
    """Reads the machine's CPU times around a turn.

    Example: `load = ForeignLoad()`; run the turn; `load.share(engine_cpu_time_ns)`.
    """

    def __init__(self) -> None:
        self._busy_s = _busy_s()
        self._wall_s = time.monotonic()

    def share(self, engine_cpu_time_ns: int) -> float:
        """CPU time not taken by the engine over what the machine had, 0..1.

        The kernel counts in ticks of 10 ms, so that a short turn gives a coarse figure.
        """
        wall_s = time.monotonic() - self._wall_s
        capacity_s = wall_s * (os.cpu_count() or 1)
        foreign_s = _busy_s() - self._busy_s - engine_cpu_time_ns / 1e9
        return min(1.0, max(0.0, foreign_s / capacity_s)) if capacity_s > 0 else 0.0


def _busy_s() -> float:
    times = psutil.cpu_times()
    idle = float(times.idle) + float(getattr(times, "iowait", 0.0))
    # Linux counts guest time in user time already.
    guest = float(getattr(times, "guest", 0.0)) + float(getattr(times, "guest_nice", 0.0))
    return float(sum(times)) - idle - guest
