"""A search that was stopped in its second race, with every state that a configuration may have."""

from __future__ import annotations

from typing import Any

from profiler.types import (
    ArmJudged,
    ArmState,
    EngineKind,
    EngineSpec,
    Event,
    ModelKind,
    ModelSource,
    RaceFinished,
    RaceRound,
    RaceStarted,
    RunFinished,
    SearchPlan,
    SearchStarted,
)

ORT = EngineSpec(label="ort", engine=EngineKind.ORT)


def arm(option: str, value: str | int | bool) -> EngineSpec:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return EngineSpec(label=f"ort,{option}={text}", engine=EngineKind.ORT, options={option: value})


ONE, BASIC, DISABLE = (
    arm("intra_op_threads", 1),
    arm("graph_optimization_level", "basic"),
    arm("graph_optimization_level", "disable"),
)
BOUND, QUIET = arm("io_binding", True), arm("allow_spinning", False)


def search_events() -> list[Event]:
    """One event of each kind at least. The model's path and a reason hold markup."""
    source = ModelSource(
        path="/m/<b>net</b>.onnx", kind=ModelKind.ONNX, sha256="0", size_bytes=1, trusted=True
    )
    plan = SearchPlan(model=source, inputs=(), engines=(EngineKind.ORT,), cores=2)
    judged: dict[str, Any] = {"calls": 70, "p50_ns": 2e6, "p99_ns": 3e6, "rounds": 7, "launches": 1}
    return [
        SearchStarted(
            time_ns=1, plan=plan, environment={"machine": "x86_64"}, dualscope_version="1"
        ),
        RaceStarted(
            time_ns=2,
            race=0,
            family="ort",
            axis="threads",
            incumbent="ort",
            arms=(ORT, ONE, BASIC, DISABLE),
        ),
        *rounds(0, {"ort": 2e6, ONE.label: 1e6, BASIC.label: 5e6}),
        ArmJudged(
            time_ns=3,
            race=0,
            label=DISABLE.label,
            state=ArmState.FAILED,
            reason="while loading: <script>no</script>",
        ),
        ArmJudged(
            time_ns=3,
            race=0,
            label=BASIC.label,
            state=ArmState.SLOWER,
            reason="its interval lies above the leader's",
            against=ONE.label,
            ratio=5.0,
            low=4.5,
            high=float("inf"),
            **judged,
        ),
        ArmJudged(
            time_ns=4,
            race=0,
            label="ort",
            state=ArmState.NOT_FASTER,
            against=ONE.label,
            ratio=2.0,
            low=1.8,
            high=2.2,
            **judged,
        ),
        ArmJudged(
            time_ns=4,
            race=0,
            label=ONE.label,
            state=ArmState.LEADER,
            ratio=1.0,
            low=1.0,
            high=1.0,
            peak_memory_bytes=1 << 20,
            **judged,
        ),
        RaceFinished(time_ns=5, race=0, family="ort", leader=ONE.label, reason="time"),
        RaceStarted(
            time_ns=6,
            race=1,
            family="ort",
            axis="binding",
            incumbent=ONE.label,
            arms=(ONE, BOUND, QUIET),
        ),
        *rounds(1, {ONE.label: 1e6, BOUND.label: 0.9e6, QUIET.label: 1.1e6}),
        RunFinished(time_ns=9, reason="stopped"),
    ]


def rounds(race: int, medians: dict[str, float], count: int = 7) -> list[RaceRound]:
    return [
        RaceRound(
            time_ns=7,
            race=race,
            index=index,
            launch=0,
            medians_ns=medians,
            disturbed="busy" if index == 0 else "",
        )
        for index in range(count)
    ]
