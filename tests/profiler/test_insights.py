"""Each rule on a session that has the fault and on one that doesn't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import torch

from profiler.engines.torch_examination import read_kernels
from profiler.insights import find_insights
from profiler.session import Session
from profiler.types import (
    EngineKind,
    EngineReady,
    EngineSpec,
    Event,
    Examined,
    GpuSample,
    GraphDescribed,
    InputSpec,
    LaneExamined,
    ModelGraph,
    NewSizeTried,
    OpTiming,
    OpTimings,
    OutputsCompared,
    Round,
    RoundKind,
    RunPlan,
    RunStarted,
    TelemetrySample,
    ThreadUse,
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


class Kernel:
    """One kernel as Kineto's events have it on a GPU. Made up: not seen on a GPU."""

    def __init__(self, start_us: int, us: int) -> None:
        self._start_ns, self._ns = 1000 * start_us, 1000 * us

    def start_ns(self) -> int:
        return self._start_ns

    def duration_ns(self) -> int:
        return self._ns

    def device_type(self) -> Any:
        return torch._C._autograd.DeviceType.CUDA


def session(
    base: Sequence[OpTiming] = (),
    fast: Sequence[OpTiming] = (),
    *,
    latency_ms: int = 10,
    traced_ms: int | None = None,
    foreign: float = 0.0,
    engine: EngineKind = EngineKind.ORT,
    note: str = "",
    first_ms: int = 10,
    device: str = "cpu",
    batch: int = 0,
    gpu_pct: float | None = None,
    found: Examined | None = None,
    new_size_ms: tuple[int, int] | None = None,
    instructions: str = "",
    agree: bool | None = None,
    **options: str | int,
) -> Session:
    """Two lanes with these operators in one call; options and the rest are those of `fast`."""
    image = InputSpec(name="x", dtype="float32", shape=(batch, 3), symbols=("batch", None))
    plan = RunPlan(
        model=MODEL,
        inputs=(image,) if batch else (),
        engines=(
            EngineSpec(label="base", engine=EngineKind.TORCH_EAGER),
            EngineSpec(label="fast", engine=engine, device=device, options=dict(options)),
        ),
        baseline="base",
    )
    events: list[Event] = [
        RunStarted(
            time_ns=0,
            plan=plan,
            environment={"cores": "2 physical, 4 logical", "cpu instructions": instructions},
            dualscope_version="1",
        )
    ]
    if found is not None:
        events.append(LaneExamined(time_ns=0, label="fast", found=found))
    if new_size_ms is not None:
        first, later = (ms * MS for ms in new_size_ms)
        events.append(
            NewSizeTried(
                time_ns=0,
                label="fast",
                dimension="batch",
                size=1,
                new_size=2,
                first_ns=first,
                later_ns=later,
            )
        )
    if agree is not None:
        compared = OutputsCompared(
            time_ns=0,
            baseline="base",
            candidate="fast",
            rtol=1e-3,
            atol=1e-5,
            agree=agree,
            differences=(),
        )
        events.append(compared)
    if gpu_pct is not None:
        gpu = GpuSample(index=0, name="GPU", gpu_utilization_pct=gpu_pct)
        events.append(
            TelemetrySample(
                time_ns=0, cpu_pct=0.0, memory_used_bytes=0, memory_total_bytes=1, gpus=(gpu,)
            )
        )
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
                    traced_latencies_ns=((traced_ms or latency_ms) * MS,),
                    foreign_cpu_share=foreign,
                    ops=tuple(msgspec.structs.replace(o, start_ns=i) for i, o in enumerate(ops)),
                )
            )
    return session_of(events)


