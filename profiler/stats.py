"""Statistics of latencies: pure functions, with the source of each method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from profiler.types import LatencyStats, Round, RoundKind

RESAMPLES = 2_000
CONFIDENCE = 0.95


def latency_stats(label: str, rounds: Sequence[Round]) -> LatencyStats | None:
    """Statistics over every iteration of the timed rounds; None when there is none.

    Percentiles by linear interpolation (Hyndman and Fan, 1996, type 7: NumPy's default).
    """
    timed = [r for r in rounds if r.kind is RoundKind.TIMED]
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


def paired_ratios(baseline: Sequence[Round], candidate: Sequence[Round]) -> NDArray[np.float64]:
    """Baseline / candidate of the round medians, for each timed round that both lanes ran."""
    of_candidate = {r.index: r for r in candidate if r.kind is RoundKind.TIMED}
    return np.array(
        [
            np.median(r.latencies_ns) / np.median(of_candidate[r.index].latencies_ns)
            for r in baseline
            if r.kind is RoundKind.TIMED and r.index in of_candidate
        ],
        dtype=np.float64,
    )


def median_interval(
    values: NDArray[np.float64], *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """95 % percentile interval of the median, by circular moving-block bootstrap.

    Rounds that follow each other are correlated, so blocks of neighbours are drawn, not single
    rounds (Künsch 1989; circular: Politis and Romano 1992). Block length n^(1/3), the rate that is
    optimal for the variance of a smooth statistic (Hall, Horowitz and Jing 1995).
    """
    count = values.size
    if count < 2:
        return (0.0, float("inf"))
    length = max(1, round(count ** (1 / 3)))
    blocks = -(-count // length)
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, count, size=(resamples, blocks, 1))
    picks = ((starts + np.arange(length)) % count).reshape(resamples, -1)[:, :count]
    medians = np.median(values[picks], axis=1)
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(medians, (tail, 100 - tail))
    return (float(low), float(high))


def precision_of_one(rounds: Sequence[Round]) -> float:
    """Width of the interval of a lone lane's median latency, over that median."""
    medians = np.array(
        [np.median(r.latencies_ns) for r in rounds if r.kind is RoundKind.TIMED], dtype=np.float64
    )
    low, high = median_interval(medians)
    return (high - low) / float(np.median(medians)) if medians.size else float("inf")
