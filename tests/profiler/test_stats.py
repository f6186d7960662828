"""Statistics against hand calculations and known truths."""

from __future__ import annotations

import math
from collections.abc import Callable, Set
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from profiler.stats import (
    LAUNCH_DF,
    LAUNCH_SPREAD,
    LONE_LAUNCH_SPREAD,
    latency_stats,
    launches_estimate,
    mean_ratio_interval,
    median_error,
    median_interval,
    paired_ratios,
    precision_of_one,
    round_means,
    round_medians,
    student_quantile,
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


def test_calls_that_overlap_count_by_what_their_blocks_took() -> None:
    blocks = [round_(0, 4, 4, 4, 4), round_(1, 5, 5)]
    overlapping = [
        msgspec.structs.replace(turn, duration_ns=duration)
        for turn, duration in zip(blocks, (8, 7), strict=True)
    ]
    stats = latency_stats("a", overlapping)
    assert stats is not None
    assert stats.p50_ns == 4.0
    assert stats.throughput_per_s == pytest.approx(6e9 / 15)


def test_ratios_pair_rounds_by_index() -> None:
    baseline = [round_(0, 10, 20, 30), round_(1, 40), round_(2, 50)]
    candidate = [round_(0, 10), round_(2, 25)]
    medians = round_medians(baseline), round_medians(candidate)

    def ratios(set_aside: Set[int] = frozenset(), launches: dict[int, int] | None = None) -> Any:
        found = paired_ratios(*medians, set_aside=set_aside, launches=launches)
        return [values.tolist() for values in found]

    assert ratios() == [[2.0, 2.0]]
    assert ratios(set_aside={0}) == [[2.0]]
    assert ratios(launches={0: 0, 1: 0, 2: 1}) == [[2.0], [2.0]]
    assert ratios(set_aside={0, 1, 2}) == []


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


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [
        # From the tables, such as Abramowitz and Stegun 26.10.
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.975, 3, 3.182),
        (0.99, 4, 3.747),
        (0.99, 7, 2.998),
        (0.995, 10, 3.169),
        (0.975, 120, 1.980),
    ],
)
def test_student_quantiles(probability: float, freedom: int, quantile: float) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(quantile, abs=6e-4)


def launch(ratio: float, rounds: int = 10) -> NDArray[np.float64]:
    return np.full(rounds, ratio)


def test_the_medians_error_is_that_of_many_draws() -> None:
    """By hand: the standard error of a normal median is about 1.253 sigma / sqrt(n)."""
    rng = np.random.default_rng(3)
    found = [median_error(np.exp(rng.normal(0, 0.01, 25))) for _ in range(400)]
    assert np.mean(found) == pytest.approx(1.253 * 0.01 / 5, rel=0.12)
    spiky = np.exp(np.where(np.arange(25) % 5 == 0, 0.5, rng.normal(0, 0.01, 25)))
    assert median_error(spiky) < 0.01
    assert median_error(np.full(9, 2.0)) == 0.0


def test_one_launch_has_an_interval_as_wide_as_launches_are_known_to_differ() -> None:
    ratio, low, high = launches_estimate([launch(1.5)])
    half = student_quantile(0.99, LAUNCH_DF) * LONE_LAUNCH_SPREAD
    assert ratio == pytest.approx(1.5)
    assert (math.log(high / ratio), math.log(ratio / low)) == pytest.approx((half, half))


def test_launches_by_hand() -> None:
    """Rounds without noise: only what launches differ by makes the interval."""
    logs = [0.0, 0.04, 0.0, 0.04, 0.02]
    ratio, low, high = launches_estimate([launch(math.exp(value)) for value in logs])
    squares = sum((value - 0.02) ** 2 for value in logs)
    variance = (LAUNCH_DF * LAUNCH_SPREAD**2 + squares) / (LAUNCH_DF + 4)
    half = student_quantile(0.99, LAUNCH_DF + 4) * math.sqrt(variance / 5)
    assert ratio == pytest.approx(math.exp(0.02))
    assert math.log(high / low) == pytest.approx(2 * half)


