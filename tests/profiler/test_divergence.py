"""The first layer that differs, from values that are made up."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from profiler.alignment import LaneOperators
from profiler.cut_points import Cut, cut_points
from profiler.divergence import compare_cut, locate, relative_error, sentence
from profiler.types import CutPoint, ModelGraph, OutputDifference, ValuesCompared
from tests.traced_lanes import node, row


def cut(left: tuple[str, ...], right: tuple[str, ...], *, same: bool = False) -> Cut:
    return Cut(
        region="r", nodes=("n",), values=(left, right), inputs=(), same_names=same, is_output=True
    )


def point(
    name: str, inputs: tuple[int, ...], agrees: bool | None, *, output: bool = False
) -> CutPoint:
    """`agrees` None: not compared."""
    difference = OutputDifference(
        name=name,
        max_abs=0.0 if agrees else 1.0,
        max_rel=0.0,
        cosine=1.0,
        argmax_agreement=None,
        nan_count=0,
        inf_count=0,
        within_tolerance=bool(agrees),
    )
    return CutPoint(
        region=name,
        values=(name, name),
        inputs=inputs,
        is_output=output,
        relative=None if agrees is None else (1e-7 if agrees else 0.5),
        difference=None if agrees is None else difference,
    )


def test_a_node_with_others_inside_is_told_to_be_one() -> None:
    """Two products, an If, and a function of which one lane tells an operator inside."""
    graph = ModelGraph(
        nodes=(
            node("a", "MatMul", "x"),
            node("b", "If", "a"),
            node("c", "Special", "b"),
            node("d", "MatMul", "c"),
        )
    )
    kinds = {"a": "MatMul", "b": "If", "c": "Special", "d": "MatMul"}
    rows = [row(n, kind, i, nodes=(n,)) for i, (n, kind) in enumerate(kinds.items())]
    told = [*rows[:2], row("t", "Tanh", 2, nodes=("c", "c › t")), rows[3]]
    cuts = cut_points((LaneOperators(rows, graph), LaneOperators(told, graph)))
    assert {one.nodes: one.has_bodies for one in cuts} == {
        ("a",): False,
        ("b",): True,
        ("c",): True,
        ("d",): False,
    }


def test_the_sentence_says_that_bodies_were_not_looked_into() -> None:
    plain = point("branch", (0,), False, output=True)
    inside = msgspec.structs.replace(plain, has_bodies=True)
    said = [sentence(compared(point("stem", (), True), one)) for one in (plain, inside)]
    assert "values inside of its nodes" not in said[0]
    assert "values inside of its nodes (If, Loop, Scan, function) aren't compared" in said[1]


def compared(*points: CutPoint) -> ValuesCompared:
    return ValuesCompared(time_ns=0, baseline="a", candidate="b", points=points)


def test_the_first_whose_inputs_agree_is_named() -> None:
    found = compared(
        point("stem", (), True),
        point("left", (0,), True),
        point("right", (0,), False),
        point("join", (1, 2), False),
        point("head", (3,), False, output=True),
    )
    result = locate(found)
    assert result.first is not None
    assert result.first.region == "right"
    assert (result.compared, result.differing, result.unsure) == (5, 3, ())
    assert "First differs at right" in sentence(found)


def test_a_value_that_could_not_be_compared_is_under_suspicion() -> None:
    found = compared(
        point("stem", (), True),
        point("middle", (0,), None),
        point("head", (1,), False, output=True),
    )
    result = locate(found)
    assert result.first is not None
    assert result.first.region == "head"
    assert [other.region for other in result.unsure] == ["middle"]
    assert "middle before it could not be compared" in sentence(found)


def test_a_difference_that_reaches_no_output_is_not_the_first() -> None:
    """As of two values that don't mean the same: what is made from them agrees again."""
    found = compared(
        point("mask", (), False), point("body", (0,), True), point("head", (1,), True, output=True)
    )
    assert locate(found).first is None
    assert "The outputs agree; 1 of 3 values inside differ" in sentence(found)


def test_nothing_diverges() -> None:
    found = compared(point("stem", (), True), point("head", (0,), True, output=True))
    assert sentence(found).startswith("Nothing diverges: all 2 values")
    assert sentence(compared()) == "No values inside of the model could be compared"


def test_of_several_results_those_that_fit_are_compared() -> None:
    """A view behind the product in one lane, a transpose in the other."""
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = compare_cut(
        cut(("view", "product"), ("turned", "same")),
        ({"view": x.reshape(1, 12), "product": x}, {"turned": x.T, "same": x + 1e-6}),
        None,
    )
    assert found.difference is not None
    assert found.difference.within_tolerance
    assert found.values[1] == "same"


def test_in_one_graph_equal_names_count_and_the_worst_of_them() -> None:
    one, two = np.ones(4, np.float32), np.full(4, 2, np.float32)
    found = compare_cut(
        cut(("p", "q"), ("p", "q"), same=True), ({"p": one, "q": one}, {"p": one, "q": two}), None
    )
    assert found.values == ("q", "q")
    assert found.relative == pytest.approx(1.0)


def test_integers_and_floats_are_not_compared() -> None:
    found = compare_cut(
        cut(("x",), ("x",)),
        ({"x": np.ones(4, np.float32)}, {"x": np.ones(4, np.uint8)}),
        None,
    )
    assert found.difference is None
    assert found.note


def test_relative_error() -> None:
    assert relative_error(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(0.1)
    assert relative_error(np.array([np.nan, 2.0]), np.array([np.nan, 2.0])) == 0
    assert relative_error(np.array([1.0, 2.0]), np.array([np.inf, 2.0])) == float("inf")
    assert relative_error(np.zeros(2), np.zeros(2)) == 0


def test_cut_points_follow_the_graph() -> None:
    """A branch that joins again, in both lanes; the quantized value is read as a float."""
    graph = ModelGraph(
        nodes=(
            node("stem", "Conv", "x"),
            node("q", "QuantizeLinear", "stem"),
            node("d", "DequantizeLinear", "q"),
            node("left", "Relu", "d"),
            node("right", "Tanh", "d"),
            node("join", "Add", "left", "right"),
        )
    )
    rows = [
        row("stem", "Conv", 0, nodes=("stem", "q")),
        row("left", "Relu", 1, nodes=("d", "left")),
        row("right", "Tanh", 2, nodes=("right",)),
        row("join", "Add", 3, nodes=("join",)),
    ]
    lane = LaneOperators(rows=rows, graph=graph)
    found = cut_points((lane, lane))
    assert found[0].values[0] == ("d", "q")
    assert found[-1].inputs == (1, 2)
    assert [one.is_output for one in found] == [False, False, False, True]
    assert all(one.same_names for one in found)
