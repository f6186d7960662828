"""The JSON export: names and values of what programs read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from profiler.exporters import formats
from profiler.session import Session
from profiler.types import GraphDescribed, OpTiming, OpTimings, Round
from tests.sample_session import ROUNDS, sample_events, session_of


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def report(session: Session) -> dict[str, Any]:
    """Strictly read: no NaN, no Infinity."""
    found: dict[str, Any] = json.loads(formats()["json"].render(session), parse_constant=refuse)
    return found


@pytest.fixture
def sample() -> dict[str, Any]:
    return report(session_of(sample_events()))


def test_lanes_have_their_latencies(sample: dict[str, Any]) -> None:
    base, fast, dead = sample["lanes"]
    assert [lane["label"] for lane in sample["lanes"]] == ["base", "fast", "dead"]
    assert base["latency_ns"].keys() >= {"p50", "p90", "p99", "min", "mean"}
    assert base["latency_ns"]["p50"] == 4_000_000
    assert base["latency_ns"]["min"] == 3_999_998
    assert fast["latency_ns"]["mean"] == 2_000_000
    assert fast["throughput_per_s"] == 500
    assert fast["iterations"] == 3 * ROUNDS
    assert (base["engine"], fast["engine"]) == ("torch-eager", "ort")
    assert fast["options"] == {"allow_spinning": False}
    assert dead["latency_ns"] is None
    assert dead["failure"]["message"] == "No such operator."


def test_lanes_have_rounds_and_operators(sample: dict[str, Any]) -> None:
    fast = sample["lanes"][1]
    assert [item["index"] for item in fast["rounds"]] == list(range(ROUNDS))
    assert fast["rounds"][0]["latencies_ns"] == [1_999_998, 2_000_000, 2_000_002]
    conv = fast["operators"][0]
    assert (conv["name"], conv["op_type"], conv["traced_ns"]) == ("conv", "Conv", 5000)
    assert conv["source_nodes"] == ["conv_out", "relu_out"]


def test_comparisons_have_an_interval_and_a_verdict(sample: dict[str, Any]) -> None:
    (found,) = sample["comparisons"]
    assert (found["baseline"], found["candidate"]) == ("base", "fast")
    assert found["speedup"] == pytest.approx(2.0)
    assert found["low"] < 2.0 < found["high"]
    assert found["launches"] == 1
    assert found["verdict"] == "faster"
    # The two rounds of the second launch wait for more.
    assert found["rounds"] == 10
    assert found["outputs_agree"] is False


def test_infinity_is_null(sample: dict[str, Any]) -> None:
    difference = sample["comparisons"][0]["output_differences"][0]
    assert difference["max_abs"] is None
    assert difference["max_rel"] == 0.5
    one_round = [e for e in sample_events() if not (isinstance(e, Round) and e.index > 0)]
    (comparison,) = report(session_of(one_round))["comparisons"]
    assert comparison["high"] is None
    assert comparison["verdict"] == "unresolved"


def test_the_run_is_described(sample: dict[str, Any]) -> None:
    assert sample["format"] == 1
    assert sample["dualscope"] == "9.9"
    assert sample["model"]["kind"] == "onnx"
    assert sample["inputs"][0]["shape"] == [1, 3]
    assert sample["environment"]["cpu"] == "a test"
    assert sample["finished"] == "precision"
    assert "2.0×" in sample["verdict"]


def test_it_is_ascii_and_keeps_any_name() -> None:
    name = 'ü"\n\\</script>\u2028'
    text = formats()["json"].render(session_of(sample_events(fast=name, operator=name)))
    assert text.isascii()
    assert json.loads(text)["lanes"][1]["operators"][0]["name"] == name


def test_an_empty_session_is_a_report() -> None:
    found = report(Session())
    assert (found["lanes"], found["comparisons"], found["model"]) == ([], [], None)


def two_lanes() -> Session:
    """The sample's two lanes with operators: a convolution fused in one, apart in the other."""
    base_ops = tuple(
        OpTiming(
            name=name,
            op_type=kind,
            start_ns=start,
            duration_ns=duration,
            source_nodes=(name,),
        )
        for name, kind, start, duration in (
            ("conv_out", "aten::conv2d", 0, 3_000_000),
            ("relu_out", "aten::relu", 3_000_000, 500_000),
        )
    )
    fused = OpTiming(
        name="fused",
        op_type="Conv",
        start_ns=0,
        duration_ns=1_500_000,
        source_nodes=("relu_out", "conv_out"),
    )
    events = [event for event in sample_events() if not isinstance(event, OpTimings)]
    graph = next(event for event in events if isinstance(event, GraphDescribed))
    events += [
        msgspec.structs.replace(graph, label="base"),
        OpTimings(
            time_ns=8,
            label="base",
            round=0,
            iterations=1,
            traced_latencies_ns=(4_000_000,),
            ops=base_ops,
        ),
        OpTimings(
            time_ns=8,
            label="fast",
            round=0,
            iterations=1,
            traced_latencies_ns=(3_000_000,),
            ops=(fused,),
        ),
    ]
    return session_of(events)


def test_comparisons_tell_why() -> None:
    (found,) = report(two_lanes())["comparisons"]
    assert found["coverage"] == {"baseline": 1.0, "candidate": 1.0}
    assert found["gap_ns"] == -2_000_000
    (region,) = found["regions"]
    assert region["baseline"]["operators"] == ["conv_out (aten::conv2d)", "relu_out (aten::relu)"]
    assert region["candidate"]["operators"] == ["fused (Conv)"]
    assert region["baseline"]["timed_ns"] == 3_500_000
    assert region["candidate"]["timed_ns"] == 1_000_000
    assert region["difference_ns"] == -2_500_000
    assert region["share_of_gap"] == 1.25
    assert sum(bar["difference_ns"] for bar in found["waterfall"]) == -2_000_000


def test_the_verdict_has_a_reason() -> None:
    verdict = two_lanes().verdict()
    assert "fast is 2.0× faster than base" in verdict
    assert "]; 125 % of the gap: stem.conv" in verdict


def test_the_reason_follows_the_session() -> None:
    session = two_lanes()
    first = session.explanation("base", "fast")
    assert first is not None
    assert session.explanation("base", "fast") is first
    session.apply(session.traces["fast"][0])
    again = session.explanation("base", "fast")
    assert again is not None
    assert again is not first
    assert len(again.regions) == len(first.regions)


def test_lanes_tell_how_well_they_are_traced() -> None:
    base, fast, dead = report(two_lanes())["lanes"]
    assert base["trace"]["coverage"] == 0.875
    assert fast["trace"]["tracing_cost"] == 1.5
    assert dead["trace"] is None


def test_a_run_without_traces_has_no_regions() -> None:
    events = [event for event in sample_events() if not isinstance(event, OpTimings)]
    (found,) = report(session_of(events))["comparisons"]
    assert (found["coverage"], found["regions"], found["reason"]) == (None, [], "")


def test_the_html_report_tells_why() -> None:
    text = formats()["html"].render(two_lanes())
    assert "stem.conv" in text
    assert "engine overhead / not attributed" in text
    assert "Operator time in regions that both lanes run: 100.0% of base" in text
