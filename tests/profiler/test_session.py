"""A session grows by events and answers in words."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from profiler.method import noise_note
from profiler.noise import SLOW
from profiler.session import Session
from profiler.types import (
    EngineFailed,
    EngineKind,
    EngineSpec,
    ModelKind,
    ModelSource,
    NoiseRule,
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


QUICK_NS = {"ort": 100_000, "torch-eager": 300_000}


def traced_session(*factors: float, of: Sequence[str] = tuple(QUICK_NS)) -> Session:
    """A run by the rule in force, a traced round for each factor; `of` the lanes that it slows."""
    session, noise = Session(), NoiseRule(slower_by=0.2)
    plan = msgspec.structs.replace(PLAN, noise=noise)
    session.apply(RunStarted(time_ns=7, plan=plan, environment={}, dualscope_version="1"))
    for label, quick_ns in QUICK_NS.items():
        add_rounds(session, label, quick_ns)
    for index, factor in enumerate(factors):
        for label in QUICK_NS:
            session.apply(traced(label, index, factor if label in of else 1.0))
    return session


def traced(label: str, index: int, factor: float) -> OpTimings:
    """Three calls, each with one operator that takes four fifths of it."""
    ns = int(QUICK_NS[label] * factor)
    ops = tuple(
        OpTiming(name="a", op_type="MatMul", start_ns=0, duration_ns=ns * 4 // 5, iteration=call)
        for call in range(3)
    )
    return OpTimings(
        time_ns=0, label=label, round=index, iterations=3, traced_latencies_ns=(ns,) * 3, ops=ops
    )


def operator_ns(session: Session) -> list[float]:
    return [session.operators(label)[0].traced_ns for label in QUICK_NS]


def test_traced_rounds_of_a_slow_machine_give_no_operator_times() -> None:
    session = traced_session(1.5, 1.0, 1.6, 1.02, 1.0)
    assert operator_ns(session) == [80_000, 240_000]
    assert session.unused_traces("ort") == session.unused_traces("torch-eager")
    assert session.unused_traces("ort") == {0: SLOW, 2: SLOW}
    assert [trace.round for trace in session.used_traces("ort")] == [1, 3, 4]
    figures = session.trace_figures("ort")
    assert figures is not None
    assert (figures.traced_ns, figures.tracing_cost, figures.doubt) == (100_000, 1.0, "")
    explained = session.explanation("torch-eager", "ort")
    assert explained is not None
    assert sum(region.traced_ns[1] for region in explained.regions) == 80_000
    assert noise_note(session).endswith(
        f"Of the lanes' 10 traced rounds 4 have no part in operator times, by the same rule; "
        f"mostly, {SLOW}."
    )


def test_traced_rounds_count_where_one_lane_alone_is_slower() -> None:
    session = traced_session(1.5, 1.0, 1.6, 1.0, 1.0, of=["ort"])
    assert session.unused_traces("ort") == {}
    assert "traced rounds" not in noise_note(session)


def test_where_most_traced_rounds_are_slow_all_count() -> None:
    session = traced_session(1.0, 1.5, 1.5, 1.5)
    assert session.unused_traces("ort") == {}
    assert operator_ns(session) == [120_000, 360_000]


def test_a_later_round_may_tell_that_the_ones_before_were_slow() -> None:
    session = traced_session(1.5, 1.5)
    assert operator_ns(session) == [120_000, 360_000]
    first = session.explanation("torch-eager", "ort")
    for index in (2, 3):
        for label in QUICK_NS:
            session.apply(traced(label, index, 1.0))
    assert operator_ns(session) == [80_000, 240_000]
    figures = session.trace_figures("ort")
    assert figures is not None and (figures.rounds, figures.traced_ns) == (4, 100_000)
    assert session.explanation("torch-eager", "ort") is not first


def test_a_session_of_before_keeps_all_of_its_traced_rounds() -> None:
    session = started()
    for index, factor in enumerate((1.5, 1.0, 1.6, 1.0, 1.0)):
        for label in QUICK_NS:
            session.apply(traced(label, index, factor))
    assert session.unused_traces("ort") == {}
    assert len(session.used_traces("ort")) == 5
