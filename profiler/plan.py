"""Run plans: a sensible default for a model, and a check before anything starts."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from profiler import freed_memory
from profiler.errors import PlanError
from profiler.lanes import DEVICE, generates, options_of, takes
from profiler.noise import noise_rule
from profiler.placement import lane_cpus, usable_cores
from profiler.types import (
    Capabilities,
    EngineKind,
    EngineSpec,
    InputSpec,
    ModelInfo,
    ModelKind,
    RunPlan,
    StoppingRule,
    Tolerance,
    WarmupRule,
)

# PyTorch is what a person usually comes from, so that "speedup" reads as what a switch gains.
BASELINE_PREFERENCE = (
    EngineKind.TORCH_EAGER,
    EngineKind.TORCH_EXPORT,
    EngineKind.TORCH_SCRIPT,
    EngineKind.TORCH_COMPILE,
    EngineKind.ORT,
    EngineKind.ENDPOINT,
)
# What a lane that doesn't settle may take of the time limit, where that is short.
WARMUP_SHARE = 0.25
# How PyTorch runs a file as it is; all other kinds eagerly.
PLAIN_ENGINE = {
    ModelKind.TORCHSCRIPT: EngineKind.TORCH_SCRIPT,
    ModelKind.TORCH_EXPORT: EngineKind.TORCH_EXPORT,
}


def default_engines(kind: ModelKind = ModelKind.ONNX) -> tuple[EngineSpec, ...]:
    """ONNX Runtime, and PyTorch as it runs that kind of file, on the CPU."""
    plain = PLAIN_ENGINE.get(kind, EngineKind.TORCH_EAGER)
    engines = [e for e in (EngineKind.ORT, plain) if takes(e, kind)]
    return tuple(EngineSpec(label=e.value, engine=e) for e in engines)


def default_plan(
    info: ModelInfo,
    *,
    inputs: Sequence[InputSpec] | None = None,
    engines: Sequence[EngineSpec] | None = None,
    baseline: str | None = None,
    time_limit_s: float | None = None,
    target_width: float | None = None,
    seed: int = 0,
    tolerance: Tolerance | None = None,
    pin: bool = True,
) -> RunPlan:
    """A plan for the model, with defaults where nothing is given. Raises PlanError.

    `target_width` is the width of the speedup's interval over the speedup at which to stop. `pin`:
    keep lanes off one core where there are enough.
    """
    if info.source.kind is ModelKind.TRANSFORMERS:
        raise PlanError(
            "A transformers folder has no single calls to measure: it generates text.",
            "Use dualscope generate.",
        )
    lanes = tuple(engines) if engines else default_engines(info.source.kind)
    stopping = stopping_rule(time_limit_s, target_width)
    plan = RunPlan(
        model=info.source,
        inputs=tuple(info.inputs if inputs is None else inputs),
        engines=lanes,
        baseline=baseline or default_baseline(lanes),
        warmup=warmup_rule(stopping),
        stopping=stopping,
        seed=seed,
        noise=noise_rule(os.cpu_count() or 1),
        lane_cpus=lane_cpus(usable_cores()) if pin else (),
        tolerance=tolerance,
    )
    check_plan(plan)
    return plan


def stopping_rule(time_limit_s: float | None, target_width: float | None) -> StoppingRule:
    """The default one, but for what is given."""
    default = StoppingRule()
    return StoppingRule(
        target_width=default.target_width if target_width is None else target_width,
        time_limit_s=default.time_limit_s if time_limit_s is None else time_limit_s,
    )


def warmup_rule(stopping: StoppingRule) -> WarmupRule:
    """The default one; a lane of a short run may warm up for a part of its time only."""
    default = WarmupRule()
    limit_s = min(default.time_limit_s, WARMUP_SHARE * stopping.time_limit_s)
    return WarmupRule(time_limit_s=limit_s)


def with_time_limit(plan: RunPlan, limit_s: float) -> RunPlan:
    """The plan for so many seconds."""
    stopping = msgspec.structs.replace(plan.stopping, time_limit_s=limit_s)
    return msgspec.structs.replace(plan, stopping=stopping, warmup=warmup_rule(stopping))


def check_plan(plan: RunPlan) -> None:
    """Refuse what can't work before any process starts. Raises PlanError."""
    generation = plan.generation is not None
    for spec in plan.engines:
        _check_lane(spec, (spec.model or plan.model).kind, generation)
    labels = [spec.label for spec in plan.engines]
    if not labels:
        raise PlanError("The plan has no lane.", "Choose at least one engine.")
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise PlanError(f"Two lanes are called {twice[0]!r}.", "Give each lane a name of its own.")
    if plan.baseline not in labels:
        raise PlanError(
            f"The baseline {plan.baseline!r} is not one of the lanes.",
            f"Choose one of: {', '.join(labels)}.",
        )
    if plan.stopping.time_limit_s <= 0 or not 0 < plan.stopping.target_width < 1:
        raise PlanError(
            "The time limit and the target width must be positive.",
            "For example a limit of 60 s and a target of 2 %.",
        )


