"""Files of every kind told apart by their bytes; each that is no model says what it is."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch

from profiler import consent
from profiler.errors import CancelledError, ModelFileError
from profiler.jobs import inspect_model
from profiler.lanes import lane_spec
from profiler.model_file import CHUNK_BYTES, file_hash, identify, suffix_note
from profiler.types import EngineKind, ModelKind, RunPlan
from tests import model_zoo
from tests.profiler.onnx_torch import models


def test_hashing_is_given_up_between_chunks(tmp_path: Path) -> None:
    path, asked = model_zoo.onnx_mlp(tmp_path), iter([False, False, True])
    path.write_bytes(path.read_bytes().ljust(4 * CHUNK_BYTES, b"\0"))
    assert file_hash(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(CancelledError):
        file_hash(path, cancelled=lambda: next(asked))
    source = msgspec.structs.replace(identify(model_zoo.onnx_mlp(tmp_path)), sha256="")
    plan = RunPlan(model=source, inputs=(), engines=(), baseline="")
    chosen = {"model": source.path}
    for work in (
        lambda stop: identify(Path(source.path), stop),
        lambda stop: lane_spec("own", EngineKind.ORT, chosen, stop),
        lambda stop: inspect_model(Path(source.path), cancelled=stop),
        lambda stop: consent.renewed(plan, trust=False, cancelled=stop),
    ):
        with pytest.raises(CancelledError):
            work(lambda: True)


def refusal(path: Path) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        identify(path)
    assert caught.value.exit_code == 3
    return caught.value


def test_an_onnx_file(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path)
    source = identify(path)
    assert (source.kind, source.opset, source.producer) == (ModelKind.ONNX, 18, "zoo")
    assert source.path == str(path)
    assert source.size_bytes == path.stat().st_size
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert source.derived_from is None


def test_an_onnx_file_with_external_data(tmp_path: Path) -> None:
    source = identify(model_zoo.onnx_mlp(tmp_path, external=True))
    assert (source.kind, source.opset) == (ModelKind.ONNX, 18)


def test_opset_of_the_standard_domain_is_told_among_others(tmp_path: Path) -> None:
    model = onnx.load(str(model_zoo.onnx_mlp(tmp_path)))
    model.opset_import.insert(0, onnx.helper.make_opsetid("com.microsoft", 1))
    model.producer_version = "7.1"
    path = tmp_path / "two.onnx"
    onnx.save(model, str(path))
    source = identify(path)
    assert (source.opset, source.producer) == (18, "zoo 7.1")


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    odd = tmp_path / "no suffix, ünïcode"
    shutil.copy(model_zoo.onnx_mlp(tmp_path), odd)
    assert identify(odd).kind is ModelKind.ONNX


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("silero_vad.jit", ModelKind.TORCHSCRIPT),
        ("silero_vad.onnx", ModelKind.ONNX),
        ("silero_vad_half.onnx", ModelKind.ONNX),
    ],
)
def test_silero(name: str, kind: ModelKind) -> None:
    assert identify(model_zoo.silero(name)).kind is kind


@pytest.mark.parametrize("traced", [False, True])
def test_torchscript(tmp_path: Path, traced: bool) -> None:
    source = identify(model_zoo.torchscript(tmp_path, traced=traced))
    assert source.kind is ModelKind.TORCHSCRIPT


def test_an_exported_program(tmp_path: Path) -> None:
    assert identify(model_zoo.exported_program(tmp_path)).kind is ModelKind.TORCH_EXPORT


def test_a_pickled_module(tmp_path: Path) -> None:
    assert identify(model_zoo.pickled_sequential(tmp_path)).kind is ModelKind.PICKLED_MODULE


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (model_zoo.mobile, ModelKind.TORCHSCRIPT),
        (model_zoo.aot_package_stand_in, ModelKind.AOT_INDUCTOR),
        (model_zoo.state_dict, ModelKind.STATE_DICT),
        (model_zoo.older_pickle, ModelKind.STATE_DICT),
        (model_zoo.older_module, ModelKind.PICKLED_MODULE),
        (model_zoo.checkpoint, ModelKind.CHECKPOINT),
        (model_zoo.lightning_checkpoint, ModelKind.CHECKPOINT),
        (model_zoo.trainer_pickle, ModelKind.PICKLED_MODULE),
        (model_zoo.safetensors_file, ModelKind.SAFETENSORS),
        (model_zoo.sharded, ModelKind.SAFETENSORS),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".onnx", ".pt2", ".zip"])
def test_kinds_are_told_by_content_and_not_by_name(
    build: Callable[[Path], Path], kind: ModelKind, suffix: str, tmp_path: Path
) -> None:
    path = build(tmp_path)
    if suffix and path.suffix != ".json":
        path = path.rename(path.with_suffix(suffix))
    assert identify(path).kind is kind


def test_a_wrong_suffix_is_noted(tmp_path: Path) -> None:
    path = model_zoo.torchscript(tmp_path)
    assert suffix_note(identify(path)) == ""
    note = suffix_note(identify(path.rename(tmp_path / "model.onnx")))
    assert ".onnx" in note and "torchscript" in note
    assert suffix_note(identify(model_zoo.onnx_mlp(tmp_path))) == ""


def test_external_weights_count_by_name_size_and_time(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path, external=True)
    before = identify(path)
    data = tmp_path / "external.data"
    assert before.size_bytes == path.stat().st_size + data.stat().st_size
    assert identify(path).sha256 == before.sha256
    os.utime(data, (1, 1))
    assert identify(path).sha256 != before.sha256


def test_a_renamed_archive_keeps_its_kind(tmp_path: Path) -> None:
    renamed = model_zoo.pickled_sequential(tmp_path).rename(tmp_path / "renamed.bin")
    assert identify(renamed).kind is ModelKind.PICKLED_MODULE


def test_a_link_is_followed(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path)
    link = tmp_path / "link.onnx"
    link.symlink_to(path)
    assert identify(link).path == str(path)


# --- what is no model -------------------------------------------------------------------------


def test_a_bare_pickle_is_told_with_what_it_names(tmp_path: Path) -> None:
    error = refusal(model_zoo.hostile_pickle(tmp_path, tmp_path / "ran"))
    assert "torch.save did not write" in error.message
    assert "system" in error.message
    assert error.hint


def test_a_tensor_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "tensor.pt"
    torch.save(torch.zeros(3), path)
    assert "neither a module nor a state dict" in refusal(path).message


def test_one_of_several_files_points_to_the_index(tmp_path: Path) -> None:
    index = model_zoo.sharded(tmp_path)
    error = refusal(tmp_path / "model-00001-of-00002.safetensors")
    assert index.name in error.hint


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "missing.safetensors", "a.bin"])
def test_an_index_that_names_other_files(name: str, tmp_path: Path) -> None:
    index = model_zoo.sharded(tmp_path)
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"w": name}}))
    error = refusal(index)
    assert name in error.message
    assert error.hint


@pytest.mark.parametrize(
    "header",
    [
        b"{" + b" " * 100,
        b'{"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 1000000]}}',
        b'{"w": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}',
        b'{"w": {"dtype": "F32", "shape": [4000000000], "data_offsets": [0, 16]}}',
        b'{"w": {"dtype": "OBJECT", "shape": [4], "data_offsets": [0, 16]}}',
        b'{"w": [1, 2]}',
        b'{"w": {}}',
        b"{" * 50_000,
    ],
)
def test_a_hostile_safetensors_header(header: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "m.safetensors", struct.pack("<Q", len(header)) + header + bytes(16))
    error = refusal(path)
    assert "damaged safetensors" in error.message
    assert error.hint


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:/evil"])
def test_members_outside_of_the_archive(name: str, tmp_path: Path) -> None:
    path = model_zoo.pickled_sequential(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    error = refusal(path)
    assert "outside of its archive" in error.message
    assert error.hint


def test_a_member_that_unpacks_to_a_flood(tmp_path: Path) -> None:
    path = model_zoo.torchscript(tmp_path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scripted/extra/bomb", bytes(65 << 20))
    error = refusal(path)
    assert "unpacks to 65 MiB" in error.message
    assert error.hint


def test_a_pickle_called_onnx(tmp_path: Path) -> None:
    path = model_zoo.hostile_pickle(tmp_path, tmp_path / "ran").rename(tmp_path / "model.onnx")
    assert "is a pickle" in refusal(path).message
    assert not (tmp_path / "ran").exists()


def test_gone(tmp_path: Path) -> None:
    path = model_zoo.onnx_mlp(tmp_path)
    path.unlink()
    error = refusal(path)
    assert "does not exist" in error.message
    assert error.hint


def test_a_broken_link(tmp_path: Path) -> None:
    link = tmp_path / "link.onnx"
    link.symlink_to(tmp_path / "nowhere.onnx")
    assert "does not exist" in refusal(link).message


def test_a_directory(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert "is a directory" in error.message
    assert error.hint


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.touch()
    error = refusal(path)
    assert "is empty" in error.message
    assert error.hint


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in this system's folders")
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "pipe.onnx"
    os.mkfifo(path)
    assert "not a regular file" in refusal(path).message


@pytest.mark.skipif(
    not hasattr(os, "geteuid"), reason="permission bits mean something else on this system"
)
def test_no_permission(tmp_path: Path) -> None:
    """As another user where the tests run as root, whom permission bits don't stop."""
    path = model_zoo.onnx_mlp(tmp_path)
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IXGRP | stat.S_IXUSR)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        error = refusal(path)
    finally:
        if root:
            os.seteuid(0)
        path.chmod(0o600)
    assert "permission" in error.message
    assert error.hint


