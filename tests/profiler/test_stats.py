"""Statistics against hand calculations and known truths."""

from __future__ import annotations

import numpy as np
import pytest

from profiler.stats import latency_stats, median_interval, paired_ratios, precision_of_one
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
    assert paired_ratios(baseline, candidate).tolist() == [2.0, 2.0]


def test_interval_of_constant_values_is_a_point() -> None:
    assert median_interval(np.full(30, 1.5)) == (1.5, 1.5)


def test_interval_of_one_value_is_unbounded() -> None:
    assert median_interval(np.array([1.5])) == (0.0, float("inf"))


def test_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        low, high = median_interval(rng.normal(1.5, 0.1, 60), seed=trial, resamples=400)
        hits += low <= 1.5 <= high
    assert hits >= 180


def test_interval_is_repeatable() -> None:
    values = np.random.default_rng(2).normal(1, 0.1, 40)
    assert median_interval(values, seed=3) == median_interval(values, seed=3)


def test_precision_of_a_lone_lane() -> None:
    assert precision_of_one([round_(i, 100) for i in range(5)]) == 0.0
    assert precision_of_one([round_(0, 100)]) == float("inf")
