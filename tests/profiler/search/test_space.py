"""What a search may try, on small and large machines and for each kind of file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from profiler.errors import PlanError
from profiler.lanes import parse_lane
from profiler.plan import check_plan
from profiler.search.runner import check
from profiler.search.space import Space, lane_text, spaces, thread_counts
from profiler.types import EngineKind, ModelKind, ModelSource, RunPlan, SearchPlan


def search_plan(
    kind: ModelKind = ModelKind.ONNX,
    engines: Sequence[EngineKind] = tuple(EngineKind),
    cores: int = 2,
    **more: Any,
) -> SearchPlan:
    source = ModelSource(path="m", kind=kind, sha256="0", size_bytes=1)
    return SearchPlan(
        model=source,
        inputs=(),
        engines=tuple(engines),
        cores=cores,
        **more,
    )


def axis_of(space: Space, name: str) -> int:
    return [axis.name for axis in space.axes].index(name)


def others(space: Space, name: str) -> list[str]:
    return [made.label for made in space.others(space.default(), axis_of(space, name))]


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, []), (2, [1]), (4, [1, 2]), (6, [1, 2, 4]), (8, [1, 2, 4])]
)
def test_thread_counts_double_below_the_default(cores: int, counts: list[int]) -> None:
    assert thread_counts(cores) == counts


def test_every_configuration_is_a_lane_that_the_command_line_takes() -> None:
    plan = search_plan(
        cores=4,
        execution_providers=("CUDAExecutionProvider", "OpenVINOExecutionProvider"),
        cuda_devices=1,
    )
    for space in spaces(plan):
        grid = list(space.grid())
        labels = [made.label for made in grid]
        assert len(labels) == len(set(labels))
        for made in grid:
            assert lane_text(parse_lane(made.label)) == made.label
        check_plan(
            RunPlan(
                model=plan.model,
                inputs=(),
                engines=tuple(made.spec for made in grid),
                baseline=labels[0],
            )
        )


def test_the_default_comes_first_and_changes_nothing() -> None:
    for space in spaces(search_plan()):
        default = space.default()
        assert default.spec.options == {}
        assert default.changes == 0
        assert next(space.grid()) == default


def test_onnx_runtimes_axes_on_two_cores() -> None:
    ort = spaces(search_plan())[0]
    assert others(ort, "threads") == [
        "ort,intra_op_threads=1",
        "ort,execution_mode=parallel,intra_op_threads=1,inter_op_threads=2",
    ]
    assert others(ort, "graph") == [
        "ort,graph_optimization_level=extended",
        "ort,graph_optimization_level=basic",
        "ort,graph_optimization_level=disable",
    ]


def test_one_thread_has_nobody_to_wait_for() -> None:
    ort = spaces(search_plan())[0]
    threads = axis_of(ort, "threads")
    one_thread = ort.others(ort.default(), threads)[0]
    assert ort.others(one_thread, axis_of(ort, "waiting")) == []
    spins = ort.others(ort.default(), axis_of(ort, "waiting"))[0]
    # Both at once is the same lane as one thread alone.
    picks = list(spins.picks)
    picks[threads] = 1
    assert ort.configuration(picks) == one_thread


@pytest.mark.parametrize(
    ("kind", "start", "ways"),
    [
        (ModelKind.ONNX, "torch-eager", {"torch-compile", "torch-compile,mode=max-autotune"}),
        (
            ModelKind.TORCHSCRIPT,
            "torch-script",
            {
                "torch-eager",
                "torch-script,freeze=true",
                "torch-compile",
                "torch-compile,mode=max-autotune",
            },
        ),
        (
            ModelKind.TORCH_EXPORT,
            "torch-export",
            {"torch-eager", "torch-compile", "torch-compile,mode=max-autotune"},
        ),
    ],
)
def test_pytorch_starts_as_it_runs_such_a_file(kind: ModelKind, start: str, ways: set[str]) -> None:
    torch = spaces(search_plan(kind))[-1]
    assert torch.default().label == start
    assert set(others(torch, "way")) == ways


@pytest.mark.parametrize(
    ("glibc", "choices"), [(True, {"torch-eager,keep_memory=true"}), (False, set())]
)
def test_pytorch_may_keep_freed_memory_where_glibc_can(
    monkeypatch: pytest.MonkeyPatch, glibc: bool, choices: set[str]
) -> None:
    monkeypatch.setattr("profiler.search.space.can_keep", lambda: glibc)
    torch = spaces(search_plan(ModelKind.ONNX))[-1]
    found = set(others(torch, "memory")) if "memory" in {a.name for a in torch.axes} else set()
    assert found == choices


def test_only_engines_that_were_asked_for() -> None:
    (only,) = spaces(search_plan(engines=[EngineKind.TORCH_COMPILE]))
    assert only.default().label == "torch-compile"
    assert {made.spec.engine for made in only.grid()} == {EngineKind.TORCH_COMPILE}


def test_a_gpu_and_other_providers_are_an_axis() -> None:
    plan = search_plan(
        execution_providers=(
            "TensorrtExecutionProvider",
            "CUDAExecutionProvider",
            "OpenVINOExecutionProvider",
            "AzureExecutionProvider",
            "CPUExecutionProvider",
        ),
        cuda_devices=2,
    )
    ort, torch = spaces(plan)
    assert others(ort, "device") == [
        "ort,device=cuda:0",
        "ort,device=cuda:0,execution_provider=TensorrtExecutionProvider",
        "ort,execution_provider=OpenVINOExecutionProvider",
    ]
    assert others(torch, "device") == ["torch-eager,device=cuda:0"]


def test_no_engine_for_the_file_is_refused() -> None:
    plan = search_plan(ModelKind.AOT_INDUCTOR, [EngineKind.ORT])
    with pytest.raises(PlanError, match="aot-inductor"):
        check(plan, spaces(plan))
