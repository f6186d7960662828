"""Statistics against hand calculations and known truths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from profiler.stats import (
    latency_stats,
    median_interval,
    paired_ratios,
    precision_of_one,
    round_medians,
)
from profiler.types import Round, RoundKind


def round_(index: int, *latencies_ns: int, kind: RoundKind = RoundKind.TIMED) -> Round:
    return Round(
        time_ns=0, label="a", index=index, kind=kind, started_ns=0, latencies_ns=latencies_ns
    )


def test_latency_stats_take_every_timed_iteration_and_no_warm_up() -> None:
    rounds = [round_(0, 900, kind=RoundKind.WARMUP), round_(0, 1, 2, 3), round_(1, 4, 5)]
    stats = latency_stats("a", rounds)
    assert stats is not None
    assert (stats.p50_ns, stats.min_ns, stats.mean_ns) == (3.0, 1.0, 3.0)
    assert stats.p90_ns == pytest.approx(4.6)
    assert stats.stdev_ns == pytest.approx(np.std([1, 2, 3, 4, 5], ddof=1))
    assert (stats.iterations, stats.rounds) == (5, 2)
    assert stats.throughput_per_s == pytest.approx(1e9 / 3)


def test_no_timed_round_gives_no_statistics() -> None:
    assert latency_stats("a", [round_(0, 5, kind=RoundKind.WARMUP)]) is None


def test_ratios_pair_rounds_by_index() -> None:
    baseline = [round_(0, 10, 20, 30), round_(1, 40), round_(2, 50)]
    candidate = [round_(0, 10), round_(2, 25)]
    medians = round_medians(baseline), round_medians(candidate)
    assert paired_ratios(*medians).tolist() == [2.0, 2.0]
    assert paired_ratios(*medians, set_aside={0}).tolist() == [2.0]


def test_interval_of_constant_values_is_a_point() -> None:
    assert median_interval(np.full(30, 1.5)) == (1.5, 1.5)


@pytest.mark.parametrize(
    ("count", "comparisons", "low", "high"),
    [
        # 2 * 2^-7 = 1.6 % is the first below 2 %: from the smallest to the largest of seven.
        (6, 1, 0.0, float("inf")),
        (7, 1, 1.0, 7.0),
        (7, 2, 0.0, float("inf")),
        (8, 2, 1.0, 8.0),
        # P(fewer than 5 of 20 on one side) * 2 = 1.2 %; fewer than 6: 4.1 %.
        (20, 1, 5.0, 16.0),
    ],
)
def test_interval_by_hand(count: int, comparisons: int, low: float, high: float) -> None:
    # An order without correlation of its signs: small and large take turns.
    ascending = np.arange(1.0, count + 1)
    half = count // 2
    values = np.empty(count)
    values[0 : 2 * half : 2], values[1 : 2 * half : 2] = ascending[:half], ascending[-half:]
    values[2 * half :] = ascending[half : count - half]
    assert median_interval(values, comparisons=comparisons) == (low, high)


def test_outliers_on_one_side_do_not_move_the_interval() -> None:
    calm = np.random.default_rng(0).normal(1.5, 0.01, 60)
    spiked = np.where(np.arange(60) % 12 == 0, np.maximum(calm, np.median(calm)) * 50, calm)
    low, high = median_interval(spiked)
    assert 1.48 < low < high < 1.52


def covered(values_of: Callable[[np.random.Generator], NDArray[np.float64]], runs: int) -> float:
    """How often the interval covers the true median, 1.0."""
    rng = np.random.default_rng(1)
    intervals = [median_interval(values_of(rng)) for _ in range(runs)]
    return sum(low <= 1.0 <= high for low, high in intervals) / runs


def test_interval_covers_the_true_median_as_often_as_it_says() -> None:
    assert covered(lambda rng: rng.normal(1.0, 0.1, 60), 1000) >= 0.97
    assert covered(lambda rng: np.exp(rng.standard_t(1.5, 40) / 9), 1000) >= 0.97


def test_interval_widens_when_rounds_are_correlated() -> None:
    def drifting(rng: np.random.Generator) -> NDArray[np.float64]:
        noise, found = rng.normal(0, 0.02, 120), np.ones(120)
        for index in range(1, 120):
            found[index] = 1 + 0.5 * (found[index - 1] - 1) + noise[index]
        return found

    assert covered(drifting, 600) >= 0.93


def test_precision_of_a_lone_lane() -> None:
    assert precision_of_one(dict.fromkeys(range(10), 100.0)) == 0.0
    assert precision_of_one({0: 100.0}) == float("inf")
