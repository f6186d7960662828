"""What pure functions work out of a session; never stored."""

from __future__ import annotations

import enum
import math

from msgspec import Struct


class Estimate(Struct, frozen=True, omit_defaults=True):
    """A figure and its 95 % interval; (value, 0, inf) where too little is known for one."""

    value: float
    low: float = 0.0
    high: float = math.inf

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.high)

    def scaled(self, factor: float) -> Estimate:
        """In another unit; `factor` is positive."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


class Verdict(enum.StrEnum):
    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNRESOLVED = "unresolved"


class LatencyStats(Struct, frozen=True, kw_only=True):
    """Of one lane's timed rounds. Latencies in ns; `throughput_per_s` is iterations a second."""

    label: str
    p50_ns: float
    p90_ns: float
    p99_ns: float
    min_ns: float
    mean_ns: float
    stdev_ns: float
    iterations: int
    rounds: int
    throughput_per_s: float


class Comparison(Struct, frozen=True, kw_only=True):
    """Speedup = baseline latency / candidate latency, with its 95 % interval [low, high].

    `rounds` took part, of that many `launches`; `set_aside` did not.
    """

    baseline: str
    candidate: str
    speedup: float
    low: float
    high: float
    verdict: Verdict
    rounds: int
    launches: int = 1
    set_aside: int = 0

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.speedup, self.low, self.high)


class OperatorRow(Struct, frozen=True, kw_only=True):
    """One operator of one lane in a typical traced iteration.

    `traced_ns` is its time, the median over traced iterations; `share` is of the lane's sum.
    `flops` and `moved_bytes` are of all its calls in one iteration, as `profiler.work` counts them
    from the shapes; None where that isn't known. What the engine itself tells: `output_bytes` is
    the size of what it gives in one iteration; 0 where it isn't known. Other sizes are of one call,
    `threads` the most that took part in one, `wait_ns` is of one iteration. `estimated`: a part of
    a kernel, with its time shared out by bytes moved.
    """

    label: str
    name: str
    op_type: str
    calls: int
    traced_ns: float
    share: float
    flops: float | None = None
    moved_bytes: float | None = None
    source_nodes: tuple[str, ...] = ()
    scope: str = ""
    shapes: str = ""
    provider: str = ""
    start_ns: int = 0
    input_bytes: int = 0
    weights_bytes: int = 0
    output_bytes: int = 0
    threads: int = 0
    wait_ns: float = 0.0
    estimated: bool = False
