"""Each rule on a session that has the fault and on one that doesn't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from profiler.insights import find_insights
from profiler.session import Session
from profiler.types import (
    EngineKind,
    EngineReady,
    EngineSpec,
    Event,
    GraphDescribed,
    ModelGraph,
    OpTiming,
    OpTimings,
    Round,
    RoundKind,
    RunPlan,
    RunStarted,
)
from tests.sample_session import MODEL, session_of
from tests.traced_lanes import node

MS = 1_000_000
GRAPH = ModelGraph(nodes=(node("a", "MatMul", "x"), node("b", "Relu", "a"), node("c", "Mul", "b")))
Op = tuple[str, str, int]


def op(name: str, kind: str, ms: int, *nodes: str, **more: Any) -> OpTiming:
    return OpTiming(
        name=name, op_type=kind, start_ns=0, duration_ns=ms * MS, source_nodes=nodes, **more
    )


def session(
    base: Sequence[OpTiming] = (),
    fast: Sequence[OpTiming] = (),
    *,
    latency_ms: int = 10,
    engine: EngineKind = EngineKind.ORT,
    note: str = "",
    first_ms: int = 10,
    **options: str | int,
) -> Session:
    """Two lanes with these operators in one call; options and the rest are those of `fast`."""
    plan = RunPlan(
        model=MODEL,
        inputs=(),
        engines=(
            EngineSpec(label="base", engine=EngineKind.TORCH_EAGER),
            EngineSpec(label="fast", engine=engine, options=dict(options)),
        ),
        baseline="base",
    )
    events: list[Event] = [
        RunStarted(
            time_ns=0,
            plan=plan,
            environment={"cores": "2 physical, 4 logical"},
            dualscope_version="1",
        )
    ]
    for label, ops in (("base", base), ("fast", fast)):
        first_ns = first_ms * MS if label == "fast" else MS
        events.append(
            EngineReady(
                time_ns=0,
                label=label,
                pid=1,
                load_time_ns=1,
                first_iteration_ns=first_ns,
                engine_version="1",
                graph_note=note if label == "fast" else "",
            )
        )
        events += [
            Round(
                time_ns=0,
                label=label,
                index=index,
                kind=RoundKind.TIMED,
                started_ns=index,
                latencies_ns=(latency_ms * MS,),
            )
            for index in range(3)
        ]
        if ops:
            events.append(GraphDescribed(time_ns=0, label=label, sha256=MODEL.sha256, graph=GRAPH))
            events.append(
                OpTimings(
                    time_ns=0,
                    label=label,
                    round=0,
                    iterations=1,
                    traced_latencies_ns=(latency_ms * MS,),
                    ops=tuple(msgspec.structs.replace(o, start_ns=i) for i, o in enumerate(ops)),
                )
            )
    return session_of(events)


PLAIN = [op("matmul", "aten::matmul", 8, "a"), op("relu", "aten::relu", 2, "b")]
ORT = [op("matmul", "MatMul", 8, "a", provider="CPUExecutionProvider")]
SEVERAL = [
    op("m", "aten::matmul", 5, "a"),
    op("r", "aten::relu", 3, "b"),
    op("s", "aten::mul", 2, "c"),
]
FAULTS = {
    "moves_and_casts": session(fast=[*ORT, op("t", "Transpose", 3, "b")]),
    "data_copies": session([*PLAIN, op("copy", "aten::copy_", 2)]),
    "wide_types": session([op("m", "aten::matmul", 9, "a", shapes="double[2, 2]")]),
    "fallback_to_cpu": session(
        fast=[*ORT, op("g", "Gemm", 3, "b", provider="CUDAExecutionProvider")]
    ),
    "engine_overhead": session([op("m", "aten::matmul", 3, "a")]),
    "optimization_off": session(graph_optimization_level="disable"),
    "slow_first_iteration": session(first_ms=400),
    "graph_breaks": session(
        engine=EngineKind.TORCH_COMPILE, note="nn.Module, compiled into 3 graphs (2 graph breaks)"
    ),
    "too_many_threads": session(intra_op_threads=16),
    "missed_fusion": session(SEVERAL, [op("f", "FusedMatMul", 3, "c", "b", "a")]),
    "work_that_could_be_folded": session(
        [*PLAIN, op("extra", "aten::mul", 2, scope="other.module")],
        [op("f", "FusedMatMul", 9, "b", "a")],
    ),
}
SOUND = {
    "none of it": session(PLAIN, [op("f", "FusedMatMul", 9, "b", "a")]),
    "quick start": session(first_ms=100),
    "as many threads as CPUs": session(intra_op_threads=4),
    "one compiled graph": session(
        engine=EngineKind.TORCH_COMPILE, note="nn.Module, compiled into one graph"
    ),
    "32-bit": session([op("m", "aten::matmul", 9, "a", shapes="float[2, 2], long[1]")]),
    "all optimizations": session(graph_optimization_level="all"),
    "fused but slower": session(SEVERAL, [op("f", "FusedMatMul", 10, "c", "b", "a")]),
    "no operators": session(),
    "no plan": Session(),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    found = {insight.rule: insight for insight in find_insights(FAULTS[name])}
    assert name in found
    insight = found[name]
    assert insight.evidence
    assert insight.remedy
    assert 0 <= insight.share <= 1
    assert insight.label in ("base", "fast")


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_session_has_no_insights(name: str) -> None:
    assert find_insights(SOUND[name]) == []


def test_moves_count_for_nothing_where_tracing_made_them_large() -> None:
    slow = session(fast=[*ORT, op("t", "Transpose", 3, "b")], latency_ms=10)
    trace = slow.traces["fast"][0]
    slow.traces["fast"][0] = msgspec.structs.replace(trace, traced_latencies_ns=(30 * MS,))
    assert "moves_and_casts" not in {insight.rule for insight in find_insights(slow)}


def test_the_most_costly_come_first() -> None:
    shares = [insight.share for insight in find_insights(FAULTS["engine_overhead"])]
    assert shares == sorted(shares, reverse=True)
