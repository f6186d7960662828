"""What a person writes for a lane, and what is wrong with it."""

from __future__ import annotations

import pytest

from profiler.errors import PlanError
from profiler.lanes import OPTIONS, parse_lane
from profiler.types import EngineKind, EngineSpec


def spec(
    label: str, engine: EngineKind, device: str = "cpu", **options: str | int | float | bool
) -> EngineSpec:
    return EngineSpec(label=label, engine=engine, device=device, options=options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ort", spec("ort", EngineKind.ORT)),
        ("torch-eager", spec("torch-eager", EngineKind.TORCH_EAGER)),
        ("fast=ort", spec("fast", EngineKind.ORT)),
        ("=ort", spec("ort", EngineKind.ORT)),
        ("a=b=ort", spec("a=b", EngineKind.ORT)),
        ("two words ü=ort", spec("two words ü", EngineKind.ORT)),
        ("ort,device=cuda:1", spec("ort", EngineKind.ORT, "cuda:1")),
        (
            "x=ort,intra_op_threads=4,allow_spinning=false,graph_optimization_level=basic",
            spec(
                "x",
                EngineKind.ORT,
                intra_op_threads=4,
                allow_spinning=False,
                graph_optimization_level="basic",
            ),
        ),
        ("c=torch-compile,dynamic=true", spec("c", EngineKind.TORCH_COMPILE, dynamic=True)),
        (
            "ort,free_dimensions=batch:1;sequence:128",
            spec("ort", EngineKind.ORT, free_dimensions="batch:1;sequence:128"),
        ),
        ("ort,allow_spinning=1", spec("ort", EngineKind.ORT, allow_spinning=True)),
        (
            "ort,execution_provider=XnnpackExecutionProvider",
            spec("ort", EngineKind.ORT, execution_provider="XnnpackExecutionProvider"),
        ),
    ],
)
def test_lanes_are_read(text: str, expected: EngineSpec) -> None:
    found = parse_lane(text)
    assert found == expected
    assert [type(value) for value in found.options.values()] == [
        type(value) for value in expected.options.values()
    ]


@pytest.mark.parametrize("text", ["", "fast=", "fast=tensorflow", "ORT", ",", "ort=fast"])
def test_an_unknown_engine_lists_the_known_ones(text: str) -> None:
    with pytest.raises(PlanError, match="There is no engine") as caught:
        parse_lane(text)
    assert all(kind.value in caught.value.hint for kind in EngineKind)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["ort,speed=1", "ort,", "ort,intra_op_threads"])
def test_an_unknown_option_lists_the_known_ones(text: str) -> None:
    with pytest.raises(PlanError, match="has no option") as caught:
        parse_lane(text)
    assert all(name in caught.value.hint for name in ("device", *OPTIONS[EngineKind.ORT]))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ort,intra_op_threads=many", "integer"),
        ("ort,device=", "cpu or cuda:0"),
        ("ort,device=gpu", "cpu or cuda:0"),
        ("ort,free_dimensions=batch", "batch:1;sequence:128"),
        ("torch-compile,mode=fast", "default, reduce-overhead"),
        ("ort,intra_op_threads=-1", "integer"),
        ("ort,intra_op_threads=", "integer"),
        ("ort,allow_spinning=perhaps", "true, false"),
        ("ort,graph_optimization_level=most", "disable, basic, extended, all"),
    ],
)
def test_a_wrong_value_lists_the_right_ones(text: str, hint: str) -> None:
    with pytest.raises(PlanError, match="can't be") as caught:
        parse_lane(text)
    assert hint in caught.value.hint


def test_an_option_of_another_engine_is_refused() -> None:
    with pytest.raises(PlanError, match="torch-eager has no option 'allow_spinning'"):
        parse_lane("torch-eager,allow_spinning=true")
