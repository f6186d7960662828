"""How a search's time is shared out, on a clock that a test sets."""

from __future__ import annotations

import pytest

from profiler.compare import MIN_ROUNDS
from profiler.search.budget import (
    CONFIRMATION_TURN_S,
    GRACE_S,
    LEAST_RACE_SHARE,
    Budget,
    turn_s,
)
from profiler.stats import LEAST_ROUNDS
from tests.scripted_engine import Clock

TURN_S = 0.5


def budget(total_s: float, clock: Clock | None = None, cores: int = 2) -> Budget:
    return Budget(
        clock=clock or Clock(now_s=100.0),
        total_s=total_s,
        race_share=0.65,
        turn_s=TURN_S,
        cores=cores,
        lanes={"ort": 2, "torch": 2},
    )


def test_races_have_their_share_where_the_confirmation_needs_less() -> None:
    made = budget(1000.0)
    assert made.races_end_s == 100.0 + 650.0
    needed_s = made.needed_s({"ort": 2, "torch": 2})
    assert made.races_cut_s == made.end_s - needed_s > made.races_end_s


def test_what_the_confirmation_needs_is_kept_for_it() -> None:
    made = budget(100.0)
    made.note("ort", 4, load_s=8.0, warmup_s=4.0, turn_s=0.1)
    made.note("torch", 1, load_s=10.0, warmup_s=1.0, turn_s=1.5)
    # Four at once on two cores: one alone takes half of their time.
    starting_s = 2 * (8.0 / 2 + 1.0) + 2 * 11.0
    rounds_s = MIN_ROUNDS * (2 * TURN_S + 2 * 1.5)
    assert made.needed_s(made.lanes) == pytest.approx(starting_s + rounds_s)
    assert made.races_end_s == made.races_cut_s == pytest.approx(200.0 - starting_s - rounds_s)
    made.lanes["torch"] = 0
    assert made.races_end_s == 165.0


def test_the_confirmation_has_longer_turns_than_races() -> None:
    made = budget(1000.0)
    made.turn_s = 0.01
    starting_s = sum(made.pace(family).start_s for family in ("ort", "torch"))
    rounds_s = MIN_ROUNDS * 2 * CONFIRMATION_TURN_S
    assert made.needed_s({"ort": 1, "torch": 1}) == pytest.approx(starting_s + rounds_s)
    made.turn_s = 0.2
    rounds_s = MIN_ROUNDS * 2 * 0.4
    assert made.needed_s({"ort": 1, "torch": 1}) == pytest.approx(starting_s + rounds_s)


def test_races_keep_a_least_share_of_a_short_budget() -> None:
    made = budget(10.0)
    assert made.needed_s(made.lanes) > 10.0
    assert made.races_end_s == pytest.approx(100.0 + 10.0 * LEAST_RACE_SHARE)


def test_the_slowest_start_counts() -> None:
    made = budget(100.0)
    made.note("ort", 1, load_s=3.0, warmup_s=0.0, turn_s=TURN_S)
    made.note("ort", 1, load_s=1.0, warmup_s=0.0, turn_s=2.0)
    assert (made.pace("ort").start_s, made.pace("ort").turn_s) == (3.0, 2.0)


def test_as_many_race_as_can_load_and_have_their_rounds() -> None:
    made = budget(100.0)
    made.note("ort", 1, load_s=2.0, warmup_s=0.0, turn_s=TURN_S)
    rounds_s = LEAST_ROUNDS * TURN_S
    # Two load as fast as one on two cores, four take twice as long.
    assert made.fitting("ort", 4, 100.0 + 4.0 + 4 * rounds_s) == 4
    assert made.fitting("ort", 4, 100.0 + 3.9 + 4 * rounds_s) == 3
    assert made.fitting("ort", 4, 100.0 + 2.0 + rounds_s) == 1
    assert made.fitting("ort", 4, 100.0) == 0


def test_the_end_and_what_comes_after() -> None:
    clock = Clock(now_s=100.0)
    made = budget(10.0, clock)
    clock.now_s = 109.0
    assert made.left_s() == 1.0
    clock.now_s = 110.0 + GRACE_S / 2
    assert (made.left_s(), made.is_over()) == (0.0, False)
    clock.now_s = 110.0 + GRACE_S
    assert made.is_over()


def test_a_turn_has_untimed_calls_before_it() -> None:
    assert turn_s(50_000_000) == pytest.approx(0.06)
