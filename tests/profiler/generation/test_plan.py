"""Plans of a generation: what is refused before anything starts."""

from __future__ import annotations

import pytest

from profiler.errors import PlanError
from profiler.generation.plan import endpoint_source, generation_plan
from profiler.lanes import parse_lane
from profiler.plan import check_plan, default_plan
from profiler.types import (
    CacheLayout,
    EngineKind,
    EngineSpec,
    ModelInfo,
    ModelKind,
    ModelSource,
)


def info(kind: ModelKind = ModelKind.TRANSFORMERS, *, generates: bool = True) -> ModelInfo:
    """A model of 100 words and at most 64 tokens."""
    layout = CacheLayout(convention="transformers", vocabulary=100, most_tokens=64)
    return ModelInfo(
        source=ModelSource(path="model", kind=kind, sha256="0", size_bytes=1),
        inputs=(),
        outputs=(),
        generation=layout if generates else None,
    )


def test_defaults() -> None:
    plan = generation_plan(info())
    assert [spec.engine for spec in plan.engines] == [EngineKind.ORT, EngineKind.TORCH_EAGER]
    assert plan.baseline == "torch-eager" and plan.inputs == ()
    assert plan.generation is not None and plan.generation.vocabulary == 100
    # The model takes 64.
    assert (plan.generation.prompt_tokens, plan.generation.new_tokens) == (48, 16)


@pytest.mark.parametrize(
    ("prompt", "new", "message"),
    [(0, 8, "at least 1"), (8, 1, "at least 2"), (60, 5, "more than the model takes: 64")],
)
def test_numbers_of_tokens(prompt: int, new: int, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        generation_plan(info(), prompt_tokens=prompt, new_tokens=new)


@pytest.mark.parametrize("lane", ["ort,callers=2", "torch-eager,callers=2", "ort,precision=int8"])
def test_options_of_single_calls_are_refused(lane: str) -> None:
    with pytest.raises(PlanError, match="has no option"):
        parse_lane(lane, generation=True)


def test_a_model_without_a_cache() -> None:
    with pytest.raises(PlanError, match="no KV cache"):
        generation_plan(info(ModelKind.ONNX, generates=False))


def test_a_folder_has_no_single_calls() -> None:
    with pytest.raises(PlanError, match="no single calls") as caught:
        default_plan(info())
    assert "dualscope generate" in caught.value.hint


@pytest.mark.parametrize(
    ("lane", "message"),
    [
        ("torch-script", "can't generate"),
        ("endpoint", "no address"),
        ("endpoint,url=http://x/v1,rate=2,concurrency=3", "both"),
        ("endpoint,url=http://x/v1,rate=0", "more than 0"),
        ("endpoint,url=http://x/v1,concurrency=0", "at least 1"),
    ],
)
def test_lanes_that_can_not_be(lane: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        generation_plan(
            info(), prompt_tokens=8, new_tokens=8, engines=[parse_lane(lane, generation=True)]
        )


@pytest.mark.parametrize(
    "lane", ["endpoint,url=ftp://x", "ort,io_binding=true", "torch-eager,cache=big", "ort,cache=x"]
)
def test_options_that_can_not_be(lane: str) -> None:
    with pytest.raises(PlanError):
        parse_lane(lane, generation=True)
    with pytest.raises(PlanError, match="no option"):
        parse_lane("torch-eager,cache=static")


def test_an_endpoint_takes_no_part_in_single_calls() -> None:
    spec = EngineSpec(label="e", engine=EngineKind.ENDPOINT, options={"url": "http://x/v1"})
    plan = generation_plan(None, engines=[spec])
    assert plan.model == endpoint_source()
    check_plan(plan)
    with pytest.raises(PlanError, match="can't run"):
        default_plan(info(ModelKind.ONNX), engines=[spec])
