"""Intervals of percentiles against tables of the binomial and known distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from profiler.tails import least_count, percentile_interval


def one_by_one(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Rounds of a single latency."""
    return [values[index : index + 1] for index in range(values.size)]


@pytest.mark.parametrize(("share", "count"), [(0.99, 368), (0.9, 36), (0.5, 6)])
def test_least_count_is_where_the_largest_value_may_be_the_upper_end(
    share: float, count: int
) -> None:
    """0.99^368 = 0.0248 is the first power below 0.025."""
    assert least_count(share) == count
    assert share**count <= 0.025 < share ** (count - 1)


def test_too_few_latencies_have_no_upper_end() -> None:
    few = one_by_one(np.arange(1.0, 368.0))
    assert percentile_interval([few], 0.99)[1] == math.inf
    assert percentile_interval([[]], 0.99) == (0.0, math.inf)
    enough = one_by_one(np.random.default_rng(0).permutation(np.arange(1.0, 1001.0)))
    low, high = percentile_interval([enough], 0.99)
    assert 0 < low < 990 < high < math.inf


def test_the_median_of_independent_latencies_lies_between_the_ranks_of_the_binomial() -> None:
    """For n = 100 and p = 1/2 they are 40 and 61 (Conover's table A3), before launches count."""
    values = np.random.default_rng(3).permutation(np.arange(1.0, 101.0))
    # Without correlation in it: pairs of one value above and one below the median.
    ordered = np.sort(values)
    alternating = np.empty(100)
    alternating[0::2], alternating[1::2] = ordered[50:], ordered[:50]
    low, high = percentile_interval([one_by_one(alternating)], 0.5)
    # Student's t for 3 degrees of freedom is 3.182: a factor exp(3.182 * 0.015 / sqrt(2)).
    factor = math.exp(3.18245 * 0.015 / math.sqrt(2))
    assert (low * factor, high / factor) == pytest.approx((40.0, 61.0), rel=1e-4)


def test_latencies_that_hang_together_tell_less() -> None:
    values = np.exp(np.random.default_rng(1).standard_normal(4000))
    apart = [values[start : start + 10] for start in range(0, 4000, 10)]
    together = [np.sort(values)[start : start + 10] for start in range(0, 4000, 10)]
    widths = [
        high - low for low, high in (percentile_interval([r], 0.9) for r in (apart, together))
    ]
    assert widths[1] > 2 * widths[0]


def test_it_covers_the_truth() -> None:
    """Latencies correlated within rounds, launches that differ by 1 %: 95 % or more."""
    rng = np.random.default_rng(5)
    truth = math.exp(2.32635 * math.hypot(0.1, 0.01))
    covered = 0
    for _ in range(100):
        launches = []
        for _ in range(4):
            level = rng.standard_normal((20, 1)) * 0.05 + rng.standard_normal() * 0.01
            own = rng.standard_normal((20, 20)) * math.sqrt(0.1**2 - 0.05**2)
            launches.append(list(np.exp(level + own)))
        low, high = percentile_interval(launches, 0.99)
        covered += low <= truth <= high
    assert covered >= 95
