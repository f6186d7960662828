"""How the figures were made, in words."""

from __future__ import annotations

import msgspec
import pytest

from profiler.method import method_note, noise_note
from profiler.session import Session
from profiler.types import EngineReady, Event, Round, RoundKind, RunStarted
from tests.sample_session import sample_events, session_of


def changed(
    *,
    foreign: float = 0.0,
    every: int = 1,
    options: dict[str, bool] | dict[str, int] | None = None,
    **plan: object,
) -> Session:
    """The sample run; in every n-th round others took that share of the CPU."""
    events: list[Event] = []
    for event in sample_events():
        match event:
            case RunStarted():
                base, fast, dead = event.plan.engines
                fast = msgspec.structs.replace(fast, options=options or {})
                made = msgspec.structs.replace(event.plan, engines=(base, fast, dead), **plan)
                events.append(msgspec.structs.replace(event, plan=made))
            case Round() if event.kind is RoundKind.TIMED:
                share = foreign if event.index % every == 0 else 0.0
                events.append(msgspec.structs.replace(event, foreign_cpu_share=share))
            case EngineReady():
                events.append(msgspec.structs.replace(event, input_note="NumPy arrays"))
            case _:
                events.append(event)
    return session_of(events)


def test_an_empty_session_has_no_method() -> None:
    assert method_note(Session()) == ""
    assert noise_note(Session()) == ""


def test_it_says_how_the_interval_is_made_and_what_ended_the_run() -> None:
    text = method_note(changed())
    for part in (
        "moderated t",
        "untimed calls (10 ms, at least one call",
        "random order",
        "Seed 0",
        "2% of the ratio",
        "60 s",
        "NumPy arrays",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "a turn ends when they rest"),
        ({"allow_spinning": False}, "Threads of lane fast don't spin"),
        ({"stop_spinning": True}, "Threads of lane fast stop spinning when a call ends"),
    ],
)
def test_it_says_whether_threads_spin(options: dict[str, bool], said: str) -> None:
    assert said in method_note(changed(options=options))


def test_it_says_how_many_call_at_once() -> None:
    assert "call at once" not in method_note(changed())
    said = method_note(changed(options={"callers": 4}))
    assert "4 threads of lane fast call at once" in said


def test_it_says_where_lanes_were_kept() -> None:
    assert "Lanes are kept on CPUs 1, 2, 3" in method_note(changed(lane_cpus=(1, 2, 3)))
    assert "kept on CPUs" not in method_note(changed())


def test_a_calm_run_says_that_nothing_was_set_aside() -> None:
    text = noise_note(changed())
    assert "took 0% of the CPU" in text
    assert text.endswith("down: none was.")


def test_disturbed_rounds_are_counted_and_the_cause_named() -> None:
    text = noise_note(changed(foreign=0.5, every=4))
    assert text.endswith(
        "3 of 12 rounds were (set aside); mostly, other processes (above all chrome)."
    )


def test_a_busy_machine_is_told() -> None:
    text = noise_note(changed(foreign=0.5))
    assert "12 of 12 rounds were (all take part, since most were)" in text
