"""The gap's bars add up; the sentence names what is large."""

from __future__ import annotations

import msgspec
import pytest

from profiler.operators import OperatorTotals, Outside
from profiler.regions import Region
from profiler.trace_figures import TraceFigures, trace_figures
from profiler.types import LatencyStats, OpTiming, OpTimings
from profiler.waterfall import OVERHEAD, bars, gap_sentence, grouped_bars
from tests.traced_lanes import row


def region(name: str, signature: str, baseline_ns: float, candidate_ns: float) -> Region:
    return Region(
        name=name,
        path=(),
        label=name,
        signature=signature,
        nodes=(),
        operators=((row("a", "A", 0),), (row("b", "B", 0),)),
        traced_ns=(baseline_ns, candidate_ns),
        timed_ns=(baseline_ns, candidate_ns),
    )


def figures(timed_ns: float, operators_ns: float) -> TraceFigures:
    return TraceFigures(
        operators_ns=operators_ns,
        traced_ns=timed_ns,
        timed_ns=timed_ns,
        coverage=operators_ns / timed_ns,
        tracing_cost=1.0,
        scale=1.0,
        overhead_ns=timed_ns - operators_ns,
    )


REGIONS = [
    region("a", "Conv", 400, 100),
    region("b", "Conv", 300, 100),
    region("head", "MatMul", 250, 50),
    region("c", "Softmax", 10, 60),
]
FIGURES = (figures(1000, 960), figures(330, 310))


@pytest.mark.parametrize("make", [bars, grouped_bars])
def test_bars_add_up_to_the_gap(make: object) -> None:
    assert callable(make)
    found = make(REGIONS, FIGURES)
    assert sum(bar.difference_ns for bar in found) == pytest.approx(330 - 1000)
    assert sum(bar.share for bar in found) == pytest.approx(1.0)
    assert found[-1].name == OVERHEAD
    assert found[-1].difference_ns == 20 - 40


def test_bars_are_sorted_by_size() -> None:
    assert [bar.name for bar in bars(REGIONS, FIGURES)[:-1]] == ["a", "b", "head", "c"]


def test_regions_of_one_kind_are_one_bar() -> None:
    found = grouped_bars(REGIONS, FIGURES)
    assert [(bar.name, bar.regions) for bar in found[:3]] == [
        ("2 Conv regions", (0, 1)),
        ("head", (2,)),
        ("c", (3,)),
    ]


def test_the_sentence_names_the_two_largest() -> None:
    found = gap_sentence(grouped_bars(REGIONS, FIGURES))
    assert found == "75 % of the gap: 2 Conv regions; 30 %: head"


def test_nothing_large_makes_no_sentence() -> None:
    many = [region(f"r{i}", f"K{i}", 20, 19) for i in range(20)]
    assert gap_sentence(grouped_bars(many, (figures(400, 400), figures(380, 380)))) == ""


def test_equal_lanes_have_no_shares() -> None:
    same = [region("a", "Conv", 100, 100)]
    found = bars(same, (figures(100, 100), figures(100, 100)))
    assert [bar.share for bar in found] == [0.0, 0.0]
    assert gap_sentence(found) == ""


def trace(*latencies: int) -> OpTimings:
    return OpTimings(
        time_ns=0,
        label="l",
        round=0,
        iterations=len(latencies),
        traced_latencies_ns=latencies,
        ops=(),
    )


def stats(p50_ns: float) -> LatencyStats:
    return LatencyStats(
        label="l",
        p50_ns=p50_ns,
        p90_ns=0,
        p99_ns=0,
        min_ns=0,
        mean_ns=0,
        stdev_ns=0,
        iterations=1,
        rounds=1,
        throughput_per_s=0,
    )


def test_figures_of_a_trace() -> None:
    rows, outside = [row("a", "A", 0, traced_ns=900)], Outside(before_ns=200, after_ns=100)
    found = trace_figures([trace(1100, 9000, 1200)], rows, stats(1000), outside)
    assert found is not None
    assert (found.traced_ns, found.timed_ns) == (1200, 1000)
    assert found.coverage == 0.75
    assert found.tracing_cost == 1.2
    assert found.operators_ns * found.scale + found.overhead_ns == pytest.approx(1000)
    assert found.overhead_ns == pytest.approx(250)


@pytest.mark.parametrize(("traced_ns", "believable"), [(900, True), (1500, True), (1600, False)])
def test_tracing_that_slows_a_lot_is_not_believed(traced_ns: int, believable: bool) -> None:
    found = trace_figures([trace(traced_ns)], [row("a", "A", 0, traced_ns=900)], stats(1000))
    assert found is not None
    assert found.believable == believable


@pytest.mark.parametrize(
    ("traced_us", "alike", "doubted"),
    [
        (1000, True, False),
        # 140 µs more for each of ten operators may be anything but tracing; 40 µs may be its cost.
        (2400, True, True),
        (1400, True, False),
        (700, True, False),
        (600, True, True),
        (600, False, False),
    ],
)
def test_a_trace_unlike_the_timed_calls(traced_us: int, alike: bool, doubted: bool) -> None:
    rows = [row(f"op {n}", "A", n, traced_ns=90_000) for n in range(10)]
    found = trace_figures([trace(1000 * traced_us)], rows, stats(1e6), alike=alike)
    assert found is not None
    assert found.calls == 10
    assert found.unlike_timed == doubted
    assert bool(found.doubt) == doubted


def test_the_engines_own_time_is_told_by_where_it_lies() -> None:
    def op(start_ns: int, duration_ns: int, iteration: int = 0) -> OpTiming:
        return OpTiming(
            name=f"op {start_ns}",
            op_type="A",
            start_ns=start_ns,
            duration_ns=duration_ns,
            iteration=iteration,
        )

    # Two that overlap, a gap of 20, then one that is followed by 10.
    ops = (op(50, 20), op(60, 20), op(100, 90), op(100, 100, iteration=1))
    whole = msgspec.structs.replace(trace(200, 200), ops=ops)
    totals = OperatorTotals()
    totals.add(whole)
    found = trace_figures([whole], totals.rows("l"), None, totals.outside())
    assert found is not None
    # Medians of 50 and 100, 20 and 0, 10 and 0.
    assert (found.before_ns, found.between_ns, found.after_ns) == (75, 10, 5)
    # Two of 20 in one iteration of two, and the median of 90 and 100.
    assert found.operators_ns == 115
    assert found.outside() == (
        "36.6% before the first operator, 4.9% between operators, 2.4% after the last"
    )


def test_operators_side_by_side_leave_no_negative_overhead() -> None:
    found = trace_figures([trace(1000)], [row("a", "A", 0, traced_ns=1500)], stats(900))
    assert found is not None
    assert found.coverage == 1.0
    assert found.tracing_cost == pytest.approx(1000 / 900)
    assert found.operators_ns * found.scale == pytest.approx(900)
    assert found.overhead_ns == 0


def test_no_trace_no_figures() -> None:
    assert trace_figures([], [], stats(1)) is None
    assert trace_figures([trace(5)], [], stats(1)) is None
