"""Real conversions to ONNX, whose outputs are those of PyTorch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch

from profiler.consent import checked
from profiler.convert import convert_to_onnx
from profiler.errors import ConversionError, UnsafeModelError
from profiler.inputs import apply_overrides, make_arrays
from profiler.inspection import inspect
from profiler.model_file import identify
from profiler.torch_files import load_torch_model
from profiler.types import Factory, InputSpec, ModelKind, ModelSource
from tests import model_zoo

Array = np.ndarray[Any, np.dtype[Any]]


def spec(name: str, *shape: int) -> InputSpec:
    symbols = ("batch", *(None for _ in shape[1:]))
    return InputSpec(name=name, dtype="float32", shape=shape, symbols=symbols)


def script(folder: Path, module: torch.nn.Module) -> ModelSource:
    path = folder / "scripted.pt"
    model_zoo.save_script(module.eval(), path)
    return identify(path)


def by_pytorch(source: ModelSource, inputs: Sequence[InputSpec]) -> list[Array]:
    arrays = make_arrays(inputs)
    with torch.inference_mode():
        out = load_torch_model(source)(*(torch.from_numpy(arrays[i.name]) for i in inputs))
    return [t.numpy() for t in (out if isinstance(out, tuple) else (out,))]


def by_onnxruntime(model: ModelSource, inputs: Sequence[InputSpec]) -> list[Array]:
    session = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    return list(session.run(None, make_arrays(inputs)))


def assert_same(model: ModelSource, source: ModelSource, inputs: Sequence[InputSpec]) -> None:
    expected, found = by_pytorch(source, inputs), by_onnxruntime(model, inputs)
    assert [a.shape for a in found] == [a.shape for a in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def convert(
    source: ModelSource, inputs: Sequence[InputSpec], folder: Path
) -> tuple[ModelSource, tuple[str, ...], list[str]]:
    steps: list[str] = []
    model, notes = convert_to_onnx(source, inputs, folder / "converted", steps.append)
    return model, notes, steps


@pytest.mark.parametrize(
    ("build", "way"),
    [
        (model_zoo.torchscript, "TS2EPConverter"),
        (lambda folder: model_zoo.torchscript(folder, traced=True), "TS2EPConverter"),
        (model_zoo.pickled_sequential, "dynamic shapes"),
        (model_zoo.exported_program, "torch.onnx (dynamo)"),
    ],
    ids=["scripted", "traced", "pickled", "exported"],
)
def test_outputs_are_pytorchs_at_every_batch_size(
    build: Callable[[Path], Path], way: str, tmp_path: Path
) -> None:
    info = inspect(identify(build(tmp_path)))
    name = info.inputs[0].name
    inputs = apply_overrides(info.inputs, [f"{name}=[2,3,32,32]"])
    model, notes, steps = convert(info.source, inputs, tmp_path)
    assert way in notes[0]
    assert "within tolerance" in notes[1]
    assert steps[0] == "loading the PyTorch model"
    assert steps[-1] == "comparing outputs with PyTorch"
    assert (model.kind, model.derived_from) == (ModelKind.ONNX, info.source.sha256)
    derived = {"derived_from": info.source.sha256}
    assert model == msgspec.structs.replace(identify(Path(model.path)), **derived)
    assert_same(model, info.source, inputs)
    assert_same(model, info.source, apply_overrides(inputs, [f"{name}=[5,3,32,32]"]))


def test_what_was_checked_and_what_may_change_is_told(tmp_path: Path) -> None:
    source = identify(model_zoo.pickled_sequential(tmp_path))
    free = InputSpec(
        name="input", dtype="float32", shape=(2, 3, 16, 16), symbols=("batch", None, "height", None)
    )
    _, notes, _ = convert(source, [free], tmp_path)
    assert "Dynamic: batch, height." in notes
    assert "Checked with the inputs as given, other values, a batch of 4." in notes


class FixedBatch(torch.nn.Module):
    """Its reshape holds for a batch of two only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, 4) * 2


def test_a_batch_that_the_model_fixes_is_told(tmp_path: Path) -> None:
    source = script(tmp_path, FixedBatch())
    model, notes, _ = convert(source, [spec("x", 2, 4)], tmp_path)
    told = " ".join(notes)
    assert "Fixed by the conversion: batch" in told or "does not take a batch of 4" in told
    assert_same(model, source, [spec("x", 2, 4)])


