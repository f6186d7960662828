"""How sure a high percentile of a lane's latency is: order statistics, no distribution assumed."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from profiler.stats import LAUNCH_DF, LAUNCH_SPREAD, long_run_squares, student_quantile

# These intervals miss so often. No run stops on them: one look, at 95 %.
TAIL_ERROR = 0.05
# Of each launch its rounds, of each round its latencies in ns.
Launches = Sequence[Sequence[NDArray[np.float64]]]


def percentile_interval(launches: Launches, share: float) -> tuple[float, float]:
    """Distribution-free 95 % interval of a lane's percentile `share` (0.99: p99) in ns.

    `launches`: of each launch its rounds, of each round its latencies. Between two order
    statistics (Conover, Practical Nonparametric Statistics, 3.2; Hahn and Meeker 1991, Statistical
    Intervals, 5.2): how many of n latencies lie above the true percentile is binomial.

    - Latencies of one round or launch are alike: the ranks' distance from the middle grows with the
      square root of the design effect, the variance of that count by rounds (with Newey and West's
      weights), or by launches where there are three, over the binomial's (Rao and Scott 1992, "A
      simple method for the analysis of clustered binary data").
    - Launches that were not seen may differ by `LAUNCH_SPREAD`, as for medians.

    The upper end is inf where too few latencies are known (p99: fewer than `least_count`, or more
    where they hang together), and the lower end 0.
    """
    rounds = [values for launch in launches for values in launch]
    count = sum(values.size for values in rounds)
    if not count:
        return (0.0, float("inf"))
    ordered = np.sort(np.concatenate(rounds))
    above = 1 - share
    fewest, most = _binomial_ranks(count, round(above, 12))
    expected = count * above
    stretch = math.sqrt(_design_effect(launches, float(np.quantile(ordered, share)), above))
    fewest = math.floor(expected - (expected - fewest) * stretch)
    most = math.ceil(expected + (most - expected) * stretch)
    freedom = LAUNCH_DF + len(launches) - 1
    unseen = student_quantile(1 - TAIL_ERROR / 2, freedom) * LAUNCH_SPREAD
    factor = math.exp(unseen / math.sqrt(2 * len(launches)))
    low = float(ordered[count - most]) / factor if most <= count else 0.0
    high = float(ordered[count - fewest]) * factor if fewest >= 1 else float("inf")
    return (low, high)


def least_count(share: float) -> int:
    """How many latencies a percentile's upper end takes at the least (p99: 368)."""
    return math.ceil(math.log(TAIL_ERROR / 2) / math.log(share))


@functools.cache
def _binomial_ranks(count: int, above: float) -> tuple[int, int]:
    """Places from the top of the order statistics that enclose the percentile; (0, ..) if none."""
    steps = np.arange(count)
    logs = np.log(count - steps) - np.log(steps + 1) + math.log(above / (1 - above))
    chances = np.exp(np.concatenate([[0.0], np.cumsum(logs)]) + count * math.log1p(-above))
    sums = np.cumsum(chances)
    fewest = int(np.searchsorted(sums, TAIL_ERROR / 2, side="right"))
    most = int(np.searchsorted(sums, 1 - TAIL_ERROR / 2, side="left")) + 1
    return fewest, most


def _design_effect(launches: Launches, percentile: float, above: float) -> float:
    counts = [
        np.array([float(np.sum(v > percentile)) - v.size * above for v in rounds])
        for rounds in launches
    ]
    size = sum(values.size for rounds in launches for values in rounds)
    binomial = size * above * (1 - above)
    by_rounds = np.concatenate(counts)
    found = long_run_squares(by_rounds) if by_rounds.size > 1 else binomial
    if len(counts) >= 3:
        sums = np.array([values.sum() for values in counts])
        found = max(found, float(sums @ sums) * len(counts) / (len(counts) - 1))
    return max(1.0, found / binomial)
