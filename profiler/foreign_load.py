"""What other processes took of the CPU while a lane had its turn, and which ones they were."""

from __future__ import annotations

import os
import time
from collections.abc import Set

import psutil

from profiler.types import ForeignProcess

MOST_PROCESSES = 3


class ForeignLoad:
    """Reads the machine's CPU times around a turn.

    Example: `load = ForeignLoad()`; run the turn; `load.shares(engine_cpu_time_ns)`.
    """

    def __init__(self) -> None:
        self._busy_s, self._steal_s = _cpu_seconds()
        self._wall_s = time.monotonic()

    def shares(self, engine_cpu_time_ns: int) -> tuple[float, float]:
        """(CPU time not taken by the engine, time stolen by a hypervisor), over what there was.

        Each 0..1. The kernel counts in ticks of 10 ms, so that a short turn gives a coarse figure.
        """
        capacity_s = (time.monotonic() - self._wall_s) * (os.cpu_count() or 1)
        if capacity_s <= 0:
            return 0.0, 0.0
        busy_s, steal_s = _cpu_seconds()
        foreign_s = busy_s - self._busy_s - engine_cpu_time_ns / 1e9
        return _share(foreign_s / capacity_s), _share((steal_s - self._steal_s) / capacity_s)


class ProcessTable:
    """CPU time of every process, so that a look tells who took it since the last one.

    A look reads all processes (about 10 ms for 200): between turns, never within.
    """

    def __init__(self) -> None:
        self._seen = _process_times()

    def look(self, own: Set[int]) -> tuple[ForeignProcess, ...]:
        """The processes that took most since the last look, without those with pids in `own`."""
        before, self._seen = self._seen, _process_times()
        found = [
            ForeignProcess(name=name, pid=pid, cpu_ns=int((cpu_s - before[pid][1]) * 1e9))
            for pid, (name, cpu_s) in self._seen.items()
            if pid not in own and pid in before
        ]
        found += [
            ForeignProcess(name=name, pid=pid, cpu_ns=int(cpu_s * 1e9))
            for pid, (name, cpu_s) in self._seen.items()
            if pid not in own and pid not in before
        ]
        busy = sorted((p for p in found if p.cpu_ns > 0), key=lambda p: -p.cpu_ns)
        return tuple(busy[:MOST_PROCESSES])


def _process_times() -> dict[int, tuple[str, float]]:
    """Name and CPU seconds by pid, of the processes that may be read."""
    found = {}
    for process in psutil.process_iter(("name", "cpu_times")):
        times = process.info["cpu_times"]
        if times is not None:
            found[process.pid] = (str(process.info["name"]), float(times.user + times.system))
    return found


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def _cpu_seconds() -> tuple[float, float]:
    """(busy, of these stolen) since the machine started."""
    times = psutil.cpu_times()
    idle = float(times.idle) + float(getattr(times, "iowait", 0.0))
    steal = float(getattr(times, "steal", 0.0))
    # Linux counts guest time in user time already.
    guest = float(getattr(times, "guest", 0.0)) + float(getattr(times, "guest_nice", 0.0))
    return float(sum(times)) - idle - guest - steal, steal