def test_a_factory_s_module_is_converted_by_its_names(tmp_path: Path) -> None:
    path = tmp_path / "make.py"
    path.write_text(SKIPPING)
    torch.save({"linear.weight": torch.ones(2, 4)}, tmp_path / "w.pt")
    factory = Factory(target=f"{path}:Skipping")
    source = checked(identify(tmp_path / "w.pt"), factory, trust=True)
    model, notes, _ = convert(source, [spec("last", 3, 4), spec("x", 3, 4)], tmp_path)
    assert "within tolerance" in notes[1] and "Dynamic: batch." in notes
    session = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    feeds = {"last": np.ones((5, 4), np.float32), "x": np.full((5, 4), 2, np.float32)}
    np.testing.assert_allclose(session.run(None, feeds)[0], np.full((5, 2), 4.0 * (2 - 1)))
    other = checked(
        identify(tmp_path / "w.pt"),
        msgspec.structs.replace(factory, arguments={"scale": 3}),
        trust=True,
    )
    assert convert(other, [spec("last", 3, 4), spec("x", 3, 4)], tmp_path)[2], "another model"


SKIPPING = """
import torch


class Skipping(torch.nn.Module):
    def __init__(self, scale=1):
        super().__init__()
        self.scale = scale
        self.linear = torch.nn.Linear(4, 2, bias=False)

    def forward(self, x=None, unused=None, last=None):
        return self.linear(x - last) * self.scale
"""

SINGULAR = """
import torch


class Singular(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4, bias=False)

    def forward(self, x):
        y = self.linear(x)
        if y.sum() > 0:
            y = y + 1
        return torch.linalg.svd(y)[1]
"""


def test_a_failed_export_names_the_model_s_line(tmp_path: Path) -> None:
    path = tmp_path / "singular.py"
    path.write_text(SINGULAR)
    torch.save({"linear.weight": torch.eye(4)}, tmp_path / "w.pt")
    source = checked(identify(tmp_path / "w.pt"), Factory(target=f"{path}:Singular"), trust=True)
    with pytest.raises(ConversionError) as caught:
        convert(source, [spec("x", 4, 4)], tmp_path)
    assert "singular.py, line 12: if y.sum() > 0:" in caught.value.message


def test_native_code_has_no_graph(tmp_path: Path) -> None:
    source = identify(model_zoo.aot_package_stand_in(tmp_path))
    with pytest.raises(ConversionError, match="native code") as caught:
        convert(source, [spec("x", 4, 4)], tmp_path)
    assert caught.value.hint


def test_the_second_time_the_cache_answers(tmp_path: Path) -> None:
    source = identify(model_zoo.pickled_sequential(tmp_path))
    inputs = [spec("input", 1, 3, 16, 16)]
    model, notes, _ = convert(source, inputs, tmp_path)
    written = Path(model.path).stat().st_mtime_ns
    again, notes_again, steps = convert(source, inputs, tmp_path)
    assert (again, notes_again, steps) == (model, notes, [])
    assert Path(again.path).stat().st_mtime_ns == written


def test_another_shape_another_seed_and_a_half_made_folder(tmp_path: Path) -> None:
    source = identify(model_zoo.pickled_sequential(tmp_path))
    model, _, _ = convert(source, [spec("input", 1, 3, 16, 16)], tmp_path)
    seeded = InputSpec(name="input", dtype="float32", shape=(1, 3, 16, 16), seed=9)
    assert convert(source, [seeded], tmp_path)[2] == []
    # A person, or a full disk, took the model away: it is made again.
    Path(model.path).unlink()
    again, _, steps = convert(source, [spec("input", 1, 3, 16, 16)], tmp_path)
    assert steps
    assert_same(again, source, [spec("input", 1, 3, 16, 16)])
    # Stopped between the model and its notes: the model may be half written.
    notes = Path(again.path).with_name("notes.json")
    assert json.loads(notes.read_text())[0].startswith("Converted")
    notes.unlink()
    Path(again.path).write_bytes(b"half")
    mended, _, steps = convert(source, [spec("input", 1, 3, 16, 16)], tmp_path)
    assert steps
    assert mended.size_bytes > 1000


