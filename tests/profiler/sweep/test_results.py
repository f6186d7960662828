"""Crossings and the Pareto front, by table."""

from __future__ import annotations

import pytest

from profiler.sweep.results import Crossing, LanePoint, crossings, pareto_front
from profiler.types import Estimate, LatencyStats, SweepAxis

AXIS = SweepAxis(name="batch", values=("1", "2", "4", "8"))


@pytest.mark.parametrize(
    ("winners", "expected"),
    [
        (["a", "a", "b", "b"], [("a", "b", "2", "4", ())]),
        (["a", None, None, "b"], [("a", "b", "1", "8", ("2", "4"))]),
        (["a", "b", "a", "a"], [("a", "b", "1", "2", ()), ("b", "a", "2", "4", ())]),
        (["a", None, "a", None], []),
        ([None, None, "b", "b"], []),
        ([None] * 4, []),
    ],
)
def test_a_crossing_needs_two_sure_winners(
    winners: list[str | None], expected: list[tuple[str, str, str, str, tuple[str, ...]]]
) -> None:
    found = crossings(AXIS, list(zip(AXIS.values, winners, strict=True)))
    assert found == [
        Crossing("batch", before, after, last, first, between)
        for before, after, last, first, between in expected
    ]


def point(index: int, throughput: float, p99_ns: float) -> LanePoint:
    estimate = Estimate(throughput, throughput, throughput)
    stats = LatencyStats(
        label="a",
        p50_ns=1.0,
        p90_ns=1.0,
        p99_ns=p99_ns,
        min_ns=1.0,
        mean_ns=1.0,
        stdev_ns=0.0,
        iterations=1,
        rounds=1,
        throughput_per_s=1.0,
    )
    return LanePoint("a", index, (str(index),), estimate, estimate, stats, 1)


def test_the_front_has_what_nothing_beats_in_both() -> None:
    found = [point(0, 10, 5), point(1, 20, 6), point(2, 15, 9), point(3, 20, 7), point(4, 5, 5)]
    assert [p.index for p in pareto_front(found)] == [0, 1]
    assert pareto_front([]) == []
