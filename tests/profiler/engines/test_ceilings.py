"""Ceilings: the best of several tries, by a clock of our own, and of real engines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import onnxruntime
import pytest

from profiler.engines.ceilings import best_rate
from profiler.engines.ort_ceiling import measure_ceiling as ort_ceiling
from profiler.engines.torch_examination import measure_ceiling as torch_ceiling
from profiler.types import Ceiling


class Machine:
    """Its clock goes on with what is called; now and then others have the CPU."""

    def __init__(self, disturbances_ns: Iterator[int]) -> None:
        self.now_ns, self.calls = 0, 0
        self._disturbances_ns = disturbances_ns

    def clock(self) -> int:
        return self.now_ns

    def call(self, takes_ns: int) -> Callable[[], object]:
        def run() -> None:
            self.calls += 1
            self.now_ns += takes_ns + next(self._disturbances_ns)

        return run


def test_one_undisturbed_try_is_enough() -> None:
    machine = Machine(itertools.cycle([4_000_000] * 8 + [0]))
    tries = [(4e6, machine.call(1_000_000)), (8e6, machine.call(3_000_000))]
    assert best_rate(tries, machine.clock) == pytest.approx(4e9)


def test_slow_machines_try_a_few_times_only() -> None:
    machine = Machine(itertools.repeat(0))
    assert best_rate([(1.0, machine.call(10**9))], machine.clock) == pytest.approx(1.0)
    assert machine.calls == 3


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("ONNX Runtime", lambda: ort_ceiling(onnxruntime.SessionOptions())),
        ("PyTorch", torch_ceiling),
    ],
)
def test_engines_have_ceilings(name: str, measure: Callable[[], Ceiling]) -> None:
    found = measure()
    assert name in found.how
    # Any machine that runs this does more than a megaflop a second, and less than an exaflop.
    assert 1e6 < found.flops_per_s < 1e18
    assert 1e6 < found.bytes_per_s < 1e15
