"""Files that would run code: through the whole of the core, and the code never runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

from profiler.engine_process import EngineProcess
from profiler.errors import ModelFileError, UnsafeModelError
from profiler.jobs import inspect_model, onnx_form
from profiler.lanes import takes
from profiler.model_file import identify
from profiler.supervisor import run
from profiler.types import (
    EngineFailed,
    EngineKind,
    EngineSpec,
    Failed,
    InputSpec,
    Load,
    Loaded,
    ModelKind,
    ModelSource,
    RunFinished,
    RunPlan,
)
from tests import model_zoo

PIXELS = (InputSpec(name="input", dtype="float32", shape=(1, 3, 32, 32)),)
ANSWER_S = 60.0

Build = Callable[[Path, Path], Path]


def hostile_expression(folder: Path, marker: Path) -> Path:
    """A `.pt2` whose batch size is a call, which torch.export.load would evaluate."""
    path = model_zoo.exported_program(folder)
    program = model_zoo.member(path, "models/model.json").decode()
    start = program.index("Symbol(")
    end = program.index(")", start) + 1
    # Without quotes: it stands in JSON, and in one of Python's texts.
    name = "+".join(f"chr({ord(letter)})" for letter in str(marker))
    call = f"__import__(chr(111)+chr(115)).mkdir({name})"
    changed = program.replace(program[start:end], call).encode()
    return model_zoo.with_member(path, "models/model.json", changed)


unsafe = pytest.mark.parametrize(
    ("build", "kind"),
    [
        (model_zoo.hostile_archive, ModelKind.STATE_DICT),
        (model_zoo.hostile_checkpoint, ModelKind.CHECKPOINT),
        (model_zoo.hostile_older, ModelKind.STATE_DICT),
        (model_zoo.hostile_older_module, ModelKind.PICKLED_MODULE),
        (model_zoo.hostile_module, ModelKind.PICKLED_MODULE),
        (model_zoo.hostile_look_alike, ModelKind.PICKLED_MODULE),
        (model_zoo.hostile_by_stack, ModelKind.PICKLED_MODULE),
        (model_zoo.hostile_extra_file, ModelKind.TORCHSCRIPT),
        (model_zoo.hostile_program, ModelKind.TORCH_EXPORT),
        (hostile_expression, ModelKind.TORCH_EXPORT),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def test_a_bare_pickle_is_refused_before_any_process_starts(tmp_path: Path, marker: Path) -> None:
    path = model_zoo.hostile_pickle(tmp_path, marker)
    for look in (identify, inspect_model):
        with pytest.raises(ModelFileError) as caught:
            look(path)
        assert "pickle" in caught.value.message
        assert caught.value.hint
    assert not marker.exists()


@unsafe
def test_inspection_refuses(build: Build, kind: ModelKind, tmp_path: Path, marker: Path) -> None:
    path = build(tmp_path, marker)
    assert identify(path).kind is kind
    with pytest.raises(UnsafeModelError) as caught:
        inspect_model(path)
    assert caught.value.exit_code == 4
    assert caught.value.hint
    assert not marker.exists()


def test_conversion_refuses(tmp_path: Path, marker: Path) -> None:
    """Unsafe files of this kind are loaded twice there: as a module, and by the exporter."""
    with pytest.raises(UnsafeModelError):
        onnx_form(identify(hostile_expression(tmp_path, marker)), PIXELS)
    assert not marker.exists()


def test_an_engine_refuses(tmp_path: Path, marker: Path) -> None:
    # The first last: the second makes and removes a file of its name.
    builds = (model_zoo.hostile_program, hostile_expression, model_zoo.hostile_archive)
    sources = [identify(build(tmp_path, marker)) for build in builds]
    # Replaced since they were identified, perhaps: the kind that is told is wrong.
    bare = model_zoo.hostile_pickle(tmp_path, marker)
    wrong = (ModelKind.PICKLED_MODULE, ModelKind.TORCHSCRIPT, ModelKind.TORCH_EXPORT)
    sources += [
        ModelSource(path=str(bare), kind=kind, sha256="0", size_bytes=bare.stat().st_size)
        for kind in wrong
    ]
    spec = EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER)
    errors = []
    with EngineProcess(spec, tmp_path) as process:
        for source in sources:
            command = Load(spec=spec, model=source, inputs=PIXELS, work_dir=str(tmp_path))
            process.send(command)
            reply = process.receive(ANSWER_S)
            assert isinstance(reply, Failed)
            assert reply.hint
            errors.append(reply.error)
    assert errors == ["UnsafeModelError"] * 3 + ["ModelFileError"] * 3
    assert not marker.exists()


def test_a_run_tells_it_for_each_lane(tmp_path: Path, marker: Path) -> None:
    source = identify(model_zoo.hostile_archive(tmp_path, marker))
    kinds = [kind for kind in EngineKind if takes(kind, source.kind)]
    engines = tuple(EngineSpec(label=kind.value, engine=kind) for kind in kinds)
    plan = RunPlan(model=source, inputs=PIXELS, engines=engines, baseline=engines[0].label)
    events = list(run(plan))
    failures = {event.label: event for event in events if isinstance(event, EngineFailed)}
    assert set(failures) == {engine.label for engine in engines}
    assert all("would run code" in failure.message for failure in failures.values())
    assert all(failure.hint for failure in failures.values())
    assert isinstance(events[-1], RunFinished)
    assert not marker.exists()


def test_hostile_sample_inputs_are_left_out(tmp_path: Path, marker: Path) -> None:
    """The rest of the file is honest, so that a copy without them runs."""
    path = model_zoo.hostile_samples(tmp_path, marker)
    info = inspect_model(path)
    assert any("sample inputs" in note and "system" in note for note in info.notes)
    spec = EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER)
    with EngineProcess(spec, tmp_path) as process:
        work_dir = str(tmp_path)
        process.send(Load(spec=spec, model=info.source, inputs=info.inputs, work_dir=work_dir))
        assert isinstance(process.receive(ANSWER_S), Loaded)
    form, _ = onnx_form(info.source, info.inputs)
    assert form.kind is ModelKind.ONNX
    assert not marker.exists()


@pytest.mark.parametrize(
    "name",
    ["hostile_module", "hostile_look_alike", "hostile_by_stack", "hostile_older_module"],
)
def test_the_hostile_modules_would_run(name: str, tmp_path: Path, marker: Path) -> None:
    """Else the tests above would pass for another reason."""
    path = getattr(model_zoo, name)(tmp_path, marker)
    with contextlib.suppress(Exception):
        torch.load(path, weights_only=False)
    assert marker.exists()


def test_onnx_weights_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    path = model_zoo.onnx_mlp(tmp_path / "inside", external=True)
    (tmp_path / "inside" / "external.data").rename(tmp_path / "outside.data")
    changed = onnx.load(str(path), load_external_data=False)
    for tensor in changed.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../outside.data"
    path.write_bytes(changed.SerializeToString())
    with pytest.raises(ModelFileError, match="outside of its folder") as caught:
        inspect_model(path)
    assert caught.value.hint


def test_the_expression_would_run_without_the_check(tmp_path: Path, marker: Path) -> None:
    """Else the tests above would pass for another reason."""

    path = hostile_expression(tmp_path, marker)
    with pytest.raises(Exception, match=r".*"):
        torch.export.load(path)
    assert marker.exists()
