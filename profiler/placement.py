"""Which CPUs the lanes run on, so that the window's own work doesn't take theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# With fewer, giving one up would change the lanes' figures more than the window does.
LEAST_CORES = 8
SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def lane_cpus(cores: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """CPUs for the lanes: all but those of the first core; empty where there are too few.

    `cores` has the usable logical CPUs of each physical core.
    """
    if len(cores) < LEAST_CORES:
        return ()
    return tuple(sorted(cpu for core in cores[1:] for cpu in core))


def usable_cores() -> list[tuple[int, ...]]:
    """Physical cores that this process may use, each as its logical CPUs; empty if untold."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    usable = os.sched_getaffinity(0)
    return sorted({core for cpu in usable if (core := _core_of(cpu, usable))})


def _core_of(cpu: int, usable: set[int]) -> tuple[int, ...]:
    try:
        text = Path(SIBLINGS.format(cpu)).read_text(encoding="ascii")
        return tuple(sorted(set(parse_cpu_list(text)) & usable))
    except (OSError, ValueError):
        return ()


def parse_cpu_list(text: str) -> list[int]:
    """The kernel's lists: `0-3,8` is 0, 1, 2, 3, 8."""
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def keep_on(cpus: Sequence[int]) -> None:
    """This process, and the threads that it starts, run on these CPUs only; on all if empty."""
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def begin_on_first_cpu() -> None:
    """Bring the calling thread to the first CPU that it may use; it may leave again.

    CPUs are not equally fast: of two, one may share its core with another virtual machine's work.
    Where all lanes begin on the same one, none is slower for where it happened to be.
    """
    if hasattr(os, "sched_setaffinity"):
        usable = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(usable)})
        os.sched_setaffinity(0, usable)


@contextmanager
def kept_off(cpus: Sequence[int]) -> Iterator[None]:
    """This thread stays off the lanes' CPUs for a while; no change where there are none."""
    if not cpus or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - set(cpus) or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
