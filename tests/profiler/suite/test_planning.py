"""Models, devices, lanes and time of a suite, from what a machine has."""

from __future__ import annotations

import pytest

from profiler.errors import PlanError
from profiler.suite.catalogue import CATALOGUE, chosen
from profiler.suite.planning import (
    BUDGET_S,
    COMPILE_LEFT_OUT,
    LEAST_S,
    MOST_S,
    expected_beside_s,
    lanes,
    suite_plan,
    time_limit_s,
)
from profiler.types import Capabilities, EngineKind
from tests.profiler.suite.driving import HERE

GPU = Capabilities(
    execution_providers=(
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "OpenVINOExecutionProvider",
        "AzureExecutionProvider",
        "CPUExecutionProvider",
    ),
    cuda_devices=1,
)


def test_without_a_gpu_its_providers_get_no_lane() -> None:
    plan = suite_plan(CATALOGUE, HERE)
    assert [entry.key for entry in plan.entries] == [model.key for model in CATALOGUE]
    labels = [spec.label for spec in lanes(plan.entries[0], plan)]
    assert labels == ["torch-eager", "torch-compile", "ort"]
    assert any("no GPU" in text for text in plan.left_out)


def test_every_lane_of_a_machine_with_a_gpu() -> None:
    plan = suite_plan(chosen(["bert-base"]), GPU)
    cpu, cuda = plan.entries
    assert (cpu.key, cuda.key) == ("bert-base", "bert-base-cuda0")
    found = {spec.label: spec for spec in lanes(cuda, plan)}
    assert list(found) == ["torch-eager", "torch-compile", "ort-tensorrt", "ort"]
    assert {spec.device for spec in found.values()} == {"cuda:0"}
    assert found["ort-tensorrt"].options == {"execution_provider": "TensorrtExecutionProvider"}
    assert [spec.label for spec in lanes(cpu, plan)][2:] == ["ort-openvino", "ort"]


def test_a_quick_suite_leaves_out_what_compiles_and_says_so() -> None:
    plan = suite_plan(CATALOGUE, HERE, quick=True)
    engines = {spec.engine for entry in plan.entries for spec in lanes(entry, plan)}
    assert engines == {EngineKind.TORCH_EAGER, EngineKind.ORT}
    assert COMPILE_LEFT_OUT in plan.left_out


def test_text_is_compiled_with_a_static_cache() -> None:
    plan = suite_plan(chosen(["gpt-2"]), HERE)
    assert lanes(plan.entries[0], plan)[1].options == {"cache": "static"}


def test_time_is_shared_out_when_other_work_is_taken_off() -> None:
    assert time_limit_s(200.0, [20.0, 30.0]) == 75.0
    assert time_limit_s(10.0, [20.0, 30.0]) == LEAST_S
    assert time_limit_s(10_000.0, [20.0]) == MOST_S


@pytest.mark.parametrize("quick", [True, False])
def test_the_least_of_all_runs_fits_the_budget(quick: bool) -> None:
    plan = suite_plan(CATALOGUE, HERE, quick=quick)
    beside_s = [expected_beside_s(entry, plan) for entry in plan.entries]
    assert time_limit_s(plan.budget_s, beside_s) > LEAST_S
    assert suite_plan(CATALOGUE, HERE).budget_s == BUDGET_S


def test_an_unknown_model_is_refused_with_what_there_is() -> None:
    with pytest.raises(PlanError, match="resnet-50, bert-base"):
        chosen(["vgg"])
