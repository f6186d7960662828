"""Statistics of latencies: pure functions, with the source of each method."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np
from numpy.typing import NDArray

from profiler.types import LatencyStats, Round, RoundKind

# Confidence of one look at the interval; over a whole run, with its stopping rule, 95 %.
LEVEL = 0.98


def latency_stats(
    label: str, rounds: Sequence[Round], *, set_aside: Set[int] = frozenset()
) -> LatencyStats | None:
    """Statistics over every iteration of the timed rounds not set aside; None when there is none.

    Percentiles by linear interpolation (Hyndman and Fan, 1996, type 7: NumPy's default).
    """
    timed = [r for r in rounds if r.kind is RoundKind.TIMED and r.index not in set_aside]
    if not timed:
        return None
    values = np.concatenate([np.asarray(r.latencies_ns, dtype=np.float64) for r in timed])
    p50, p90, p99 = (float(p) for p in np.percentile(values, (50, 90, 99)))
    mean = float(values.mean())
    return LatencyStats(
        label=label,
        p50_ns=p50,
        p90_ns=p90,
        p99_ns=p99,
        min_ns=float(values.min()),
        mean_ns=mean,
        stdev_ns=float(values.std(ddof=1)) if values.size > 1 else 0.0,
        iterations=int(values.size),
        rounds=len(timed),
        throughput_per_s=1e9 / mean if mean > 0 else 0.0,
    )


def round_medians(rounds: Iterable[Round]) -> dict[int, float]:
    """Median latency in ns of each timed round, by round index."""
    return {r.index: float(np.median(r.latencies_ns)) for r in rounds if r.kind is RoundKind.TIMED}


def paired_ratios(
    baseline: Mapping[int, float], candidate: Mapping[int, float], set_aside: Set[int] = frozenset()
) -> NDArray[np.float64]:
    """Baseline / candidate of the medians of each round that both ran and that isn't set aside."""
    return np.array(
        [
            median / candidate[index]
            for index, median in baseline.items()
            if index in candidate and index not in set_aside
        ],
        dtype=np.float64,
    )


def median_interval(values: NDArray[np.float64], *, comparisons: int = 1) -> tuple[float, float]:
    """Distribution-free interval of the median that covers it in 95 % of runs, or (0, inf).

    Between two order statistics of the sample, as the inverse of the sign test (Thompson 1936;
    Conover, Practical Nonparametric Statistics, 3.2): exact for any distribution, also with the
    outliers that a busy machine makes, where a percentile bootstrap of few values is too narrow.

    - Rounds that follow each other are correlated: the distance of the two ranks from the middle
      grows with the square root of the variance inflation of the signs, estimated from their
      autocovariance with Bartlett weights (Newey and West 1987), never below 1.
    - The run stops when this interval is narrow, so it is looked at again and again: the level is
      `LEVEL` for each look. docs/measurement.md has the coverage that was measured with that.
    - `comparisons` intervals that should hold together share the error (Bonferroni).

    Too few values for the level (7 for one comparison) have no interval.
    """
    count = values.size
    rank = _lower_rank(count, (1 - LEVEL) / comparisons)
    if rank < 1:
        return (0.0, float("inf"))
    spread = (count / 2 - rank) * math.sqrt(_sign_inflation(values))
    rank = math.floor(count / 2 - spread)
    if rank < 1:
        return (0.0, float("inf"))
    ordered = np.sort(values)
    return (float(ordered[rank - 1]), float(ordered[count - rank]))


@functools.cache
def _lower_rank(count: int, error: float) -> int:
    """Largest k for which [k-th smallest, k-th largest] misses the median at most that often.

    It misses when fewer than k of `count` values lie on one side: binomial with p = 1/2.
    """
    rank, missed = 0, 0.0
    while rank < count // 2:
        ways = math.lgamma(count + 1) - math.lgamma(rank + 1) - math.lgamma(count - rank + 1)
        missed += 2 * math.exp(ways - count * math.log(2))
        if missed > error:
            break
        rank += 1
    return rank


def _sign_inflation(values: NDArray[np.float64]) -> float:
    """Variance of the sum of signs about the median, over what it would be without correlation."""
    signs = np.sign(values - np.median(values))
    power = float(signs @ signs)
    if power == 0.0:
        return 1.0
    lags = max(1, round(values.size ** (1 / 3)))
    weighted = sum(
        (1 - lag / (lags + 1)) * float(signs[:-lag] @ signs[lag:]) for lag in range(1, lags + 1)
    )
    return float(max(1.0, 1 + 2 * weighted / power))


def precision_of_one(medians: Mapping[int, float], set_aside: Set[int] = frozenset()) -> float:
    """Width of the interval of a lone lane's round medians, over their median."""
    values = np.array([m for index, m in medians.items() if index not in set_aside])
    low, high = median_interval(values)
    return (high - low) / float(np.median(values)) if values.size else float("inf")