@pytest.mark.parametrize("share", [0.9, 0.5, 0.2])
def test_truncated_archives(tmp_path: Path, share: float) -> None:
    for build in (model_zoo.torchscript, model_zoo.pickled_sequential):
        error = refusal(model_zoo.truncated(build(tmp_path), share))
        assert "truncated" in error.message
        assert error.hint


@pytest.mark.parametrize("share", [0.99, 0.5, 0.2])
def test_a_truncated_onnx_file(tmp_path: Path, share: float) -> None:
    error = refusal(model_zoo.truncated(model_zoo.onnx_mlp(tmp_path), share))
    assert "truncated ONNX" in error.message
    assert error.hint


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"hello, this is no model\n", "text file"),
        ("ein Text mit Umlauten: äöü\n".encode() * 100, "text file"),
        (b'{"model": 1}', "text file"),
        (b"<!doctype html><html></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "image"),
        (b"%PDF-1.7\n", "PDF"),
        (b"GGUF\x03\x00\x00\x00" + bytes(50), "GGUF"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(50), "TensorFlow Lite"),
        (b"\x30\x00\x00\x00ORTM" + bytes(50), ".ort"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
        (gzip.compress(b"model", mtime=0), "gzip"),
        (bytes(4096), "not a model"),
        (bytes(range(256)) * 20, "not a model"),
        (b"\xff" * 1000, "not a model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    error = refusal(write(tmp_path / "model.onnx", content))
    assert what in error.message
    assert error.hint


def test_random_bytes_are_never_a_model(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    for index in range(200):
        content = random.bytes(int(random.integers(1, 600)))
        assert refusal(write(tmp_path / f"{index}.onnx", content)).message


def test_a_tar_archive(tmp_path: Path) -> None:
    path = tmp_path / "model.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(model_zoo.onnx_mlp(tmp_path), "model.onnx")
    assert "tar archive" in refusal(path).message


@pytest.mark.parametrize(
    ("members", "what"),
    [
        (["word/document.xml"], "no PyTorch model"),
        (["model/data.pkl", "model/bytecode.pkl"], "PyTorch Mobile"),
        (["models/a.onnx", "models/readme"], "no PyTorch model"),
    ],
)
def test_other_zip_archives(tmp_path: Path, members: list[str], what: str) -> None:
    path = tmp_path / "archive.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in members:
            archive.writestr(name, b"content")
    error = refusal(path)
    assert what in error.message
    assert error.hint


def test_small_models_of_both_exporters(tmp_path: Path) -> None:
    older = identify(models.write(models.resnet(), tmp_path, "older.onnx"))
    newer = identify(models.write(models.demo(), tmp_path, "newer.onnx"))
    assert (older.opset, older.producer.split()[0]) == (17, "pytorch")
    assert newer.opset is not None
    assert newer.producer.startswith("pytorch")
