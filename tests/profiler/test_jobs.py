"""Inspection and conversion in child processes: progress, errors, cancelling, and no orphans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from profiler import cli, jobs
from profiler.errors import CancelledError, ConversionError, ModelFileError
from profiler.inputs import apply_overrides
from profiler.model_file import identify
from profiler.types import InputSpec, ModelKind
from tests import model_zoo

INPUT = InputSpec(name="input", dtype="float32", shape=(1, 3, 16, 16))


def children() -> list[psutil.Process]:
    """Child processes but for the helper that `multiprocessing` keeps."""
    found = psutil.Process().children()
    return [child for child in found if "resource_tracker" not in " ".join(child.cmdline())]


@pytest.fixture(autouse=True)
def no_orphans() -> Iterator[None]:
    before = {child.pid for child in children()}
    yield
    assert {child.pid for child in children()} <= before


def test_an_onnx_file_is_inspected(tmp_path: Path) -> None:
    info = jobs.inspect_model(model_zoo.onnx_mlp(tmp_path))
    assert [spec.name for spec in info.inputs] == ["x"]
    assert info.source.kind is ModelKind.ONNX


def test_the_other_form_with_progress_and_from_the_cache(tmp_path: Path) -> None:
    info = jobs.inspect_model(model_zoo.pickled_sequential(tmp_path))
    inputs = apply_overrides(info.inputs, ["input=[1,3,16,16]"])
    steps: list[str] = []
    model, notes = jobs.onnx_form(info.source, inputs, on_progress=steps.append)
    assert steps[0] == "loading the PyTorch model"
    assert len(steps) >= 3
    assert model.derived_from == info.source.sha256
    assert Path(model.path).is_relative_to(tmp_path / "cache" / "converted")
    assert any("within tolerance" in note for note in notes)
    again: list[str] = []
    assert jobs.onnx_form(info.source, inputs, on_progress=again.append) == (model, notes)
    assert again == []
    # What it took once is kept with the file, and told each time.
    found = jobs.conversion(info.source, inputs)
    assert found.duration_ns == jobs.conversion(info.source, inputs).duration_ns > 0


def test_an_error_of_the_child_keeps_its_class_and_hint(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path, external=True)
    (tmp_path / "external.data").unlink()
    with pytest.raises(ModelFileError) as caught:
        jobs.inspect_model(path)
    assert "external.data" in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_what_is_no_model_starts_no_child(tmp_path: Path) -> None:
    def cancelled() -> bool:
        raise AssertionError("a child was waited for")

    path = tmp_path / "notes.txt"
    path.write_text("no model")
    with pytest.raises(ModelFileError, match="text file"):
        jobs.inspect_model(path, cancelled=cancelled)


def test_a_file_that_changes_while_it_is_opened(tmp_path: Path) -> None:
    path = model_zoo.pickled_sequential(tmp_path)
    source = identify(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ModelFileError) as caught:
        jobs.onnx_form(source, [INPUT])
    assert caught.value.hint
    path.unlink()
    with pytest.raises(ModelFileError) as caught:
        jobs.onnx_form(source, [INPUT])
    assert caught.value.hint


def test_inputs_that_the_model_does_not_take(tmp_path: Path) -> None:
    source = identify(model_zoo.pickled_sequential(tmp_path))
    wrong = InputSpec(name="input", dtype="float32", shape=(1, 5, 16, 16))
    with pytest.raises(ConversionError) as caught:
        jobs.onnx_form(source, [wrong])
    assert caught.value.hint
    assert caught.value.exit_code == 5


def test_a_bare_hostile_pickle_goes_no_further_than_its_first_bytes(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(ModelFileError) as caught:
        jobs.inspect_model(model_zoo.hostile_pickle(tmp_path, marker))
    assert "pickle" in caught.value.message
    assert caught.value.hint
    assert not marker.exists()


def test_cancelling_ends_the_child(tmp_path: Path) -> None:
    before = {child.pid for child in children()}
    seen: list[int] = []

    def cancelled() -> bool:
        seen.extend(child.pid for child in children() if child.pid not in before)
        return bool(seen)

    with pytest.raises(CancelledError) as caught:
        jobs.inspect_model(model_zoo.silero("silero_vad.jit"), cancelled=cancelled)
    assert caught.value.exit_code == 130
    assert seen
    assert not any(psutil.pid_exists(pid) for pid in seen)
    assert not list(tmp_path.rglob("*.onnx"))


@pytest.mark.parametrize("kind", [ModelFileError, ConversionError])
def test_a_child_that_dies_is_an_error_with_a_reason(
    kind: type[ModelFileError] | type[ConversionError], tmp_path: Path
) -> None:
    """As where the system has no memory left for it."""
    before = {child.pid for child in children()}

    def kill() -> bool:
        for child in children():
            if child.pid not in before:
                child.kill()
        return False

    path = model_zoo.pickled_sequential(tmp_path)
    with pytest.raises(kind) as caught:
        if kind is ModelFileError:
            jobs.inspect_model(path, cancelled=kill)
        else:
            jobs.onnx_form(identify(path), [INPUT], cancelled=kill)
    assert re.search("died with SIGKILL|ended with exit code", caught.value.message)
    assert caught.value.hint


def test_a_child_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CONVERT_TIMEOUT_S", 0.0)
    monkeypatch.setattr(jobs, "REAP_S", 0.2)
    with pytest.raises(ConversionError) as caught:
        jobs.onnx_form(identify(model_zoo.pickled_sequential(tmp_path)), [INPUT])
    assert "too long" in caught.value.message
    assert caught.value.hint


def test_a_look_that_takes_too_long_has_its_own_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs, "INSPECT_TIMEOUT_S", 0.0)
    monkeypatch.setattr(jobs, "REAP_S", 0.2)
    assert cli.run(["info", str(model_zoo.pickled_sequential(tmp_path))]) == 5
    assert "too long" in capsys.readouterr().err
    assert "5  looking at the model took too long" in cli.EPILOG


def test_the_cache_has_a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALSCOPE_CACHE", str(tmp_path / "elsewhere"))
    folder = jobs.cache_dir()
    assert folder == tmp_path / "elsewhere" / "converted"
    assert folder.is_dir()
