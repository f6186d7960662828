"""PyTorch files of each kind, loaded without running code of theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from profiler.errors import ModelFileError, UnsafeModelError
from profiler.model_file import identify
from profiler.torch_files import first_line, load_pickled_module, load_torch_model
from profiler.types import ModelKind, ModelSource
from tests import model_zoo


class Custom(nn.Module):
    """A class of the file's author: only its name is in the file."""


def source(path: Path, kind: ModelKind) -> ModelSource:
    return ModelSource(path=str(path), kind=kind, sha256="", size_bytes=path.stat().st_size)


def traced(folder: Path) -> Path:
    return model_zoo.torchscript(folder, traced=True)


@pytest.mark.parametrize(
    "build",
    [
        model_zoo.torchscript,
        traced,
        model_zoo.exported_program,
        model_zoo.pickled_sequential,
    ],
)
def test_each_kind_gives_the_outputs_of_the_saved_module(
    build: Callable[[Path], Path], tmp_path: Path
) -> None:
    module = load_torch_model(identify(build(tmp_path)))
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(module(x), model_zoo.network()(x))


def test_a_training_module_is_put_into_evaluation_mode(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    torch.save(model_zoo.network().train(), path)
    module = load_torch_model(identify(path))
    assert not any(child.training for child in module.modules())


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_modules_that_keep_a_function(activation: str, tmp_path: Path) -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, activation=activation, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 1).eval()
    path = tmp_path / "encoder.pt"
    torch.save(encoder, path)
    module = load_torch_model(identify(path))
    x = torch.randn(1, 4, 16)
    with torch.inference_mode():
        torch.testing.assert_close(module(x), encoder(x))


@pytest.mark.parametrize(
    "module",
    [
        nn.LSTM(4, 4),
        nn.MultiheadAttention(8, 2),
        nn.Sequential(nn.Embedding(5, 4), nn.Dropout(), nn.LayerNorm(4), nn.GELU()),
        nn.ModuleDict({"a": nn.Conv1d(2, 2, 1), "b": nn.ParameterList([nn.Parameter()])}),
    ],
    ids=lambda module: type(module).__name__,
)
def test_other_classes_of_torch_nn(module: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "module.pt"
    torch.save(module, path)
    loaded = load_torch_model(identify(path))
    assert repr(loaded.train()) == repr(module)


def test_a_class_of_the_author_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "custom.pt"
    torch.save(nn.Sequential(Custom()), path)
    with pytest.raises(UnsafeModelError) as caught:
        load_torch_model(identify(path))
    assert "Custom" in caught.value.message
    assert caught.value.hint


def test_a_name_that_torch_nn_imports_but_does_not_define_is_refused(tmp_path: Path) -> None:
    """`torch.nn.modules.module.Tensor` is found there, and is no module class of it."""
    data = b"\x80\x02ctorch.nn.modules.module\nTensor\n."
    path = model_zoo.with_member(model_zoo.pickled_sequential(tmp_path), "data.pkl", data)
    with pytest.raises(UnsafeModelError, match=r"torch\.nn\.modules\.module\.Tensor"):
        load_torch_model(identify(path))


def test_a_class_that_is_not_there_is_refused(tmp_path: Path) -> None:
    data = b"\x80\x02ctorch.nn.modules.linear\nFromTheFuture\n."
    path = model_zoo.with_member(model_zoo.pickled_sequential(tmp_path), "data.pkl", data)
    with pytest.raises(UnsafeModelError, match="FromTheFuture"):
        load_torch_model(identify(path))


def test_a_module_that_is_not_there_is_an_error_of_the_file(tmp_path: Path) -> None:
    data = b"\x80\x02ctorch.nn.modules.future\nLayer\n."
    path = model_zoo.with_member(model_zoo.pickled_sequential(tmp_path), "data.pkl", data)
    with pytest.raises(ModelFileError) as caught:
        load_torch_model(identify(path))
    assert caught.value.hint


@pytest.mark.parametrize("kind", [ModelKind.PICKLED_MODULE, ModelKind.TORCH_EXPORT])
def test_hostile_archives_never_run(kind: ModelKind, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for build in (model_zoo.hostile_archive, model_zoo.hostile_program):
        with pytest.raises(UnsafeModelError):
            load_torch_model(source(build(tmp_path, marker), kind))
    assert not marker.exists()


@pytest.mark.parametrize("kind", list(ModelKind))
def test_a_bare_pickle_never_runs(kind: ModelKind, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = model_zoo.hostile_pickle(tmp_path, marker)
    with pytest.raises(ModelFileError):
        load_torch_model(source(path, kind))
    with pytest.raises(ModelFileError):
        load_pickled_module(path)
    assert not marker.exists()


def test_a_state_dict_is_no_module(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="not a module") as caught:
        load_torch_model(source(model_zoo.state_dict(tmp_path), ModelKind.PICKLED_MODULE))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("build", "member"),
    [
        (model_zoo.torchscript, "constants.pkl"),
        (model_zoo.pickled_sequential, "data.pkl"),
        (model_zoo.exported_program, "models/model.json"),
    ],
)
def test_damage_inside_of_an_archive(
    build: Callable[[Path], Path], member: str, tmp_path: Path
) -> None:
    path = model_zoo.with_member(build(tmp_path), member, b"\x80\x02damaged")
    with pytest.raises(ModelFileError) as caught:
        load_torch_model(identify(path))
    assert path.name in str(caught.value) or "damaged" in caught.value.message
    assert caught.value.hint


def test_gone_since_it_was_identified(tmp_path: Path) -> None:
    for build in (model_zoo.torchscript, model_zoo.pickled_sequential):
        found = identify(build(tmp_path))
        Path(found.path).unlink()
        with pytest.raises(ModelFileError) as caught:
            load_torch_model(found)
        assert caught.value.hint


def test_the_first_line_of_an_error() -> None:
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
    assert len(first_line(ValueError("x" * 1000))) == 400
