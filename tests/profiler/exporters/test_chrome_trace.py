"""The Chrome trace: its object format, units, and operators inside of operators."""

from __future__ import annotations

import itertools
import json
from typing import Any

from profiler.exporters import formats
from profiler.session import Session
from tests.sample_session import sample_events, session_of


def events(session: Session) -> list[dict[str, Any]]:
    found = json.loads(formats()["chrome-trace"].render(session))
    assert set(found) == {"traceEvents", "displayTimeUnit"}
    listed: list[dict[str, Any]] = found["traceEvents"]
    return listed


def spans(session: Session) -> list[dict[str, Any]]:
    return [event for event in events(session) if event["ph"] == "X"]


def test_times_are_microseconds() -> None:
    first = spans(session_of(sample_events()))[0]
    assert first["name"] == "conv"
    assert (first["ts"], first["dur"]) == (1.0, 5.0)
    assert first["args"]["op_type"] == "Conv"
    assert first["args"]["source_nodes"] == ["conv_out", "relu_out"]


def test_every_event_is_complete() -> None:
    for event in events(session_of(sample_events())):
        assert event["ph"] in {"M", "X"}
        assert isinstance(event["pid"], int)
        if event["ph"] == "X":
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            assert isinstance(event["tid"], int)


def test_an_inner_operator_lies_within_the_outer_one() -> None:
    found = spans(session_of(sample_events()))
    for outer, inner in zip(found[::2], found[1::2], strict=True):
        assert (outer["name"], inner["name"]) == ("conv", "inner")
        assert (outer["pid"], outer["tid"]) == (inner["pid"], inner["tid"])
        assert outer["ts"] <= inner["ts"]
        assert inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]


def test_iterations_follow_each_other() -> None:
    found = spans(session_of(sample_events()))
    assert [event["args"]["iteration"] for event in found] == [0, 0, 1, 1]
    # The second one starts after the whole of the first one, which took 10 µs.
    assert found[2]["ts"] > 10.0 + found[0]["ts"]


def test_rounds_follow_each_other() -> None:
    twice = [*sample_events(), *sample_events()]
    found = [event for event in spans(session_of(twice)) if event["name"] == "conv"]
    assert len(found) == 4
    assert all(a["ts"] + a["dur"] <= b["ts"] for a, b in itertools.pairwise(found))


def test_each_lane_is_a_process() -> None:
    names = [e for e in events(session_of(sample_events())) if e["ph"] == "M"]
    assert [event["args"]["name"] for event in names] == [
        "base [base]",
        "fast [fast]",
        "dead [dead]",
    ]
    assert len({event["pid"] for event in names}) == 3


def test_any_name_is_kept() -> None:
    name = '</script>"\n名前'
    assert spans(session_of(sample_events(operator=name)))[0]["name"] == name


def test_an_empty_session_is_a_trace() -> None:
    assert events(Session()) == []
