"""Default plans, and plans refused before anything starts."""

from __future__ import annotations

import msgspec
import pytest

from profiler.errors import PlanError
from profiler.lanes import parse_lane
from profiler.plan import check_capabilities, check_plan, default_plan, needs_capabilities
from profiler.types import (
    Capabilities,
    EngineKind,
    EngineSpec,
    ModelInfo,
    ModelKind,
    ModelSource,
)

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


@pytest.mark.parametrize(("limit_s", "warmup_s"), [(60.0, 8.0), (32.0, 8.0), (4.0, 1.0)])
def test_a_short_run_does_not_warm_up_for_long(limit_s: float, warmup_s: float) -> None:
    assert default_plan(INFO, time_limit_s=limit_s).warmup.time_limit_s == warmup_s


def test_one_lane_is_its_own_baseline() -> None:
    assert (
        default_plan(INFO, engines=[EngineSpec(label="x", engine=EngineKind.ORT)]).baseline == "x"
    )


def test_two_lanes_of_one_name_are_refused() -> None:
    lanes = [EngineSpec(label="x", engine=kind) for kind in (EngineKind.ORT, EngineKind.ORT)]
    with pytest.raises(PlanError, match="Two lanes are called 'x'"):
        default_plan(INFO, engines=lanes)


@pytest.mark.parametrize(
    ("kind", "engine"),
    [
        (ModelKind.ONNX, EngineKind.TORCH_EAGER),
        (ModelKind.PICKLED_MODULE, EngineKind.TORCH_EAGER),
        (ModelKind.TORCHSCRIPT, EngineKind.TORCH_SCRIPT),
        (ModelKind.TORCH_EXPORT, EngineKind.TORCH_EXPORT),
    ],
)
def test_pytorch_runs_a_file_as_it_is(kind: ModelKind, engine: EngineKind) -> None:
    source = msgspec.structs.replace(INFO.source, kind=kind)
    plan = default_plan(msgspec.structs.replace(INFO, source=source))
    assert [spec.engine for spec in plan.engines] == [EngineKind.ORT, engine]
    assert plan.baseline == engine.value


@pytest.mark.parametrize(
    ("engine", "kind"),
    [
        (EngineKind.TORCH_SCRIPT, ModelKind.ONNX),
        (EngineKind.TORCH_SCRIPT, ModelKind.TORCH_EXPORT),
        (EngineKind.TORCH_EXPORT, ModelKind.ONNX),
        (EngineKind.TORCH_EXPORT, ModelKind.TORCHSCRIPT),
    ],
)
def test_an_engine_that_cannot_run_the_file_lists_those_that_can(
    engine: EngineKind, kind: ModelKind
) -> None:
    source = msgspec.structs.replace(INFO.source, kind=kind)
    lanes = [EngineSpec(label="x", engine=engine)]
    with pytest.raises(PlanError, match=f"{engine.value} can't run") as caught:
        default_plan(msgspec.structs.replace(INFO, source=source), engines=lanes)
    assert "ort, torch-eager" in caught.value.hint
    assert engine.value not in caught.value.hint


def test_a_lane_s_own_file_counts_and_not_the_plan_s() -> None:
    script = msgspec.structs.replace(INFO.source, kind=ModelKind.TORCHSCRIPT)
    lanes = [EngineSpec(label="x", engine=EngineKind.TORCH_SCRIPT, model=script)]
    assert default_plan(INFO, engines=lanes).engines[0].model == script


def test_an_option_that_the_engine_lacks_is_refused() -> None:
    lanes = [EngineSpec(label="x", engine=EngineKind.ORT, options={"mode": "default"})]
    with pytest.raises(PlanError, match="ort has no option 'mode'") as caught:
        default_plan(INFO, engines=lanes)
    assert "graph_optimization_level" in caught.value.hint


HERE = Capabilities(execution_providers=("CPUExecutionProvider",), cuda_devices=1)
WITH_CUDA = Capabilities(
    execution_providers=("CUDAExecutionProvider", "CPUExecutionProvider"), cuda_devices=1
)


@pytest.mark.parametrize(
    ("text", "here", "refusal"),
    [
        ("ort,execution_provider=CPUExecutionProvider", HERE, ""),
        ("ort,execution_provider=CoreML", HERE, "no CoreML here"),
        ("torch-eager,device=cuda:0", HERE, ""),
        ("torch-eager,device=cuda", HERE, ""),
        ("torch-eager,device=cuda:1", HERE, "no cuda:1"),
        ("ort,device=cuda:0", HERE, "no cuda:0 for ort"),
        ("ort,device=cuda:0", WITH_CUDA, ""),
    ],
)
def test_what_the_machine_lacks_is_refused(text: str, here: Capabilities, refusal: str) -> None:
    plan = default_plan(INFO, engines=[parse_lane(text)])
    assert needs_capabilities(plan)
    if not refusal:
        check_capabilities(plan, here)
        return
    with pytest.raises(PlanError, match=refusal) as caught:
        check_capabilities(plan, here)
    assert "CPUExecutionProvider" in caught.value.hint


@pytest.mark.parametrize(
    "device",
    ["cuda:x", "cuda:", "cuda:-1", "cuda:0 ", "cuda:" + "9" * 5000, "CPU", "gpu", "", "cuda:²"],
)
def test_a_device_that_can_t_be_read_is_refused(device: str) -> None:
    plan = default_plan(INFO)
    lane = msgspec.structs.replace(plan.engines[0], device=device)
    changed = msgspec.structs.replace(plan, engines=(lane, *plan.engines[1:]))
    for check in (check_plan, lambda p: check_capabilities(p, WITH_CUDA)):
        with pytest.raises(PlanError, match="Lane 'ort': device can't be") as caught:
            check(changed)
        assert "cpu or cuda:0" in caught.value.hint


def test_plain_lanes_need_no_look_around() -> None:
    assert not needs_capabilities(default_plan(INFO))


def test_an_unknown_baseline_lists_the_lanes() -> None:
    with pytest.raises(PlanError) as caught:
        default_plan(INFO, baseline="nobody")
    assert "ort, torch-eager" in caught.value.hint


@pytest.mark.parametrize(("time_limit_s", "target_width"), [(0.0, 0.02), (60.0, -0.1)])
def test_limits_must_be_positive(time_limit_s: float, target_width: float) -> None:
    with pytest.raises(PlanError, match="positive"):
        default_plan(INFO, time_limit_s=time_limit_s, target_width=target_width)
