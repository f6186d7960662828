"""Plans of a run that generates text: from a model, or for endpoints alone."""

from __future__ import annotations

import os
from collections.abc import Sequence

from profiler.errors import PlanError
from profiler.noise import noise_rule
from profiler.placement import lane_cpus, usable_cores
from profiler.plan import check_plan, default_baseline, stopping_rule, warmup_rule
from profiler.types import (
    EngineKind,
    EngineSpec,
    GenerationPlan,
    ModelInfo,
    ModelKind,
    ModelSource,
    RunPlan,
    Tolerance,
)

MOST_TOKENS = 1 << 20
# Where a model's file doesn't tell its vocabulary: every model knows these tokens.
SAFE_VOCABULARY = 100
ENDPOINT_NAME = "endpoint"


def generation_lanes() -> tuple[EngineSpec, ...]:
    """ONNX Runtime and PyTorch eager, on the CPU."""
    engines = (EngineKind.ORT, EngineKind.TORCH_EAGER)
    return tuple(EngineSpec(label=engine.value, engine=engine) for engine in engines)


def generation_plan(
    info: ModelInfo | None,
    *,
    prompt_tokens: int | None = None,
    new_tokens: int | None = None,
    requests: int | None = None,
    engines: Sequence[EngineSpec] = (),
    baseline: str | None = None,
    time_limit_s: float | None = None,
    target_width: float | None = None,
    seed: int = 0,
    tolerance: Tolerance | None = None,
    pin: bool = True,
) -> RunPlan:
    """A plan with defaults where nothing is given; without `info` for endpoints alone.

    Raises PlanError for a model without a KV cache, and for more tokens than it takes.
    """
    if info is not None and info.generation is None:
        raise PlanError(
            "This model has no KV cache that Dualscope knows, so that it can't generate text.",
            "Export it with one (Optimum's text-generation-with-past), or open the transformers "
            "folder. Its single calls are measured by dualscope profile.",
        )
    lanes = tuple(engines) or (generation_lanes() if info else ())
    usual = GenerationPlan()
    most = info.generation.most_tokens if info and info.generation else 0
    prompt, new = fitting_tokens(most)
    vocabulary = info.generation.vocabulary if info and info.generation else 0
    generation = GenerationPlan(
        prompt_tokens=prompt if prompt_tokens is None else prompt_tokens,
        new_tokens=new if new_tokens is None else new_tokens,
        vocabulary=vocabulary or SAFE_VOCABULARY,
        requests=usual.requests if requests is None else requests,
    )
    _check_tokens(generation, most)
    _check_endpoints(lanes)
    if not lanes:
        raise PlanError("The plan has no lane.", "Name an endpoint.")
    stopping = stopping_rule(time_limit_s, target_width)
    plan = RunPlan(
        model=info.source if info else endpoint_source(),
        inputs=(),
        engines=lanes,
        baseline=baseline or default_baseline(lanes),
        warmup=warmup_rule(stopping),
        stopping=stopping,
        seed=seed,
        noise=noise_rule(os.cpu_count() or 1),
        lane_cpus=lane_cpus(usable_cores()) if pin else (),
        tolerance=tolerance,
        generation=generation,
    )
    check_plan(plan)
    return plan


def fitting_tokens(most: int) -> tuple[int, int]:
    """Prompt and new tokens to propose for a model that takes so many (0: unknown)."""
    usual = GenerationPlan()
    new = min(usual.new_tokens, max(2, most // 4)) if most else usual.new_tokens
    prompt = min(usual.prompt_tokens, max(1, most - new)) if most else usual.prompt_tokens
    return prompt, new


def endpoint_source() -> ModelSource:
    """What stands for the model where there is none but the server's own."""
    return ModelSource(path=ENDPOINT_NAME, kind=ModelKind.ENDPOINT, sha256="", size_bytes=0)


def _check_tokens(plan: GenerationPlan, most: int) -> None:
    if plan.prompt_tokens < 1 or plan.new_tokens < 2 or plan.requests < 1:
        raise PlanError(
            "A generation has a prompt of at least 1 token, and at least 2 new ones.",
            "For example a prompt of 128 and 32 new tokens.",
        )
    total = plan.prompt_tokens + plan.new_tokens
    if total > (most or MOST_TOKENS):
        raise PlanError(
            f"{plan.prompt_tokens} + {plan.new_tokens} tokens are more than the model takes: "
            f"{most or MOST_TOKENS}.",
            "Ask for fewer.",
        )


def _check_endpoints(lanes: Sequence[EngineSpec]) -> None:
    for spec in lanes:
        if spec.engine is not EngineKind.ENDPOINT:
            continue
        if not spec.options.get("url"):
            raise PlanError(
                f"Lane {spec.label!r} has no address.",
                "Write for example endpoint,url=http://127.0.0.1:8000/v1.",
            )
        if "rate" in spec.options and "concurrency" in spec.options:
            raise PlanError(
                f"Lane {spec.label!r} has both a rate and a concurrency.",
                "Requests either arrive at a rate, or so many are in flight at once.",
            )
        for name in ("concurrency", "requests"):
            if int(spec.options.get(name, 1)) < 1:
                raise PlanError(f"Lane {spec.label!r}: {name} must be at least 1.")
        if float(spec.options.get("rate", 1)) <= 0:
            raise PlanError(f"Lane {spec.label!r}: the rate must be more than 0.")
