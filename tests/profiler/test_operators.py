"""Sums of operators, and the modules that they belong to."""

from __future__ import annotations

import pytest

from profiler.operators import OperatorTotals, Outside, common_path, outside_of, with_modules
from profiler.types import ModelGraph, OpTiming, OpTimings
from tests.traced_lanes import node, row


@pytest.mark.parametrize(
    ("scopes", "path"),
    [
        (["a.b.c", "a.b.d"], "a.b"),
        (["a.b", "a.b"], "a.b"),
        (["a.b", "ab"], ""),
        (["a", ""], ""),
        ([], ""),
    ],
)
def test_what_paths_have_in_common(scopes: list[str], path: str) -> None:
    assert common_path(scopes) == path


def test_operators_are_given_the_modules_of_their_nodes() -> None:
    """What computes decides; a module that the engine itself told stays."""
    graph = ModelGraph(
        nodes=(
            node("c", "Conv", "x", scope="stem.conv"),
            node("r", "Relu", "c", scope="stem.act"),
            node("v", "Reshape", "r", scope="head"),
        )
    )
    rows = [
        row("fused", "Conv", 0, nodes=("v", "r", "c")),
        row("view", "Reshape", 1, nodes=("v",)),
        row("told", "aten::relu", 2, nodes=("r",), scope="own"),
        row("other", "Gather", 3, nodes=("gone",)),
    ]
    assert [r.scope for r in with_modules(rows, graph)] == ["stem", "head", "own", ""]


def call(*durations: int, iteration: int = 0) -> list[OpTiming]:
    """Operators a, b, ... one after the other; a duration of 0 leaves its operator out."""
    return [
        OpTiming(
            name=name,
            op_type="A",
            start_ns=sum(durations[:number]),
            duration_ns=duration,
            iteration=iteration,
            wait_ns=duration // 10,
        )
        for number, (name, duration) in enumerate(zip("abc", durations, strict=False))
        if duration
    ]


def totals_of(*traces: list[tuple[int, list[OpTiming]]]) -> OperatorTotals:
    """Of traced rounds, each with its calls' latencies and operators."""
    totals = OperatorTotals()
    for number, calls in enumerate(traces):
        totals.add(
            OpTimings(
                time_ns=0,
                label="l",
                round=number,
                iterations=len(calls),
                traced_latencies_ns=tuple(latency for latency, _ in calls),
                ops=tuple(op for _, ops in calls for op in ops),
            )
        )
    return totals


def test_a_call_that_was_disturbed_distorts_no_operator() -> None:
    """Another process had the CPU for 5000 ns, in whichever operator was running."""
    totals = totals_of(
        [(110, call(60, 40)), (5110, call(60, 5040, iteration=1))],
        [
            (112, call(62, 40)),
            (5112, call(5060, 42, iteration=1)),
            (110, call(60, 40, iteration=2)),
        ],
    )
    rows = totals.rows("l")
    assert [(r.name, r.traced_ns, r.wait_ns) for r in rows] == [("a", 60, 6), ("b", 40, 4)]
    assert [r.share for r in rows] == [0.6, 0.4]
    assert totals.outside() == Outside(after_ns=10)
    assert totals.traced_ns() == 100


def test_an_operator_of_some_calls_counts_by_how_many_have_it() -> None:
    totals = totals_of([(100, call(100)), (150, call(100, 50, iteration=1))])
    assert {row.name: row.traced_ns for row in totals.rows("l")} == {"a": 100, "b": 25}


def test_calls_of_one_name_add_up_within_an_iteration() -> None:
    totals = totals_of([(30, [*call(10), *call(20)])])
    (row,) = totals.rows("l")
    assert (row.traced_ns, row.calls) == (30, 2)


def test_rows_follow_the_traces() -> None:
    totals = totals_of([(100, call(100))])
    assert totals.rows("l")[0].traced_ns == 100
    more = OpTimings(
        time_ns=0,
        label="l",
        round=1,
        iterations=2,
        traced_latencies_ns=(40, 40),
        ops=(*call(40), *call(40, iteration=1)),
    )
    totals.add(more)
    assert totals.rows("l")[0].traced_ns == 40


def test_time_outside_of_operators() -> None:
    assert outside_of(100, call(30, 40)) == Outside(after_ns=30)
    assert outside_of(100, []) == Outside(before_ns=100)
