"""Which traced rounds of a lane count: those of a quiet machine, or all where there is none."""

from __future__ import annotations

import pytest

from profiler.lane_traces import LaneTraces
from profiler.noise import SLOW
from profiler.types import OpTiming, OpTimings

US = 1_000


def trace(number: int, ns: int, share: float = 0.0) -> OpTimings:
    """One call of that length, which is all one operator's, with another one inside of it."""
    op = OpTiming(name="a", op_type="MatMul", start_ns=0, duration_ns=ns)
    inner = OpTiming(name="b", op_type="Add", start_ns=0, duration_ns=ns // 2)
    return OpTimings(
        time_ns=0,
        label="l",
        round=number,
        iterations=1,
        traced_latencies_ns=(ns,),
        ops=(op,),
        inner=(inner,),
        foreign_cpu_share=share,
    )


def traces_of(*loads: float) -> LaneTraces:
    """A round for each share that others took; disturbed from a quarter on, and then slower."""
    found = LaneTraces()
    for number, share in enumerate(loads):
        disturbed = share > 0.25
        ns = (30 if disturbed else 10) * US + number
        found.add(trace(number, ns, share), f"others took {share:.0%}" if disturbed else "")
    return found


@pytest.mark.parametrize(
    ("loads", "used", "time_ns"),
    [
        ((0.0, 0.1, 0.2), [0, 1, 2], 10 * US + 1),
        ((0.6, 0.7), [0, 1], 30 * US + 0.5),
        ((0.6, 0.7, 0.1), [2], 10 * US + 2),
        ((0.1, 0.6), [0], 10 * US),
        ((0.6, 0.1, 0.7, 0.0), [1, 3], 10 * US + 2),
    ],
)
def test_undisturbed_rounds_count_alone(
    loads: tuple[float, ...], used: list[int], time_ns: float
) -> None:
    found = traces_of(*loads)
    assert [one.round for one in found.used] == used
    assert [row.traced_ns for row in found.operators("l")] == [time_ns]
    (inner,) = found.inner_operators("l")
    assert inner.share == pytest.approx(0.5, rel=1e-3)
    figures = found.figures("l", None)
    assert figures is not None
    assert (figures.rounds, figures.traced_ns) == (len(loads), time_ns)


def test_where_all_were_disturbed_the_quietest_is_told() -> None:
    figures = traces_of(0.9, 0.4, 0.6).figures("l", None)
    assert figures is not None
    assert figures.disturbance == "others took 40%"
    assert figures.doubt == (
        "operators were traced while others took 40%, the least of 3 traced rounds"
    )


def test_an_undisturbed_round_leaves_no_doubt() -> None:
    figures = traces_of(0.9, 0.1, 0.6).figures("l", None)
    assert figures is not None
    assert (figures.disturbance, figures.doubt) == ("", "")


def test_rounds_of_a_slow_machine_take_no_part() -> None:
    found = traces_of(0.0, 0.0, 0.9, 0.0, 0.0)
    found.set_slow(frozenset({0, 2}))
    assert [one.round for one in found.used] == [1, 3, 4]
    assert [row.traced_ns for row in found.operators("l")] == [10 * US + 3]
    assert found.set_aside() == {0: SLOW, 2: "others took 90%"}
    assert not found.all_disturbed
    # The next one tells that the first was no slower than usual.
    found.add(trace(5, 10 * US + 5), "")
    found.set_slow(frozenset())
    assert [one.round for one in found.used] == [0, 1, 3, 4, 5]
    assert [row.traced_ns for row in found.operators("l")] == [10 * US + 3]


@pytest.mark.parametrize(("slow", "used"), [({0, 1}, (2, 3)), ({0, 1, 2}, (0, 1, 2, 3))])
def test_where_most_rounds_were_slow_all_count(slow: set[int], used: tuple[int, ...]) -> None:
    found = traces_of(0.0, 0.0, 0.0, 0.0)
    found.set_slow(frozenset(slow))
    assert found.used_rounds == used


def test_before_a_trace_there_is_nothing() -> None:
    found = LaneTraces()
    assert found.figures("l", None) is None
    assert found.operators("l") == found.inner_operators("l") == []
    assert not found.all_disturbed
