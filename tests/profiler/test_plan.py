"""Default plans, and plans refused before anything starts."""

from __future__ import annotations

import pytest

from profiler.errors import PlanError
from profiler.plan import default_plan
from profiler.types import EngineKind, EngineSpec, ModelInfo, ModelKind, ModelSource

INFO = ModelInfo(
    source=ModelSource(path="m.onnx", kind=ModelKind.ONNX, sha256="0", size_bytes=1),
    inputs=(),
    outputs=(),
)


def test_default_plan_compares_both_engines_with_pytorch_as_baseline() -> None:
    plan = default_plan(INFO)
    assert [spec.engine for spec in plan.engines] == [EngineKind.ORT, EngineKind.TORCH_EAGER]
    assert plan.baseline == "torch-eager"
    assert (plan.stopping.time_limit_s, plan.stopping.target_width) == (60.0, 0.02)


def test_one_lane_is_its_own_baseline() -> None:
    assert (
        default_plan(INFO, engines=[EngineSpec(label="x", engine=EngineKind.ORT)]).baseline == "x"
    )


def test_two_lanes_of_one_name_are_refused() -> None:
    lanes = [EngineSpec(label="x", engine=kind) for kind in EngineKind]
    with pytest.raises(PlanError, match="Two lanes are called 'x'"):
        default_plan(INFO, engines=lanes)


def test_an_unknown_baseline_lists_the_lanes() -> None:
    with pytest.raises(PlanError) as caught:
        default_plan(INFO, baseline="nobody")
    assert "ort, torch-eager" in caught.value.hint


@pytest.mark.parametrize(("time_limit_s", "target_width"), [(0.0, 0.02), (60.0, -0.1)])
def test_limits_must_be_positive(time_limit_s: float, target_width: float) -> None:
    with pytest.raises(PlanError, match="positive"):
        default_plan(INFO, time_limit_s=time_limit_s, target_width=target_width)
