"""A small run as events, with one of every kind: what session files and exports are tested on."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from profiler.session import Session
from profiler.types import (
    Ceiling,
    Compilation,
    CutPoint,
    EngineFailed,
    EngineKind,
    EngineReady,
    EngineSpec,
    Event,
    Examined,
    ForeignProcess,
    ForeignProcesses,
    Generated,
    GenerationPlan,
    Generations,
    GpuSample,
    GraphDescribed,
    GraphNode,
    InputSpec,
    KernelUse,
    LaneExamined,
    LaunchedAgain,
    LogLine,
    ModelConverted,
    ModelGraph,
    ModelKind,
    ModelSource,
    NewSizeTried,
    OpTiming,
    OpTimings,
    OutputDifference,
    OutputsCompared,
    Phase,
    Progress,
    Round,
    RoundKind,
    RunFinished,
    RunPlan,
    RunStarted,
    TelemetrySample,
    ThreadUse,
    ValuesCompared,
)

ROUNDS = 12
MODEL = ModelSource(
    path="/models/tiny.onnx", kind=ModelKind.ONNX, sha256="ab" * 32, size_bytes=1 << 20, opset=20
)


def sample_plan(base: str = "base", fast: str = "fast", dead: str = "dead") -> RunPlan:
    """Three lanes: the baseline, one twice as fast, and one that fails."""
    return RunPlan(
        model=MODEL,
        inputs=(InputSpec(name="image", dtype="float32", shape=(1, 3), symbols=("batch", None)),),
        engines=(
            EngineSpec(label=base, engine=EngineKind.TORCH_EAGER, options={"intra_op_threads": 2}),
            EngineSpec(label=fast, engine=EngineKind.ORT, options={"allow_spinning": False}),
            EngineSpec(label=dead, engine=EngineKind.ORT, model=MODEL),
        ),
        baseline=base,
    )


def sample_ops(name: str) -> tuple[OpTiming, ...]:
    """One operator with a second one inside of it, in each of two iterations."""
    return tuple(
        op
        for iteration in (0, 1)
        for op in (
            OpTiming(
                name=name,
                op_type="Conv",
                start_ns=1_000,
                duration_ns=5_000,
                source_nodes=("conv_out", "relu_out"),
                scope="stem.conv",
                iteration=iteration,
                thread=7,
                shapes="[1, 3]",
                provider="CPUExecutionProvider",
            ),
            OpTiming(
                name="inner",
                op_type="Reorder",
                start_ns=2_000,
                duration_ns=2_500,
                iteration=iteration,
                thread=7,
            ),
        )
    )


def sample_events(
    *, base: str = "base", fast: str = "fast", dead: str = "dead", operator: str = "conv"
) -> list[Event]:
    """A run from its start to its end; `fast` takes exactly half of the time of `base`."""
    gpu = GpuSample(
        index=0,
        name="Test GPU",
        gpu_utilization_pct=40.0,
        power_mw=None,
        process_memory_bytes={1: 1 << 30},
    )
    events: list[Event] = [
        RunStarted(
            time_ns=1,
            plan=sample_plan(base, fast, dead),
            environment={"cpu": "a test", "python": "3"},
            dualscope_version="9.9",
        ),
        Progress(time_ns=2, phase=Phase.LOADING, detail=base),
        ModelConverted(time_ns=3, model=MODEL, labels=(fast,), notes=("folded",)),
        *(
            EngineReady(
                time_ns=4,
                label=label,
                pid=1,
                load_time_ns=1_000_000,
                first_iteration_ns=2_000_000,
                engine_version="1.2.3",
                graph_note="as it is",
                output_names=("logits",),
            )
            for label in (base, fast)
        ),
        EngineFailed(
            time_ns=5,
            label=dead,
            phase=Phase.LOADING,
            message="No such operator.",
            hint="Update.",
            log_tail=("last words",),
        ),
        LogLine(time_ns=6, label=base, level="warning", text="careful\x00\u2028 ü"),
        *(
            Round(
                time_ns=7,
                label=label,
                index=index,
                kind=kind,
                started_ns=10 * index,
                latencies_ns=(latency_ns, latency_ns + 2, latency_ns + 4),
                launch=index // 10,
                foreign_cpu_share=0.125,
                steal_share=0.01,
                minor_page_faults=5,
                major_page_faults=1,
                peak_rss_bytes=1 << 33,
            )
            for kind, count in ((RoundKind.WARMUP, 1), (RoundKind.TIMED, ROUNDS))
            for index in range(count)
            for label, latency_ns in ((base, 3_999_998), (fast, 1_999_998))
        ),
        LaunchedAgain(time_ns=7, launch=1, pids={base: 2, fast: 3}),
        GraphDescribed(
            time_ns=8,
            label=fast,
            sha256=MODEL.sha256,
            graph=ModelGraph(
                nodes=(
                    GraphNode(
                        name="conv_out",
                        op_type="Conv",
                        inputs=("image", "w"),
                        outputs=("conv_out",),
                        scope="stem.conv",
                        parameters=("w",),
                        target="aten::conv2d",
                        target_name="conv2d",
                        node_name="node_conv",
                    ),
                    GraphNode(name="relu_out", op_type="Relu", inputs=("conv_out",)),
                ),
                beside={"inner": "conv_out"},
            ),
        ),
        OpTimings(
            time_ns=8,
            label=fast,
            round=0,
            iterations=2,
            traced_latencies_ns=(10_000, 11_000),
            ops=sample_ops(operator),
            foreign_cpu_share=0.03,
            steal_share=0.02,
        ),
        OpTimings(
            time_ns=8, label=base, round=0, iterations=1, traced_latencies_ns=(9_000,), ops=()
        ),
        TelemetrySample(
            time_ns=9,
            cpu_pct=12.5,
            memory_used_bytes=1 << 34,
            memory_total_bytes=1 << 35,
            gpus=(gpu, GpuSample(index=1, name="Gone", lost=True)),
        ),
        Generated(
            time_ns=8,
            label=base,
            index=0,
            kind=RoundKind.TIMED,
            launch=0,
            generations=Generations(steps_ns=((3, 2), (3, 1)), starts_ns=(0, 5), span_ns=9),
        ),
        ForeignProcesses(
            time_ns=9,
            round=3,
            processes=(ForeignProcess(name="chrome", pid=99, cpu_ns=1_500_000),),
        ),
        LaneExamined(
            time_ns=8,
            label=fast,
            found=Examined(
                ceiling=Ceiling(flops_per_s=1e11, bytes_per_s=2e10, how="a product and a copy"),
                threads=ThreadUse(threads=2, inter_op=1),
                kernels=KernelUse(kernels=4, busy_ns=900, span_ns=1000),
                compilation=Compilation(recompiles=1, recompile_reasons=("n == 0",)),
            ),
        ),
        NewSizeTried(
            time_ns=8,
            label=fast,
            dimension="batch",
            size=1,
            new_size=2,
            first_ns=9_000,
            later_ns=3_000,
        ),
        OutputsCompared(
            time_ns=10,
            baseline=base,
            candidate=fast,
            rtol=1e-3,
            atol=1e-3,
            agree=False,
            differences=(
                OutputDifference(
                    name="logits",
                    max_abs=float("inf"),
                    max_rel=0.5,
                    cosine=0.9,
                    argmax_agreement=None,
                    nan_count=3,
                    inf_count=1,
                    within_tolerance=False,
                    note="shapes differ",
                ),
            ),
        ),
        ValuesCompared(
            time_ns=11,
            baseline=base,
            candidate=fast,
            points=(
                CutPoint(region="conv", values=("conv_out", "c"), nodes=("conv_out",), note="none"),
                CutPoint(
                    region="head",
                    values=("relu_out", "r"),
                    inputs=(0,),
                    is_output=True,
                    relative=float("inf"),
                    difference=OutputDifference(
                        name="relu_out",
                        max_abs=1.0,
                        max_rel=float("inf"),
                        cosine=0.5,
                        argmax_agreement=None,
                        nan_count=0,
                        inf_count=1,
                        within_tolerance=False,
                    ),
                ),
            ),
        ),
        RunFinished(time_ns=11, reason="precision", message="done"),
    ]
    return events


def generation_events() -> list[Event]:
    """The same as a run that generates text: its lanes are never traced."""
    return [
        msgspec.structs.replace(
            event, plan=msgspec.structs.replace(event.plan, generation=GenerationPlan())
        )
        if isinstance(event, RunStarted)
        else event
        for event in sample_events()
        if not isinstance(event, OpTimings | GraphDescribed | LaneExamined | ValuesCompared)
    ]


def session_of(events: Iterable[Event]) -> Session:
    """The session that a run with these events leaves."""
    session = Session()
    for event in events:
        session.apply(event)
    return session
