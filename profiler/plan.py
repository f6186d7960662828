"""Run plans: a sensible default for a model, and a check before anything starts."""

from __future__ import annotations

from collections.abc import Sequence

from profiler.errors import PlanError
from profiler.types import (
    EngineKind,
    EngineSpec,
    InputSpec,
    ModelInfo,
    RunPlan,
    StoppingRule,
)

# PyTorch is what a person usually comes from, so that "speedup" reads as what a switch gains.
BASELINE_PREFERENCE = (EngineKind.TORCH_EAGER, EngineKind.ORT)


def default_engines() -> tuple[EngineSpec, ...]:
    """ONNX Runtime and PyTorch eager, on the CPU."""
    return (
        EngineSpec(label=EngineKind.ORT.value, engine=EngineKind.ORT),
        EngineSpec(label=EngineKind.TORCH_EAGER.value, engine=EngineKind.TORCH_EAGER),
    )


def default_plan(
    info: ModelInfo,
    *,
    inputs: Sequence[InputSpec] | None = None,
    engines: Sequence[EngineSpec] | None = None,
    baseline: str | None = None,
    time_limit_s: float | None = None,
    target_width: float | None = None,
    seed: int = 0,
) -> RunPlan:
    """A plan for the model, with defaults where nothing is given. Raises PlanError.

    `target_width` is the width of the speedup's interval over the speedup at which to stop.
    """
    lanes = tuple(engines) if engines else default_engines()
    default = StoppingRule()
    plan = RunPlan(
        model=info.source,
        inputs=tuple(info.inputs if inputs is None else inputs),
        engines=lanes,
        baseline=baseline or default_baseline(lanes),
        stopping=StoppingRule(
            target_width=default.target_width if target_width is None else target_width,
            time_limit_s=default.time_limit_s if time_limit_s is None else time_limit_s,
        ),
        seed=seed,
    )
    check_plan(plan)
    return plan


def check_plan(plan: RunPlan) -> None:
    """Refuse what can't work before any process starts. Raises PlanError."""
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


def default_baseline(engines: Sequence[EngineSpec]) -> str:
    """The label of the lane to compare with. Raises PlanError when there is none."""
    for kind in BASELINE_PREFERENCE:
        for spec in engines:
            if spec.engine is kind:
                return spec.label
    raise PlanError("The plan has no lane.", "Choose at least one engine.")