PLAIN = [op("matmul", "aten::matmul", 8, "a"), op("relu", "aten::relu", 2, "b")]
ORT = [op("matmul", "MatMul", 8, "a", provider="CPUExecutionProvider")]
BYTES = [op("q", "QGemm", 8, "a")]
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
    "idle_gpu": session(
        engine=EngineKind.TORCH_COMPILE,
        device="cuda:0",
        found=Examined(kernels=read_kernels([Kernel(i * 100, 20) for i in range(50)])),
    ),
    "batch_of_one": session(device="cuda:0", batch=1, gpu_pct=12.0),
    "new_size_is_slow": session(engine=EngineKind.TORCH_COMPILE, new_size_ms=(900, 10)),
    "missed_fusion": session(SEVERAL, [op("f", "FusedMatMul", 3, "c", "b", "a")]),
    "work_that_could_be_folded": session(
        [*PLAIN, op("extra", "aten::mul", 2, scope="other.module")],
        [op("f", "FusedMatMul", 9, "b", "a")],
    ),
    "disturbed_traces": session(PLAIN, traced_ms=12, foreign=0.6),
    "traced_unlike_timed": session(PLAIN, traced_ms=26),
    "byte_sums_overflow": session(fast=BYTES, instructions="fma avx2", agree=False),
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
    "kernel after kernel": session(
        device="cuda:0",
        found=Examined(kernels=read_kernels([Kernel(i * 100, 95) for i in range(50)])),
    ),
    "a full GPU": session(device="cuda:0", batch=1, gpu_pct=97.0),
    "a batch": session(device="cuda:0", batch=32, gpu_pct=12.0),
    "any size": session(new_size_ms=(12, 10)),
    "no operators": session(),
    "others took little while it was traced": session(PLAIN, traced_ms=12, foreign=0.2),
    "tracing costs a little": session(PLAIN, traced_ms=14),
    "several callers are slower than one": session(fast=ORT, latency_ms=30, traced_ms=8, callers=4),
    "bytes that agree": session(fast=BYTES, instructions="fma avx2", agree=True),
    "bytes with VNNI": session(fast=BYTES, instructions="avx2 avx512_vnni", agree=False),
    "bytes on another kind of CPU": session(fast=BYTES, agree=False),
    "no bytes": session(fast=ORT, instructions="fma avx2", agree=False),
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
    slow = session(fast=[*ORT, op("t", "Transpose", 3, "b")], latency_ms=10, traced_ms=30)
    assert "moves_and_casts" not in {insight.rule for insight in find_insights(slow)}


def test_faster_when_traced_is_not_believed_either() -> None:
    (found,) = find_insights(session(PLAIN, latency_ms=40, traced_ms=10))
    assert found.rule == "traced_unlike_timed"
    assert "traced calls take 0.25 times as long as timed ones" in found.sentence
    assert found.evidence.startswith("traced calls take 10 ms, timed ones 40 ms (p50)")


def test_one_undisturbed_traced_round_is_enough() -> None:
    found = session(PLAIN, traced_ms=12, foreign=0.6)
    (insight,) = find_insights(found)
    assert insight.rule == "disturbed_traces"
    assert "other processes took 60% of the CPU" in insight.evidence
    assert "traced calls take 12 ms, timed ones 10 ms (p50)" in insight.evidence
    quiet = msgspec.structs.replace(found.traces["base"][0], round=1, foreign_cpu_share=0.0)
    found.apply(quiet)
    assert find_insights(found) == []


def test_a_spike_is_not_taken_for_planning_anew() -> None:
    """Where one call in ten takes twelve times as long, a first one may, too."""
    found = session(new_size_ms=(90, 10))
    assert [insight.rule for insight in find_insights(found)] == ["new_size_is_slow"]
    turn = found.rounds["fast"][-1]
    spiky = msgspec.structs.replace(turn, index=3, latencies_ns=(10 * MS,) * 9 + (120 * MS,))
    found.apply(spiky)
    assert find_insights(found) == []


def test_callers_side_by_side_are_not_taken_for_overhead_or_idle_cores() -> None:
    """A traced call has the machine for itself; a timed one shares it with another."""
    large = "float[512, 512], float[512, 512] -> float[512, 512]"
    found = {}
    for count in (1, 2):
        product = op("m", "MatMul", 3, "a", shapes=large)
        threads = Examined(threads=ThreadUse(threads=1))
        found[count] = session(fast=[product], traced_ms=3, found=threads, callers=count)
    assert [insight.rule for insight in find_insights(found[1])] == [
        "traced_unlike_timed",
        "too_few_threads",
    ]
    assert find_insights(found[2]) == []


def test_the_most_costly_come_first() -> None:
    shares = [insight.share for insight in find_insights(FAULTS["engine_overhead"])]
    assert shares == sorted(shares, reverse=True)


def test_constant_work_is_told_of_graphs_that_tell_their_ends() -> None:
    found = session(fast=ORT, batch=2)
    # What torch.compile notes of a module has neither inputs nor outputs.
    for outputs, rules in (((), set()), (("a",), {"constant_work"})):
        graph = ModelGraph(nodes=(node("a", "MatMul"),), outputs=outputs)
        found.apply(GraphDescribed(time_ns=0, label="fast", sha256="", graph=graph))
        assert {insight.rule for insight in find_insights(found)} == rules
