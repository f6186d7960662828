"""What is said where there are no operator times."""

from __future__ import annotations

from profiler.session import Session
from profiler.types import EngineFailed, OpTimings, Phase, RunFinished
from profiler.untraced import why_untraced
from tests.sample_session import generation_events, sample_events, session_of


def test_each_reason() -> None:
    events = sample_events()
    assert why_untraced(session_of(events)) == ""
    assert why_untraced(Session()) == "nothing was measured"
    assert why_untraced(session_of(events[:1])) == "nothing was traced so far"
    untraced = [event for event in events if not isinstance(event, OpTimings)]
    assert why_untraced(session_of(untraced)) == "the run ended before anything was traced"
    failed = [
        EngineFailed(time_ns=2, label=label, phase=Phase.LOADING, message="No.")
        for label in ("base", "fast", "dead")
    ]
    all_failed = session_of([events[0], *failed, RunFinished(time_ns=3, reason="all lanes failed")])
    assert why_untraced(all_failed) == "every lane failed"
    generated = session_of(generation_events())
    assert why_untraced(generated) == "generations are timed token by token, not traced"
