"""What can be varied, what a value does to the plan, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from profiler.errors import InputError, PlanError, ProfilerError
from profiler.sweep.axes import apply_value, axes_of, parse_axis, unit_of, work_of
from profiler.sweep.points import check_sweep, order, point_plan, points
from profiler.types import (
    Capabilities,
    EngineKind,
    EngineSpec,
    Fill,
    GenerationPlan,
    InputSpec,
    ModelKind,
    ModelSource,
    RunPlan,
    SweepAxis,
    SweepPlan,
)

IDS = InputSpec(name="ids", dtype="int64", shape=(1, 16), symbols=("s77", "s53"))
MASK = InputSpec(name="mask", dtype="int64", shape=(1, 16), symbols=("s77", "s53"))
IMAGE = InputSpec(name="x", dtype="float32", shape=(1, 3, 8, 8), guessed=True)
FIXED = InputSpec(name="x", dtype="float32", shape=(1, 3), symbols=(None, None))


def plan(*inputs: InputSpec) -> RunPlan:
    return RunPlan(
        model=ModelSource(path="m.onnx", kind=ModelKind.ONNX, sha256="0", size_bytes=1),
        inputs=inputs,
        engines=(
            EngineSpec(label="base", engine=EngineKind.TORCH_EAGER),
            EngineSpec(label="fast.1", engine=EngineKind.ORT),
        ),
        baseline="base",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch=1,2, 4", ("1", "2", "4")),
        ("batch=1..4", ("1", "2", "3", "4")),
        ("batch=1..16x2", ("1", "2", "4", "8", "16")),
        ("sequence=64..200+64", ("64", "128", "192")),
        ("batch=2,1..3,2", ("2", "1", "3")),
        ("precision=fp32,bf16", ("fp32", "bf16")),
        ("threads=default,1", ("default", "1")),
    ],
)
def test_values_and_ranges_are_read(text: str, expected: tuple[str, ...]) -> None:
    assert parse_axis(text, plan(IDS, MASK)).values == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch", "Can't read the axis"),
        ("batch=", "Can't read the axis"),
        ("=1", "Can't read the axis"),
        ("batch=0", "can't be '0'"),
        ("batch=x", "can't be 'x'"),
        ("batch=4..1", "no range"),
        ("batch=1..8x1", "no range"),
        ("batch=1..9999", "9999 values|values"),
        ("tokens=1", "no axis 'tokens'"),
        ("ort.threads=1", "no axis 'ort.threads'"),
        ("precision=int4", "can't be 'int4'"),
        ("callers=0", "can't be '0'"),
        ("ids[2]=1", "has no dimension 2"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(ProfilerError, match=message) as caught:
        parse_axis(text, plan(IDS, MASK))
    assert caught.value.hint


def test_a_batch_is_found_by_place_where_names_say_nothing() -> None:
    changed, refused = apply_value(plan(IDS, MASK), "batch", "4")
    assert [spec.shape for spec in changed.inputs] == [(4, 16), (4, 16)]
    assert not refused
    assert work_of(changed) == 4
    longer, _ = apply_value(changed, "sequence", "32")
    assert [spec.shape for spec in longer.inputs] == [(4, 32), (4, 32)]
    by_name, _ = apply_value(changed, "s53", "8")
    assert [spec.shape for spec in by_name.inputs] == [(4, 8), (4, 8)]


def test_dimensions_of_guessed_inputs_may_be_set() -> None:
    changed, _ = apply_value(plan(IMAGE), "image", "16")
    assert changed.inputs[0].shape == (1, 3, 16, 16)
    wider, _ = apply_value(changed, "x[3]", "20")
    assert wider.inputs[0].shape == (1, 3, 16, 20)


def test_a_fixed_dimension_is_no_axis_and_says_so() -> None:
    with pytest.raises(PlanError, match="no axis 'batch'") as caught:
        parse_axis("batch=1,2", plan(FIXED))
    assert "fixes the dimensions" in caught.value.hint
    with pytest.raises(InputError, match="fixed at 1 by the model"):
        parse_axis("x[0]=1,2", plan(FIXED))
    assert work_of(plan(FIXED)) == 1


def test_values_of_a_file_keep_their_shape() -> None:
    of_file = msgspec.structs.replace(IDS, fill=Fill.FILE, path="a.npy")
    with pytest.raises(InputError, match="come from a file"):
        parse_axis("batch=2", plan(of_file, MASK))


def test_an_option_changes_the_lanes_that_have_it() -> None:
    changed, refused = apply_value(plan(IDS), "threads", "2")
    assert [spec.options for spec in changed.engines] == [{"intra_op_threads": 2}] * 2
    assert not refused
    changed, _ = apply_value(changed, "optimization", "basic")
    assert "graph_optimization_level" not in changed.engines[0].options
    changed, _ = apply_value(changed, "fast.1.threads", "4")
    assert [spec.options["intra_op_threads"] for spec in changed.engines] == [2, 4]
    changed, _ = apply_value(changed, "threads", "default")
    assert all("intra_op_threads" not in spec.options for spec in changed.engines)
    changed, _ = apply_value(changed, "device", "cuda:0")
    assert [spec.device for spec in changed.engines] == ["cuda:0"] * 2


def test_a_lane_that_cannot_take_a_value_is_left_out_with_its_reason() -> None:
    made = plan(IDS)
    sweep = SweepPlan(plan=made, axes=(parse_axis("precision=fp32,bf16", made),))
    there, refused = point_plan(sweep, points(sweep.axes)[1])
    assert [spec.label for spec in there.engines] == ["base"]
    assert "can't be 'bf16'" in refused["fast.1"]
    both, none = point_plan(sweep, points(sweep.axes)[0])
    assert len(both.engines) == 2
    assert not none


def test_what_this_machine_lacks_is_refused_by_lane_or_point() -> None:
    made = plan(IDS)
    here = Capabilities(execution_providers=("CPUExecutionProvider",), cuda_devices=0)
    providers = parse_axis("provider=CPUExecutionProvider,CUDAExecutionProvider", made)
    sweep = SweepPlan(plan=made, axes=(providers,))
    there, refused = point_plan(sweep, points(sweep.axes)[1], here)
    assert [spec.label for spec in there.engines] == ["base"]
    assert "no CUDAExecutionProvider here" in refused["fast.1"]
    devices = SweepPlan(plan=made, axes=(parse_axis("device=cpu,cuda:0", made),))
    with pytest.raises(PlanError, match="no cuda:0"):
        point_plan(devices, points(devices.axes)[1], here)


def test_points_are_a_grid_in_random_order() -> None:
    made = plan(IDS, MASK)
    axes = (parse_axis("batch=1,2,4", made), parse_axis("threads=1,2", made))
    sweep = SweepPlan(plan=made, axes=axes, seed=3)
    grid = points(axes)
    assert [p.values for p in grid[:3]] == [("1", "1"), ("1", "2"), ("2", "1")]
    assert sorted(p.index for p in order(sweep)) == list(range(6))
    assert order(sweep) == order(sweep)
    assert order(sweep) != grid
    there, _ = point_plan(sweep, grid[5])
    assert there.inputs[0].shape == (4, 16)
    assert there.engines[0].options == {"intra_op_threads": 2}
    assert not there.new_size


def test_a_sweep_without_sense_is_refused() -> None:
    made = plan(IDS, MASK)
    axis = parse_axis("batch=1,2", made)
    with pytest.raises(PlanError, match="no axis"):
        check_sweep(SweepPlan(plan=made, axes=()))
    with pytest.raises(PlanError, match="twice"):
        check_sweep(SweepPlan(plan=made, axes=(axis, axis)))
    many = SweepAxis(name="batch", values=tuple(map(str, range(1, 101))))
    more = SweepAxis(name="threads", values=("1", "2", "3", "4", "5"))
    with pytest.raises(PlanError, match="500 points"):
        check_sweep(SweepPlan(plan=made, axes=(many, more)))


def test_a_generation_is_varied_in_its_tokens_and_lanes() -> None:
    texts = GenerationPlan(prompt_tokens=4, new_tokens=4, vocabulary=9)
    made = msgspec.structs.replace(plan(IDS, MASK), inputs=(), generation=texts)
    assert [info.name for info in axes_of(made)][:2] == ["prompt", "tokens"]
    axes = tuple(parse_axis(text, made) for text in ("prompt=8,16", "tokens=2", "threads=1,2"))
    sweep = SweepPlan(plan=made, axes=axes)
    check_sweep(sweep)
    there, _ = point_plan(sweep, points(axes)[3])
    assert there.generation == msgspec.structs.replace(texts, prompt_tokens=16, new_tokens=2)
    assert there.engines[0].options == {"intra_op_threads": 2}
    assert (work_of(there), unit_of(there)) == (2, "tokens/s")
    assert unit_of(plan(IDS, MASK)) == "samples/s"
    for wrong in ("batch=1,2", "prompt=0", "callers=1,2"):
        with pytest.raises(PlanError):
            parse_axis(wrong, made)


def test_the_form_proposes_what_applies() -> None:
    found = {info.name: info for info in axes_of(plan(IDS, MASK))}
    assert list(found)[:4] == ["batch", "sequence", "s77", "s53"]
    assert found["s53"].proposed == ("8", "16", "32")
    assert "int8-static" in found["precision"].proposed
    assert "mode" not in found
    assert "image" not in found
    assert all(info.help for info in found.values())
