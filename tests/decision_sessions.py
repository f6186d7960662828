"""Sessions built by hand whose figures are known: what decisions are tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from profiler.session import Session
from profiler.types import (
    CostSettings,
    EngineFailed,
    EngineKind,
    EngineReady,
    EngineSpec,
    Event,
    Goal,
    InputSpec,
    ModelConverted,
    ModelKind,
    ModelSource,
    OpTiming,
    OpTimings,
    OutputDifference,
    OutputsCompared,
    Phase,
    Question,
    Round,
    RoundKind,
    RunFinished,
    RunPlan,
    RunStarted,
)
from tests.sample_session import session_of

LAUNCHES, ROUNDS, CALLS = 8, 20, 5
MIB = 2**20
EAGER = EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER)
ORT = EngineSpec(label="onnx", engine=EngineKind.ORT)
IMAGE = InputSpec(
    name="image", dtype="float32", shape=(4, 3, 8, 8), symbols=("batch", None, None, None)
)


def source(kind: ModelKind = ModelKind.PICKLED_MODULE) -> ModelSource:
    return ModelSource(path="/models/net.pt", kind=kind, sha256="cd" * 32, size_bytes=1)


def difference(*, close: bool = True, max_abs: float = 1e-6) -> OutputDifference:
    return OutputDifference(
        name="logits",
        max_abs=max_abs,
        max_rel=1e-5,
        cosine=0.999999,
        argmax_agreement=1.0,
        nan_count=0,
        inf_count=0,
        within_tolerance=close,
    )


def compared(baseline: str, candidate: str, *, agree: bool = True) -> OutputsCompared:
    return OutputsCompared(
        time_ns=5,
        baseline=baseline,
        candidate=candidate,
        rtol=1e-3,
        atol=1e-3,
        agree=agree,
        differences=(difference(close=agree, max_abs=1e-6 if agree else 0.5),),
    )


def rounds(
    label: str,
    ms: float,
    *,
    jitter: float = 0.0,
    launches: int = LAUNCHES,
    count: int = ROUNDS,
    calls: int = CALLS,
    foreign: float = 0.0,
    peak_mib: int = 100,
) -> list[Round]:
    """Equal calls of `ms`; rounds go up and down by `jitter`, in another order for each lane."""
    found: list[Round] = []
    for index in range(launches * count):
        step = ((index * (7 if label == "onnx" else 11)) % 19 - 9) / 9
        latency_ns = round(ms * 1e6 * (1 + jitter * step))
        found.append(
            Round(
                time_ns=index * 1_000_000_000,
                label=label,
                index=index,
                kind=RoundKind.TIMED,
                started_ns=index,
                latencies_ns=(latency_ns,) * calls,
                launch=index // count,
                foreign_cpu_share=foreign,
                peak_rss_bytes=peak_mib * MIB,
            )
        )
    return found


def run_events(
    *events: Event,
    lanes: Sequence[EngineSpec] = (EAGER, ORT),
    goal: Goal = Goal.LATENCY,
    cost: CostSettings | None = None,
    kind: ModelKind = ModelKind.PICKLED_MODULE,
    inputs: Sequence[InputSpec] = (IMAGE,),
    converted_ns: int = 36_000_000_000,
    compile_ns: Mapping[str, int] | None = None,
    environment: dict[str, str] | None = None,
) -> list[Event]:
    """A finished run with these events; the first lane is the baseline."""
    model = source(kind)
    plan = RunPlan(
        model=model,
        inputs=tuple(inputs),
        engines=tuple(lanes),
        baseline=lanes[0].label,
        question=Question(goal=goal, cost=cost or CostSettings()),
    )
    start: list[Event] = [
        RunStarted(time_ns=1, plan=plan, environment=environment or {}, dualscope_version="1"),
        *(
            EngineReady(
                time_ns=2,
                label=spec.label,
                pid=1,
                load_time_ns=1,
                first_iteration_ns=1,
                engine_version="1",
                compile_time_ns=(compile_ns or {}).get(spec.label, 0),
                output_names=("logits",),
            )
            for spec in lanes
        ),
    ]
    if kind is not ModelKind.ONNX:
        ort = tuple(s.label for s in lanes if s.engine is EngineKind.ORT)
        start.append(ModelConverted(time_ns=3, model=model, labels=ort, duration_ns=converted_ns))
    return [*start, *events, RunFinished(time_ns=9, reason="precision")]


def multiplied_bytes(label: str) -> OpTimings:
    """One traced call of one quantized operator."""
    product = OpTiming(name="product", op_type="QGemm", start_ns=0, duration_ns=1_000_000)
    return OpTimings(
        time_ns=4,
        label=label,
        round=0,
        ops=(product,),
        iterations=1,
        traced_latencies_ns=(2_000_000,),
    )


def session(*events: Event, **more: Any) -> Session:
    """The session that `run_events` leaves."""
    return session_of(run_events(*events, **more))


def failed(label: str) -> EngineFailed:
    return EngineFailed(time_ns=4, label=label, phase=Phase.LOADING, message="No such operator.")