def test_more_launches_that_agree_narrow_the_interval() -> None:
    widths = []
    for count in (1, 2, 4, 8):
        _, low, high = launches_estimate([launch(2.0)] * count)
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.02 * 2.0


def test_several_comparisons_share_the_error() -> None:
    one, three = (launches_estimate([launch(1.0)] * 4, comparisons=n)[2] for n in (1, 3))
    assert three > one


def test_a_launch_of_few_rounds_waits() -> None:
    assert launches_estimate([launch(1.5, rounds=3)]) == (1.5, 0.0, math.inf)
    assert launches_estimate([launch(1.5), launch(9.0, rounds=3)]) == launches_estimate(
        [launch(1.5)]
    )


def test_a_launch_counts_once_however_many_rounds_it_has() -> None:
    ratio, _, _ = launches_estimate([launch(1.0, rounds=100), launch(1.21, rounds=10)])
    assert ratio == pytest.approx(1.1)


def launches_cover(spread: float, count: int, runs: int = 400) -> float:
    """How often the interval covers 1.0 when launches differ that much."""
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(runs):
        effects = rng.normal(0, spread, count)
        rounds = [np.exp(effect + rng.normal(0, 0.01, 15)) for effect in effects]
        _, low, high = launches_estimate(rounds)
        found += low <= 1.0 <= high
    return found / runs


def test_a_launch_that_is_slower_as_a_whole_hardly_moves_the_ratio() -> None:
    usual = [launch(1.0 + 0.001 * step) for step in range(7)]
    without, low, high = launches_estimate(usual)
    found, wide_low, wide_high = launches_estimate([*usual, launch(1.9)])
    assert found == pytest.approx(without, rel=0.006)
    assert wide_high - wide_low < 2 * (high - low)


def test_outlying_launches_that_are_many_make_the_interval_wide() -> None:
    _, low, high = launches_estimate([launch(1.0)] * 4 + [launch(1.9)] * 3)
    assert high / low > 1.3


def test_launches_that_agree_have_their_mean() -> None:
    found, _, _ = launches_estimate([launch(ratio) for ratio in (1.00, 1.01, 1.03)])
    assert found == pytest.approx((1.00 * 1.01 * 1.03) ** (1 / 3))


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.03])
def test_the_interval_covers_the_truth_over_launches(spread: float) -> None:
    assert launches_cover(spread, count=6) >= 0.95


def test_round_means() -> None:
    rounds = [round_(0, 9, kind=RoundKind.WARMUP), round_(1, 10, 20, 60)]
    assert round_means(rounds) == {1: 30.0}


def test_mean_ratio_interval_by_hand() -> None:
    """One launch whose means stand in one ratio: only what launches differ by is left.

    Student's t at 99 % and 3 degrees of freedom is 4.5407; exp(+-4.5407 * 0.05).
    """
    means = np.linspace(90.0, 110.0, 10)
    low, high = mean_ratio_interval(2.0, [(2 * means, means)])
    assert (low, high) == pytest.approx((2 * math.exp(-0.227035), 2 * math.exp(0.227035)), rel=1e-5)


def test_a_spike_widens_the_interval_of_means_but_not_that_of_medians() -> None:
    rng = np.random.default_rng(0)
    one, other = (100 + rng.standard_normal(40) for _ in range(2))
    spiky = one.copy()
    spiky[17] = 500
    widths = []
    for values in (one, spiky):
        low, high = mean_ratio_interval(1.0, [(values, other)] * 2)
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]
    medians = [launches_estimate([values / other] * 2) for values in (one, spiky)]
    assert medians[1][2] - medians[1][1] < 1.05 * (medians[0][2] - medians[0][1])


def test_no_interval_of_means_with_few_rounds() -> None:
    few = np.array([1.0, 2.0, 3.0])
    assert mean_ratio_interval(1.0, [(few, few)]) == (0.0, math.inf)
