"""What the suite measures on this machine: models, devices, lanes, and time for each run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from profiler.generation.plan import generation_plan
from profiler.plan import default_plan
from profiler.suite.catalogue import SuiteModel
from profiler.suite.records import CPU, Entry, SuitePlan
from profiler.types import (
    Capabilities,
    EngineKind,
    EngineSpec,
    LaunchRule,
    Locate,
    ModelInfo,
    RunPlan,
    WarmupRule,
)

# Budgets, under the 15 and 4 minutes that are promised for two cores.
BUDGET_S, QUICK_BUDGET_S = 840.0, 228.0
TARGET_WIDTH, QUICK_TARGET_WIDTH = 0.02, 0.08
QUICK_WARMUP = WarmupRule(min_calls=4, time_limit_s=2.0)
# A launch needs 7 rounds for its figures; two launches make an interval much narrower than one.
QUICK_LAUNCHES = LaunchRule(min_rounds=7, warmup_s=0.5, most_share=0.7)
# What a run takes beside its measuring, on two cores: looking at the model, one lane's process
# and warm-up, and the graph that torch.compile makes.
LOOK_S, LANE_S, COMPILE_S = 5.0, 7.0, 30.0
# However late it is, every model gets this much, and none more than the other bound.
LEAST_S, MOST_S = 12.0, 150.0
CUDA = "CUDAExecutionProvider"
TENSORRT = ("TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
ON_CUDA = (CUDA, *TENSORRT)
# Runs models elsewhere.
REMOTE = "AzureExecutionProvider"
ORT_CPU = "CPUExecutionProvider"
COMPILE_LEFT_OUT = "torch.compile: left out of a quick suite, since compiling takes too long"


def suite_plan(
    models: Sequence[SuiteModel],
    here: Capabilities,
    *,
    quick: bool = False,
    budget_s: float | None = None,
) -> SuitePlan:
    """Every model on every device, with the engines that there are."""
    providers = providers_by_device(here)
    entries = [
        Entry(key=_key(model, device), model=model, device=device)
        for model in models
        for device in providers
    ]
    left_out = [COMPILE_LEFT_OUT] if quick else []
    if here.cuda_devices == 0:
        left_out.append("GPU lanes: PyTorch sees no GPU here")
    elif CUDA not in here.execution_providers:
        left_out.append("ONNX Runtime on the GPU: this build has no CUDA execution provider")
    return SuitePlan(
        entries=tuple(entries),
        execution_providers=providers,
        budget_s=budget_s or (QUICK_BUDGET_S if quick else BUDGET_S),
        quick=quick,
        left_out=tuple(left_out),
    )


def providers_by_device(here: Capabilities) -> dict[str, tuple[str, ...]]:
    """Execution providers that get a lane: a build names those of GPUs also where there is none."""
    on_cpu = [p for p in here.execution_providers if p not in (*ON_CUDA, REMOTE)]
    found = {CPU: tuple(on_cpu)}
    if here.cuda_devices:
        found["cuda:0"] = tuple(p for p in here.execution_providers if p in ON_CUDA)
    return found


def lanes(entry: Entry, plan: SuitePlan) -> tuple[EngineSpec, ...]:
    """PyTorch eager, torch.compile unless the suite is quick, ONNX Runtime with each provider."""
    device, generates = entry.device, entry.model.generates
    found = [EngineSpec(label="torch-eager", engine=EngineKind.TORCH_EAGER, device=device)]
    if not plan.quick:
        # A cache that grows would be compiled anew, or for any size.
        options = {"cache": "static"} if generates else {}
        found.append(
            EngineSpec(
                label="torch-compile",
                engine=EngineKind.TORCH_COMPILE,
                device=device,
                options=dict(options),
            )
        )
    for provider in plan.execution_providers[device]:
        usual = provider in (ORT_CPU, CUDA)
        found.append(
            EngineSpec(
                label="ort" if usual else _label(provider),
                engine=EngineKind.ORT,
                device=device,
                options={} if usual else {"execution_provider": provider},
            )
        )
    return tuple(found)


def run_plan(entry: Entry, plan: SuitePlan, info: ModelInfo, time_limit_s: float) -> RunPlan:
    """The run of one entry. Raises PlanError."""
    engines, model = lanes(entry, plan), entry.model
    width = QUICK_TARGET_WIDTH if plan.quick else TARGET_WIDTH
    if model.generates:
        made = generation_plan(
            info,
            prompt_tokens=model.prompt_tokens,
            new_tokens=model.quick_tokens if plan.quick else model.new_tokens,
            engines=engines,
            time_limit_s=time_limit_s,
            target_width=width,
        )
    else:
        made = default_plan(info, engines=engines, time_limit_s=time_limit_s, target_width=width)
    # Where outputs differ, a look inside of the model can follow: dualscope locate.
    made = msgspec.structs.replace(made, locate=Locate.NEVER)
    if not plan.quick:
        return made
    return msgspec.structs.replace(
        made, warmup=QUICK_WARMUP, launches=QUICK_LAUNCHES, traced_iterations=1
    )


def expected_beside_s(entry: Entry, plan: SuitePlan) -> float:
    """What the run will take beside its measuring."""
    specs = lanes(entry, plan)
    compiled = sum(spec.engine is EngineKind.TORCH_COMPILE for spec in specs)
    return LOOK_S + LANE_S * len(specs) + COMPILE_S * compiled


def time_limit_s(left_s: float, beside_s: Sequence[float]) -> float:
    """How long the next run may measure: its share of what is left when all runs' other work is
    taken off. `beside_s` has the next run's and all later ones'.
    """
    share_s = (left_s - sum(beside_s)) / len(beside_s)
    return min(MOST_S, max(LEAST_S, share_s))


def _key(model: SuiteModel, device: str) -> str:
    return model.key if device == CPU else f"{model.key}-{device.replace(':', '')}"


def _label(provider: str) -> str:
    return f"ort-{provider.removesuffix('ExecutionProvider').lower()}"
