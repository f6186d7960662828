"""A search plan for a model, with defaults where nothing is given."""

from __future__ import annotations

import os
from collections.abc import Sequence

from profiler.errors import PlanError
from profiler.lanes import takes
from profiler.noise import noise_rule
from profiler.placement import lane_cpus, usable_cores
from profiler.plan import default_baseline, default_engines
from profiler.search.record import SearchRecord
from profiler.search.runner import check
from profiler.search.space import SEARCHED, family_of, spaces
from profiler.types import (
    Capabilities,
    EngineKind,
    InputSpec,
    ModelInfo,
    RunPlan,
    SearchPlan,
    Tolerance,
)

TORCH_WORD = "torch"


def plan_so_far(record: SearchRecord) -> RunPlan | None:
    """A run on a search's model, with the default lanes: where it was stopped before its own."""
    if record.plan is None:
        return None
    engines = default_engines(record.plan.model.kind)
    return RunPlan(
        model=record.plan.model,
        inputs=record.plan.inputs,
        engines=engines,
        baseline=default_baseline(engines),
        seed=record.plan.seed,
        tolerance=record.plan.tolerance,
    )


def parse_engines(text: str) -> tuple[EngineKind, ...]:
    """`ort,torch-eager`; `torch` is every way in which PyTorch runs. Raises PlanError."""
    found: list[EngineKind] = []
    for name in filter(None, text.split(",")):
        if name == TORCH_WORD:
            found += [e for e in SEARCHED if family_of(e) == TORCH_WORD]
        elif name in SEARCHED:
            found.append(EngineKind(name))
        else:
            known = ", ".join((*SEARCHED, TORCH_WORD))
            raise PlanError(f"There is no engine {name!r}.", f"Use one of: {known}.")
    return tuple(dict.fromkeys(found))


def make_search_plan(
    info: ModelInfo,
    here: Capabilities,
    *,
    inputs: Sequence[InputSpec] | None = None,
    engines: Sequence[EngineKind] = (),
    budget_s: float = 120.0,
    max_memory_bytes: int | None = None,
    max_p99_ns: float | None = None,
    seed: int = 0,
    tolerance: Tolerance | None = None,
    pin: bool = True,
) -> SearchPlan:
    """`here`: what this machine has; no `engines`: all that take the model. Raises PlanError."""
    for engine in engines:
        if not takes(engine, info.source.kind):
            possible = ", ".join(e for e in SEARCHED if takes(e, info.source.kind))
            raise PlanError(
                f"{engine.value} can't run a file of kind {info.source.kind.value}.",
                f"For this file there are: {possible}.",
            )
    cores = usable_cores()
    cpus = lane_cpus(cores) if pin else ()
    plan = SearchPlan(
        model=info.source,
        inputs=tuple(info.inputs if inputs is None else inputs),
        engines=tuple(engines) or SEARCHED,
        execution_providers=here.execution_providers,
        cuda_devices=here.cuda_devices,
        cores=sum(1 for core in cores if not cpus or set(core) & set(cpus)) or os.cpu_count() or 1,
        budget_s=budget_s,
        max_memory_bytes=max_memory_bytes,
        max_p99_ns=max_p99_ns,
        seed=seed,
        noise=noise_rule(os.cpu_count() or 1),
        lane_cpus=cpus,
        tolerance=tolerance,
    )
    check(plan, spaces(plan))
    return plan
