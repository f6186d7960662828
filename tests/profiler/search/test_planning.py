"""Search plans from what a person writes and what a machine has."""

from __future__ import annotations

import pytest

from profiler.errors import PlanError
from profiler.search.planning import make_search_plan, parse_engines, plan_so_far
from profiler.search.record import SearchRecord
from profiler.types import Capabilities, EngineKind, ModelInfo, ModelKind, ModelSource
from tests.sample_search import search_events

HERE = Capabilities(execution_providers=("CPUExecutionProvider",), cuda_devices=0)


def info(kind: ModelKind = ModelKind.ONNX) -> ModelInfo:
    source = ModelSource(path="m", kind=kind, sha256="0", size_bytes=1)
    return ModelInfo(source=source, inputs=(), outputs=())


@pytest.mark.parametrize(
    ("text", "engines"),
    [
        ("", ()),
        ("ort", (EngineKind.ORT,)),
        ("torch-compile,ort", (EngineKind.TORCH_COMPILE, EngineKind.ORT)),
        (
            "torch,torch-eager",
            (
                EngineKind.TORCH_EAGER,
                EngineKind.TORCH_EXPORT,
                EngineKind.TORCH_SCRIPT,
                EngineKind.TORCH_COMPILE,
            ),
        ),
    ],
)
def test_engines_as_a_person_writes_them(text: str, engines: tuple[EngineKind, ...]) -> None:
    assert parse_engines(text) == engines


def test_an_unknown_engine_is_refused_with_a_list() -> None:
    with pytest.raises(PlanError) as caught:
        parse_engines("ort,jax")
    assert "'jax'" in caught.value.message
    assert "ort, torch-eager" in caught.value.hint


def test_an_engine_that_cannot_take_the_file_is_refused() -> None:
    with pytest.raises(PlanError, match="torch-export can't run a file of kind onnx"):
        make_search_plan(info(), HERE, engines=(EngineKind.TORCH_EXPORT,))


@pytest.mark.parametrize("budget_s", [0.0, -1.0])
def test_a_search_needs_time(budget_s: float) -> None:
    with pytest.raises(PlanError, match="needs time"):
        make_search_plan(info(), HERE, budget_s=budget_s)


def test_a_plan_has_what_this_machine_has() -> None:
    plan = make_search_plan(info(), HERE, max_memory_bytes=5, max_p99_ns=2.0)
    assert plan.cores >= 1
    assert plan.execution_providers == HERE.execution_providers
    assert (plan.max_memory_bytes, plan.max_p99_ns) == (5, 2.0)
    assert plan.budget_s == 120.0


def test_a_search_that_was_stopped_has_a_plan_of_default_lanes() -> None:
    record = SearchRecord()
    assert plan_so_far(record) is None
    for event in search_events():
        record.apply(event)
    plan = plan_so_far(record)
    assert plan is not None
    assert [spec.label for spec in plan.engines] == ["ort", "torch-eager"]
    assert plan.baseline == "torch-eager"
