"""A session grows by events and answers in words."""

from __future__ import annotations

import msgspec
import pytest

from profiler.session import Session
from profiler.types import (
    EngineFailed,
    EngineKind,
    EngineSpec,
    ModelKind,
    ModelSource,
    OpTiming,
    OpTimings,
    OutputsCompared,
    Phase,
    Round,
    RoundKind,
    RunPlan,
    RunStarted,
)

PLAN = RunPlan(
    model=ModelSource(path="m.onnx", kind=ModelKind.ONNX, sha256="0", size_bytes=1),
    inputs=(),
    engines=(
        EngineSpec(label="ort", engine=EngineKind.ORT),
        EngineSpec(label="torch-eager", engine=EngineKind.TORCH_EAGER),
    ),
    baseline="torch-eager",
)


def started() -> Session:
    session = Session()
    session.apply(RunStarted(time_ns=7, plan=PLAN, environment={"a": "b"}, dualscope_version="1"))
    return session


def add_rounds(
    session: Session,
    label: str,
    latency_ns: int,
    count: int = 12,
    *,
    start: int = 0,
    foreign: float = 0.0,
) -> None:
    for index in range(start, start + count):
        session.apply(
            Round(
                time_ns=0,
                label=label,
                index=index,
                kind=RoundKind.TIMED,
                started_ns=0,
                latencies_ns=(latency_ns,) * 3,
                foreign_cpu_share=foreign,
            )
        )


def test_an_empty_session_has_nothing_to_say() -> None:
    assert Session().verdict() == ""
    assert Session().comparisons() == []


def test_verdict_of_two_lanes() -> None:
    session = started()
    add_rounds(session, "ort", 100)
    add_rounds(session, "torch-eager", 160)
    assert session.verdict() == (
        "ONNX Runtime (CPU) is 1.60× faster than PyTorch eager (CPU) [1.28–2.01]."
    )


def test_a_failed_lane_is_named_and_the_other_still_measured() -> None:
    session = started()
    add_rounds(session, "ort", 2_000_000)
    session.apply(
        EngineFailed(time_ns=0, label="torch-eager", phase=Phase.LOADING, message="No kernel.")
    )
    verdict = session.verdict()
    assert verdict.startswith("PyTorch eager (CPU) failed: No kernel. ")
    assert "ONNX Runtime (CPU) takes 2 ms (p50)" in verdict


def test_a_reason_for_several_lanes_is_told_once_and_cut() -> None:
    session = started()
    for label in ("ort", "torch-eager"):
        message = "No kernel.\n" + "It has none. " * 60
        session.apply(EngineFailed(time_ns=0, label=label, phase=Phase.LOADING, message=message))
    verdict = session.verdict()
    assert verdict.startswith("ONNX Runtime (CPU) and PyTorch eager (CPU) failed: No kernel. It ")
    assert verdict.count("failed") == 1
    assert len(verdict) < 300


def test_unresolved_lanes_are_told_in_one_sentence() -> None:
    session = Session()
    lanes = [EngineSpec(label=name, engine=EngineKind.ORT) for name in ("base", "a", "b", "c")]
    plan = msgspec.structs.replace(PLAN, engines=tuple(lanes), baseline="base")
    session.apply(RunStarted(time_ns=7, plan=plan, environment={}, dualscope_version="1"))
    add_rounds(session, "base", 100, 9)
    for label in ("a", "b", "c"):
        add_rounds(session, label, 90, 9)
    assert session.verdict() == "Unresolved: only 9 paired rounds of each of a, b and c with base."


def test_outputs_that_differ_come_before_the_speedup() -> None:
    session = started()
    add_rounds(session, "ort", 100)
    add_rounds(session, "torch-eager", 160)
    session.apply(
        OutputsCompared(
            time_ns=0,
            baseline="torch-eager",
            candidate="ort",
            rtol=0.0,
            atol=0.0,
            agree=False,
            differences=(),
        )
    )
    assert session.verdict().startswith("ONNX Runtime (CPU) gives other outputs than PyTorch")


def test_operators_are_summed_over_traces() -> None:
    session = started()
    for number in range(2):
        session.apply(
            OpTimings(
                time_ns=0,
                label="ort",
                round=number,
                iterations=2,
                traced_latencies_ns=(40, 40),
                ops=tuple(
                    OpTiming(
                        name=name,
                        op_type=kind,
                        start_ns=0,
                        duration_ns=duration,
                        source_nodes=(f"{name}_out",),
                        iteration=iteration,
                    )
                    for iteration in range(2)
                    for name, kind, duration in (("a", "Conv", 30), ("b", "Relu", 10))
                ),
            )
        )
    rows = session.operators("ort")
    assert [(r.name, r.op_type, r.calls, r.traced_ns, r.share) for r in rows] == [
        ("a", "Conv", 1, 30.0, 0.75),
        ("b", "Relu", 1, 10.0, 0.25),
    ]
    assert rows[0].source_nodes == ("a_out",)
    assert session.operators("torch-eager") == []


def test_a_baseline_that_dies_hands_over_to_the_first_of_two_others() -> None:
    third = EngineSpec(label="third", engine=EngineKind.ORT)
    plan = msgspec.structs.replace(PLAN, engines=(*PLAN.engines, third))
    session = Session()
    session.apply(RunStarted(time_ns=7, plan=plan, environment={}, dualscope_version="1"))
    add_rounds(session, "torch-eager", 300)
    add_rounds(session, "ort", 200, count=24)
    failed = EngineFailed(time_ns=1, label="torch-eager", phase=Phase.MEASURING, message="It died.")
    session.apply(failed)
    # One other alone is still compared with what the baseline left.
    assert [c.baseline for c in session.comparisons()] == ["torch-eager"]
    add_rounds(session, "third", 100, count=24)
    found = {c.candidate: c for c in session.comparisons()}
    assert found["third"].baseline == "ort"
    assert found["third"].rounds == 24


def test_statistics_follow_the_rounds() -> None:
    session = started()
    add_rounds(session, "ort", 100)
    first = session.latency_stats("ort")
    assert session.latency_stats("ort") is first
    add_rounds(session, "ort", 300, start=12)
    second = session.latency_stats("ort")
    assert first is not None and second is not None
    assert (first.rounds, second.rounds) == (12, 24)


def test_what_is_set_aside_moves_no_figure() -> None:
    session = started()
    for label in ("ort", "torch-eager"):
        add_rounds(session, label, 100)
    # Others were busy in one lane's turns: the whole round is set aside.
    add_rounds(session, "ort", 900, start=12, count=10, foreign=0.9)
    add_rounds(session, "torch-eager", 100, start=12, count=10)
    assert session.set_aside() == frozenset(range(12, 22))
    (comparison,) = session.comparisons()
    assert comparison.speedup == pytest.approx(1.0)
    assert (comparison.rounds, comparison.set_aside) == (12, 10)
    stats = session.latency_stats("ort")
    assert stats is not None and (stats.mean_ns, stats.iterations) == (100.0, 36)
    # Past half of the rounds the load is the machine's state: all take part again.
    add_rounds(session, "ort", 900, start=22, count=3, foreign=0.9)
    add_rounds(session, "torch-eager", 100, start=22, count=3)
    assert session.set_aside() == frozenset()
    assert session.comparisons()[0].rounds == 25
    assert "busy in 13 of 25 rounds" in session.verdict()
