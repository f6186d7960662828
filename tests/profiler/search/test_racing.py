"""Who is out of a race, exactly, on rounds with known medians."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from profiler.compare import compare_rounds
from profiler.search import racing
from profiler.stats import launches_estimate
from profiler.types import NoiseRule, RaceRound, Round, RoundKind, Verdict


def rounds_of(
    arms: dict[str, list[float]], launch: int = 0, disturbed: frozenset[int] = frozenset()
) -> list[RaceRound]:
    return [
        RaceRound(
            time_ns=0,
            race=0,
            index=launch * 100 + index,
            launch=launch,
            medians_ns=dict(zip(arms, values, strict=True)),
            disturbed="busy" if index in disturbed else "",
        )
        for index, values in enumerate(zip(*arms.values(), strict=True))
    ]


def steady(latency: float, rounds: int) -> list[float]:
    return [latency] * rounds


def test_seven_rounds_put_an_arm_of_twice_the_latency_out_and_six_do_not() -> None:
    six = rounds_of({"a": steady(1e6, 6), "b": steady(2e6, 6)})
    seven = rounds_of({"a": steady(1e6, 7), "b": steady(2e6, 7)})
    assert racing.out(racing.standings(six, ["a", "b"], comparisons=1)) == []
    (lost,) = racing.out(racing.standings(seven, ["a", "b"], comparisons=1))
    assert (lost.label, lost.rounds, lost.launches) == ("b", 7, 1)
    assert lost.ratio == pytest.approx(2.0)


def test_one_launch_never_puts_out_what_launches_may_differ_by() -> None:
    """However many rounds there are: processes of one lane differ by up to 2 %."""
    many = rounds_of({"a": steady(1e6, 300), "b": steady(1.03e6, 300)})
    assert racing.out(racing.standings(many, ["a", "b"], comparisons=1)) == []
    launches = [
        item
        for launch in range(6)
        for item in rounds_of({"a": steady(1e6, 10), "b": steady(1.03e6, 10)}, launch)
    ]
    (lost,) = racing.out(racing.standings(launches, ["a", "b"], comparisons=1))
    assert lost.launches == 6


def test_more_arms_make_every_interval_wider() -> None:
    arms = {"a": steady(1e6, 7), "b": steady(1.055e6, 7)}
    found = rounds_of(arms)
    (alone,) = racing.standings(found, ["a", "b"], comparisons=1)[1:]
    (many,) = racing.standings(found, ["a", "b"], comparisons=6)[1:]
    assert many.low < alone.low < alone.high < many.high
    assert alone.slower
    assert not many.slower


def test_the_interval_is_that_of_every_comparison_with_less_doubt_in_one_launch() -> None:
    random = np.random.default_rng(3)
    arms = {
        "a": list(1e6 * np.exp(random.normal(0, 0.02, 12))),
        "b": list(1.1e6 * np.exp(random.normal(0, 0.02, 12))),
    }
    found = rounds_of(arms)
    standing = racing.standings(found, ["a", "b"], comparisons=3)[1]
    medians = {label: dict(enumerate(values)) for label, values in arms.items()}
    compared = compare_rounds(("b", medians["b"]), ("a", medians["a"]), comparisons=3)
    assert compared is not None
    ratios = np.array(arms["b"]) / np.array(arms["a"])
    expected = launches_estimate(
        [ratios], comparisons=3, spread=racing.RACE_SPREAD, lone_spread=racing.RACE_SPREAD
    )
    assert (standing.ratio, standing.low, standing.high) == expected
    assert compared.speedup == standing.ratio
    assert compared.low < standing.low < standing.high < compared.high
    assert standing.slower
    assert compared.verdict is Verdict.UNRESOLVED


def test_drift_of_the_machine_takes_nobody_out() -> None:
    drift = [1e6 * (1 + 0.2 * index) for index in range(20)]
    found = rounds_of({"a": drift, "b": drift})
    standing = racing.standings(found, ["a", "b"], comparisons=1)[1]
    assert (standing.ratio, standing.slower) == (1.0, False)


def test_disturbed_rounds_do_not_count_unless_most_are() -> None:
    arms = {"a": [1e6] * 8 + [9e6] * 2, "b": [2e6] * 10}
    few = rounds_of(arms, disturbed=frozenset({8, 9}))
    assert racing.standings(few, ["a", "b"], comparisons=1)[0].rounds == 8
    # For a moment only, as far as is known: they wait.
    most = rounds_of(arms, disturbed=frozenset(range(2, 10)))
    assert racing.standings(most, ["a", "b"], comparisons=1)[0].rounds == 2
    last = racing.standings(most, ["a", "b"], comparisons=1, at_end=True)
    assert last[0].rounds == 10
    long = {name: values * 2 for name, values in arms.items()}
    busy = rounds_of(long, disturbed=frozenset(range(2, 20)))
    assert racing.standings(busy, ["a", "b"], comparisons=1)[0].rounds == 20


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ((0.5, 0.0, 0.0), ""),
        ((0.5, 0.3, 0.1), "other processes took 30% of the CPU"),
        ((), ""),
    ],
)
def test_a_round_is_disturbed_by_what_all_its_turns_saw(
    shares: tuple[float, ...], reason: str
) -> None:
    turns = [
        Round(
            time_ns=0,
            label=str(number),
            index=0,
            kind=RoundKind.TIMED,
            started_ns=0,
            latencies_ns=(1,),
            foreign_cpu_share=share,
        )
        for number, share in enumerate(shares)
    ]
    assert racing.disturbed(turns, NoiseRule(foreign_cpu_share=0.25)) == reason


def test_a_moment_of_other_work_puts_nobody_out() -> None:
    arms = {"threads": [5e6] * 8 + [1e6] * 10, "alone": [2e6] * 18}
    disturbed = frozenset(range(8))
    for count in range(1, 18):
        some = {name: values[:count] for name, values in arms.items()}
        found = racing.standings(rounds_of(some, disturbed=disturbed), list(arms), comparisons=1)
        assert all(standing.label == "alone" for standing in racing.out(found))
    assert [standing.label for standing in racing.out(found)] == ["alone"]


def test_a_winner_that_is_not_the_fastest_is_what_others_are_set_against() -> None:
    found = rounds_of({"simple": steady(1.01e6, 8), "quick": steady(1e6, 8)})
    first, second = racing.standings(found, ["simple", "quick"], comparisons=1, leader="simple")
    assert (first.label, first.ratio, second.label) == ("simple", 1.0, "quick")
    assert second.ratio == pytest.approx(1 / 1.01)
    assert second.low < second.ratio < second.high


def test_arms_that_left_are_not_looked_at() -> None:
    early = rounds_of({"a": steady(2e6, 7), "b": steady(1e6, 7), "c": steady(3e6, 7)})
    found = racing.standings(early, ["a", "c"], comparisons=2)
    assert [standing.label for standing in found] == ["a", "c"]


def test_a_race_is_over_when_one_is_left_or_all_are_alike() -> None:
    one = racing.standings(rounds_of({"a": steady(1e6, 3)}), ["a"], comparisons=1)
    assert racing.decided(one) == "one left"
    assert racing.decided(()) == ""
    even = [
        item
        for launch in range(8)
        for item in rounds_of({"a": steady(1e6, 10), "b": steady(1e6, 10)}, launch)
    ]
    assert racing.decided(racing.standings(even[:10], ["a", "b"], comparisons=1)) == ""
    assert racing.decided(racing.standings(even, ["a", "b"], comparisons=1)) == "alike"


@pytest.mark.parametrize(
    ("latencies", "changes", "barred", "winner"),
    [
        # Within 2 % the default wins, past that the faster one.
        ({"default": 1.015, "tuned": 1.0}, {"default": 0, "tuned": 2}, set(), "default"),
        ({"default": 1.05, "tuned": 1.0}, {"default": 0, "tuned": 2}, set(), "tuned"),
        ({"one": 1.01, "two": 1.0}, {"one": 1, "two": 2}, set(), "one"),
        # As simple and as fast: the faster.
        ({"one": 1.01, "two": 1.0}, {"one": 1, "two": 1}, set(), "two"),
        # An arm over its limit leads the race, but is not chosen.
        ({"default": 1.05, "tuned": 1.0}, {"default": 0, "tuned": 1}, {"tuned"}, "default"),
        ({"default": 1.05, "tuned": 1.0}, {"default": 0, "tuned": 1}, {"tuned", "default"}, ""),
    ],
)
def test_the_simplest_of_the_fastest_is_chosen(
    latencies: dict[str, float], changes: dict[str, int], barred: set[str], winner: str
) -> None:
    found = rounds_of({label: steady(1e6 * factor, 8) for label, factor in latencies.items()})
    standings = racing.standings(found, list(latencies), comparisons=1)
    assert racing.chosen(standings, changes, barred) == winner


def test_over_the_limit_is_told_by_the_binomial_test() -> None:
    # P(X >= 3) of 20 calls at 1 % is 0.0010; P(X >= 2) is 0.0169 (hand calculation).
    assert racing.surely_over(3, 20)
    assert not racing.surely_over(2, 20)
    assert not racing.surely_over(0, 0)
    # A tenth of many calls is, one in a hundred never.
    assert racing.surely_over(100, 1000)
    assert not racing.surely_over(10, 1000)


def test_the_right_arm_wins_in_simulated_races() -> None:
    """Arms 10 % apart, launches that differ by 1 %: the best is never put out in 200 races."""
    random = np.random.default_rng(0)
    true = {"best": 1.0, "next": 1.1, "far": 1.5, "further": 2.0}
    wrong = 0
    for _ in range(200):
        rounds: list[RaceRound] = []
        left = list(true)
        for launch in range(3):
            level = {arm: true[arm] * np.exp(random.normal(0, 0.01)) for arm in true}
            for index in range(10):
                values = {arm: 1e6 * level[arm] * np.exp(random.normal(0, 0.02)) for arm in left}
                rounds.append(
                    RaceRound(
                        time_ns=0,
                        race=0,
                        index=launch * 10 + index,
                        launch=launch,
                        medians_ns=values,
                    )
                )
                found = racing.standings(rounds, left, comparisons=3)
                gone = {standing.label for standing in racing.out(found)}
                left = [arm for arm in left if arm not in gone]
        wrong += "best" not in left
        assert not {"far", "further"} & set(left)
    assert wrong == 0


def test_pairs_of_labels_do_not_depend_on_their_order() -> None:
    arms = {"a": steady(1e6, 8), "b": steady(1.2e6, 8), "c": steady(1.5e6, 8)}
    found = rounds_of(arms)
    orders = {
        tuple(s.label for s in racing.standings(found, list(order), comparisons=2))
        for order in itertools.permutations(arms)
    }
    assert orders == {("a", "b", "c")}
