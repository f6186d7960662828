"""Goal and prices as a person writes them."""

from __future__ import annotations

import argparse

import pytest

from profiler.decision_options import (
    add_decision_options,
    count,
    per_day,
    per_kwh,
    price,
    question_of,
    utilization,
)
from profiler.quantities import amount
from profiler.types import CostSettings, Goal, Question


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.20/hour", ("*", 1.2, "")),
        ("2", ("*", 2.0, "")),
        ("cpu=0.40EUR/hour", ("cpu", 0.4, "EUR")),
        ("cuda:0=$2.5/h", ("cuda:0", 2.5, "$")),
        ("NVIDIA H100 80GB HBM3=3.9 USD/hr", ("NVIDIA H100 80GB HBM3", 3.9, "USD")),
    ],
)
def test_prices(text: str, expected: tuple[str, float, str]) -> None:
    assert price(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("50000", 5e4), ("2m/day", 2e6), ("1.5k", 1500.0), ("1b/d", 1e9)]
)
def test_requests(text: str, expected: float) -> None:
    assert per_day(text) == expected


def test_other_amounts() -> None:
    assert utilization("70%") == utilization("0.7") == pytest.approx(0.7)
    assert (count("3"), amount("12.5")) == (3, 12.5)
    assert per_kwh("0.30EUR/kWh") == (0.3, "EUR")


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (price, "cheap"),
        (price, "-1/hour"),
        (price, "1/day"),
        (per_day, "many"),
        (per_day, "0"),
        (per_kwh, "1/hour"),
        (utilization, "0"),
        (utilization, "120%"),
        (utilization, "nan"),
        (count, "0"),
        (count, "1.5"),
        (amount, "-1"),
        (amount, "inf"),
    ],
)
def test_what_is_refused_has_an_example(read: object, text: str) -> None:
    assert callable(read)
    with pytest.raises(argparse.ArgumentTypeError, match=r"write for example|whole number"):
        read(text)


def question(*words: str, base: Question | None = None) -> Question:
    parser = argparse.ArgumentParser()
    add_decision_options(parser)
    return question_of(parser.parse_args(words), base or Question())


def test_what_is_given_goes_over_what_was_there() -> None:
    assert question() == Question()
    kept = Question(goal=Goal.COST, cost=CostSettings(prices={"cpu": 1.0}, replicas=2))
    assert question(base=kept) == kept
    asked = question("--price", "cpu=2EUR/hour", "--price", "cuda=3", "--requests", "1k", base=kept)
    assert asked == Question(
        goal=Goal.COST,
        cost=CostSettings(
            prices={"cpu": 2.0, "cuda": 3.0}, currency="EUR", requests_per_day=1000.0, replicas=2
        ),
    )
    assert question("--goal", "p99").goal is Goal.P99


def test_a_goal_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        question("--goal", "beauty")
    assert "portability" in capsys.readouterr().err