def _check_lane(spec: EngineSpec, kind: ModelKind, generation: bool) -> None:
    fits = generates if generation else takes
    if not fits(spec.engine, kind):
        possible = ", ".join(engine for engine in EngineKind if fits(engine, kind))
        does = "generate text from" if generation else "run"
        raise PlanError(
            f"Lane {spec.label!r}: {spec.engine.value} can't {does} a file of kind {kind.value}.",
            f"For this file there are: {possible}."
            if possible
            else "It is measured by generating text: dualscope generate.",
        )
    _check_device(spec)
    options = options_of(spec.engine, generation=generation)
    for key, value in spec.options.items():
        option = options.get(key)
        if option is None:
            raise PlanError(
                f"Lane {spec.label!r}: {spec.engine.value} has no option {key!r}.",
                f"It has: {', '.join(options)}.",
            )
        option.parsed(key, str(value).lower() if isinstance(value, bool) else str(value))
    if spec.options.get("keep_memory") and not freed_memory.can_keep():
        raise PlanError(
            f"Lane {spec.label!r}: keep_memory needs glibc, which this system doesn't have.",
            "Leave it out, or start Dualscope with an allocator that keeps freed memory.",
        )


def _check_device(spec: EngineSpec) -> None:
    """A lane of a session file may say anything: one that was typed has been read already."""
    try:
        DEVICE.parsed("device", spec.device)
    except PlanError as error:
        raise PlanError(f"Lane {spec.label!r}: {error.message}", error.hint) from error


def needs_capabilities(plan: RunPlan) -> bool:
    """Whether a lane asks for something that not every machine has."""
    return any(
        spec.device != "cpu" or "execution_provider" in spec.options for spec in plan.engines
    )


def check_capabilities(plan: RunPlan, here: Capabilities) -> None:
    """Refuse providers and devices that this machine doesn't have. Raises PlanError."""
    for spec in plan.engines:
        _check_device(spec)
        provider = spec.options.get("execution_provider")
        if provider is not None and provider not in here.execution_providers:
            raise PlanError(
                f"Lane {spec.label!r}: ONNX Runtime has no {provider} here.",
                f"It has: {', '.join(here.execution_providers)}.",
            )
        if spec.device == "cpu":
            continue
        index = int(spec.device.partition(":")[2] or 0)
        cuda = "CUDAExecutionProvider" in here.execution_providers
        if index >= here.cuda_devices or (spec.engine is EngineKind.ORT and not cuda):
            devices = ["cpu", *(f"cuda:{number}" for number in range(here.cuda_devices))]
            raise PlanError(
                f"Lane {spec.label!r}: there is no {spec.device} for {spec.engine.value} here.",
                f"There is: {', '.join(devices)}; "
                f"execution providers: {', '.join(here.execution_providers)}.",
            )


def default_baseline(engines: Sequence[EngineSpec]) -> str:
    """The label of the lane to compare with. Raises PlanError when there is none."""
    for kind in BASELINE_PREFERENCE:
        for spec in engines:
            if spec.engine is kind:
                return spec.label
    raise PlanError("The plan has no lane.", "Choose at least one engine.")