def test_nothing_half_made_is_found_and_two_at_once_agree(tmp_path: Path) -> None:
    source = identify(model_zoo.pickled_sequential(tmp_path))
    inputs, folder = [spec("input", 1, 3, 16, 16)], tmp_path / "converted"
    others: list[tuple[ModelSource, int]] = []

    def beside(step: str) -> None:
        """Another process converts the same while this one compares its file's outputs."""
        if step == "comparing outputs with PyTorch":
            assert not list(folder.glob("*/model.onnx")), "not in its place before it is whole"
            other = convert_to_onnx(source, inputs, folder, lambda _: None)[0]
            others.append((other, Path(other.path).stat().st_mtime_ns))

    model, _ = convert_to_onnx(source, inputs, folder, beside)
    assert others == [(model, Path(model.path).stat().st_mtime_ns)], "the first one stays"
    assert list(folder.iterdir()) == [Path(model.path).parent]


def test_what_a_killed_conversion_left_is_removed(tmp_path: Path) -> None:
    source = identify(model_zoo.pickled_sequential(tmp_path))
    left, fresh = tmp_path / "converted" / "left.part", tmp_path / "converted" / "fresh.part"
    for folder in (left, fresh):
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"half")
    os.utime(left, (1e9, 1e9))
    convert(source, [spec("input", 1, 3, 16, 16)], tmp_path)
    assert not left.exists() and fresh.exists()


class Pair(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.linear(left) - 2 * right, left * right


class UntilLarge(torch.nn.Module):
    """How often it loops is up to the values: only the older exporter takes this."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        while bool(y.sum() < 100.0):
            y = y + y.abs() + 1.0
        return y


class SingularValues(torch.nn.Module):
    """ONNX has no such operator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = torch.linalg.svd(x)[1]
        return values


def test_two_inputs_and_two_outputs_keep_their_order(tmp_path: Path) -> None:
    source = script(tmp_path, Pair())
    inputs = [spec("left", 3, 4), spec("right", 3, 4)]
    model, _, _ = convert(source, inputs, tmp_path)
    session = onnxruntime.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == ["left", "right"]
    assert_same(model, source, inputs)


def test_a_loop_falls_back_to_the_older_exporter(tmp_path: Path) -> None:
    source, inputs = script(tmp_path, UntilLarge()), [spec("x", 2, 4)]
    model, notes, steps = convert(source, inputs, tmp_path)
    assert "TorchScript exporter" in notes[0]
    assert sum(step.startswith("converting with") for step in steps) == 2
    assert_same(model, source, inputs)
    small = InputSpec(name="x", dtype="float32", shape=(2, 4), seed=3)
    assert_same(model, source, [small])


def test_what_onnx_cannot_say_is_an_error_with_each_reason(tmp_path: Path) -> None:
    source = script(tmp_path, SingularValues())
    with pytest.raises(ConversionError) as caught:
        convert(source, [spec("x", 4, 4)], tmp_path)
    assert "aten._linalg_svd" in caught.value.message
    assert "aten::linalg_svd" in caught.value.message
    assert "\x1b" not in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 5
    assert not list(tmp_path.rglob("notes.json"))


def test_inputs_that_the_model_does_not_take(tmp_path: Path) -> None:
    source = identify(model_zoo.pickled_sequential(tmp_path))
    with pytest.raises(ConversionError) as caught:
        convert(source, [spec("input", 1, 5, 16, 16)], tmp_path)
    assert "fails in PyTorch on inputs of shape [1, 5, 16, 16]" in caught.value.message
    assert "shapes" in caught.value.hint


def test_an_exported_program_holds_its_own_limits(tmp_path: Path) -> None:
    source = identify(model_zoo.exported_program(tmp_path))
    with pytest.raises(ConversionError) as caught:
        convert(source, [spec("input_1", 65, 3, 32, 32)], tmp_path)
    assert "64" in caught.value.message


def test_an_argument_that_is_no_tensor_is_told(tmp_path: Path) -> None:
    info = inspect(identify(model_zoo.silero("silero_vad.jit")))
    with pytest.raises(ConversionError, match="argument 'sr'"):
        convert(info.source, info.inputs, tmp_path)


@pytest.mark.parametrize("build", [model_zoo.hostile_archive, model_zoo.hostile_program])
def test_hostile_files_are_never_run(build: Callable[[Path, Path], Path], tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    source = identify(build(tmp_path, marker))
    with pytest.raises(UnsafeModelError):
        convert(source, [spec("input", 1, 3, 8, 8)], tmp_path)
    assert not marker.exists()
