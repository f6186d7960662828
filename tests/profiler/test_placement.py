"""Which CPUs lanes keep to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from profiler.placement import keep_on, kept_off, lane_cpus, parse_cpu_list, usable_cores

needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="only Linux tells and takes CPUs"
)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        ([], ()),
        ([(0,), (1,)], ()),
        ([(n,) for n in range(7)], ()),
        ([(n,) for n in range(8)], (1, 2, 3, 4, 5, 6, 7)),
        # With two threads a core, both of the first core are left to the window.
        ([(n, n + 8) for n in range(8)], (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15)),
    ],
)
def test_one_core_is_left_where_there_are_eight(
    cores: list[tuple[int, ...]], expected: tuple[int, ...]
) -> None:
    assert lane_cpus(cores) == expected


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0\n", [0]), ("0-3", [0, 1, 2, 3]), ("0,8", [0, 8]), ("0-1,4-5", [0, 1, 4, 5])],
)
def test_the_kernels_lists(text: str, cpus: list[int]) -> None:
    assert parse_cpu_list(text) == cpus


@needs_affinity
def test_every_usable_cpu_belongs_to_one_core() -> None:
    found = [cpu for core in usable_cores() for cpu in core]
    assert sorted(found) == sorted(os.sched_getaffinity(0))


@needs_affinity
def test_a_thread_keeps_off_and_comes_back() -> None:
    before = os.sched_getaffinity(0)
    first = min(before)
    with kept_off([first]):
        expected = before - {first} or before
        assert os.sched_getaffinity(0) == expected
    assert os.sched_getaffinity(0) == before
    # It can't keep off everything.
    with kept_off(sorted(before)):
        assert os.sched_getaffinity(0) == before
    with kept_off(()):
        assert os.sched_getaffinity(0) == before


@needs_affinity
def test_a_process_keeps_on() -> None:
    cpu = min(os.sched_getaffinity(0))
    script = (
        "import os\nfrom profiler.placement import keep_on\n"
        f"keep_on([{cpu}])\nkeep_on([])\nprint(sorted(os.sched_getaffinity(0)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == f"[{cpu}]"
    assert callable(keep_on)
