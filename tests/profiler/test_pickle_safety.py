"""Which globals a pickle names, read without unpickling; hostile pickles in every disguise."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from profiler import pickle_walk
from profiler.errors import ModelFileError, UnsafeModelError
from profiler.pickle_safety import (
    check_globals,
    holds_only_data,
    is_dangerous,
    is_torch_nn,
    module_parts,
)
from profiler.pickle_walk import UNKNOWN, archive_globals, file_globals, outline, pickle_globals
from profiler.types import ModelKind
from tests import model_zoo
from tests.model_zoo import Hostile

SYSTEM = (os.system.__module__, "system")


def archive(path: Path, **members: bytes) -> Path:
    """A torch archive whose members' dots are written as `__`."""
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(f"model/{name.replace('__', '.')}", content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_is_found_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    data = pickle.dumps([OrderedDict(a=1), Hostile(tmp_path / "ran")], protocol)
    found = pickle_globals(data)
    assert SYSTEM in found
    assert ("collections", "OrderedDict") in found


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_names_no_unknown_global(protocol: int) -> None:
    """Repeated names come from the memo, which has to be followed exactly."""
    value = [OrderedDict(a="OrderedDict"), OrderedDict(b="collections"), {"c": OrderedDict()}]
    assert pickle_globals(pickle.dumps(value, protocol)) == {("collections", "OrderedDict")}


def test_popped_names_do_not_hide_the_real_ones() -> None:
    data = b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x0bcollections\x8c\x0bOrderedDict00\x93."
    assert pickle.loads(data) is os.system
    assert pickle_globals(data) == {UNKNOWN}


def test_a_memo_that_holds_no_text_does_not_shift_the_rest() -> None:
    # An empty list is memo 0, "os" 1, "system" 2; then two names that are thrown away.
    names = b"\x8c\x02os\x94\x8c\x06system\x94\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94"
    data = b"\x80\x04]\x94" + names + b"h\x01h\x02\x93."
    assert pickle.loads(data) is os.system
    assert pickle_globals(data) == {("os", "system")}


def test_a_name_from_an_unknown_place_is_unknown() -> None:
    assert pickle_globals(b"\x80\x04\x8c\x02os\x85\x8c\x06system\x93.") == {UNKNOWN}
    assert pickle_globals(b"\x80\x02\x82\x01.") == {UNKNOWN}


def test_the_older_way_to_make_an_instance() -> None:
    assert ("os", "system") in pickle_globals(b"(S'true'\nios\nsystem\n.")


def test_a_damaged_pickle_is_an_error() -> None:
    with pytest.raises(ModelFileError) as caught:
        pickle_globals(pickle.dumps({"a": 1})[:-3])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        (("torch.nn.modules.linear", "Linear"), True),
        (("torch.nn.modules.module", "os.system"), False),
        (("torch.nn.modules.module", "__builtins__"), False),
        (("torch.nn.modulesx", "Linear"), False),
        (("torch.hub", "load"), False),
    ],
)
def test_names_of_module_parts(name: tuple[str, str], allowed: bool) -> None:
    assert is_torch_nn(name) is allowed


def test_a_pickled_module_passes_and_is_told_from_weights(tmp_path: Path) -> None:
    module, weights = model_zoo.pickled_sequential(tmp_path), model_zoo.state_dict(tmp_path)
    check_globals(module, ModelKind.PICKLED_MODULE)
    assert not holds_only_data(module)
    assert holds_only_data(weights)
    classes = {name for _, name in module_parts(module)}
    assert {"Sequential", "Conv2d", "BatchNorm2d", "Linear"} <= classes
    assert module_parts(weights) == set()


def test_weights_of_every_dtype_are_data(tmp_path: Path) -> None:
    dtypes = [torch.float16, torch.bfloat16, torch.int8, torch.bool, torch.complex64]
    dtypes += [torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint64]
    path = tmp_path / "weights.pt"
    torch.save({str(dtype): torch.ones(2).to(dtype) for dtype in dtypes}, path)
    assert holds_only_data(path)


def test_an_archive_that_would_run_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = model_zoo.hostile_archive(tmp_path, marker)
    assert not holds_only_data(path)
    with pytest.raises(UnsafeModelError) as caught:
        check_globals(path, ModelKind.PICKLED_MODULE)
    assert ".".join(SYSTEM) in caught.value.message
    assert "trust its author" in caught.value.hint
    assert caught.value.exit_code == 4
    assert not marker.exists()


def test_a_program_with_a_hostile_nested_archive_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(UnsafeModelError) as caught:
        check_globals(model_zoo.hostile_program(tmp_path, marker), ModelKind.TORCH_EXPORT)
    assert ".".join(SYSTEM) in caught.value.message
    assert not marker.exists()


def test_an_honest_program_passes(tmp_path: Path) -> None:
    check_globals(model_zoo.exported_program(tmp_path), ModelKind.TORCH_EXPORT)


def test_classes_of_torch_nn_do_not_pass_in_a_program(tmp_path: Path) -> None:
    with pytest.raises(UnsafeModelError):
        check_globals(model_zoo.pickled_sequential(tmp_path), ModelKind.TORCH_EXPORT)


@pytest.mark.parametrize("name", ["data__pkl", "extra__pickle", "weights__bin"])
def test_a_pickle_under_any_name_is_found(name: str, tmp_path: Path) -> None:
    hostile = pickle.dumps(Hostile(tmp_path / "ran"))
    path = archive(tmp_path / "m.pt", **{"data__pkl": pickle.dumps({}), name: hostile})
    assert SYSTEM in archive_globals(path)


def test_an_archive_in_an_archive_is_read(tmp_path: Path) -> None:
    content = pickle.dumps(Hostile(tmp_path / "ran"))
    for depth in range(3):
        inner = archive(tmp_path / f"{depth}.pt", data__pkl=content)
        assert SYSTEM in archive_globals(inner)
        outer = archive(tmp_path / f"outer{depth}.pt", nested=inner.read_bytes())
        assert SYSTEM in archive_globals(outer)


def test_an_older_pickle_in_an_archive_is_refused(tmp_path: Path) -> None:
    """It is several pickles in a row, which torch.load reads one after the other."""
    older = io.BytesIO()
    torch.save({}, older, _use_new_zipfile_serialization=False)
    protocol_0 = pickle.dumps(Hostile(tmp_path / "ran"), 0)
    for content in (older.getvalue(), protocol_0):
        with pytest.raises(ModelFileError, match=r"no torch\.save archive"):
            archive_globals(archive(tmp_path / "m.pt2", sample__PT=content))


def test_a_second_pickle_behind_the_first_is_read(tmp_path: Path) -> None:
    harmless, hostile = pickle.dumps(1), pickle.dumps(Hostile(tmp_path / "ran"))
    assert SYSTEM in pickle_globals(harmless + harmless + hostile)
    # It would run before its end, which is missing, is missed.
    assert SYSTEM in pickle_globals(harmless + hostile[:-1] + b"\xff")
    assert pickle_globals(harmless + bytes(100)) == set()


def test_large_nested_archives_are_read_and_deep_ones_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = archive(tmp_path / "hostile.pt", data__pkl=pickle.dumps(Hostile(tmp_path / "ran")))
    padded = archive(tmp_path / "n.pt", a__pt=hostile.read_bytes(), weights=bytes(1 << 20))
    outer = archive(tmp_path / "o.pt2", weights__pt=padded.read_bytes())
    monkeypatch.setattr(pickle_walk, "MAX_PICKLE_BYTES", 1 << 16)
    assert SYSTEM in archive_globals(outer)
    deep = hostile
    for depth in range(pickle_walk.MAX_NESTING + 1):
        deep = archive(tmp_path / f"deep{depth}.pt", nested=deep.read_bytes())
    with pytest.raises(ModelFileError, match="archive in an archive"):
        archive_globals(deep)


def test_raw_weights_that_begin_like_a_pickle_are_no_pickle(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.pt2", weight_0=b"\x80\x02" + bytes(range(256)))
    assert archive_globals(path) == set()


def test_many_names_are_cut(tmp_path: Path) -> None:
    data = b"\x80\x02" + b"".join(b"cmod%d\nname\n0" % i for i in range(12)) + b"N."
    path = archive(tmp_path / "m.pt", data__pkl=data)
    with pytest.raises(UnsafeModelError, match="and 4 more"):
        check_globals(path, ModelKind.PICKLED_MODULE)


def test_a_compressed_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
        target.open("model/data.pkl", "w") as member,
    ):
        member.write(b"\x80\x02")
        for _ in range(257):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelFileError, match="unpacks to 257 MiB"):
        archive_globals(path)


def test_a_flipped_byte_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = model_zoo.pickled_sequential(tmp_path)
    content = bytearray(path.read_bytes())
    content[content.index(b"torch.nn")] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        archive_globals(path)
    assert caught.value.hint


def test_kinds_without_pickles_that_count_are_not_read(tmp_path: Path) -> None:
    for kind in (ModelKind.ONNX, ModelKind.SAFETENSORS, ModelKind.AOT_INDUCTOR):
        check_globals(tmp_path / "missing", kind)


def test_of_torchscript_only_dangerous_names_count(tmp_path: Path) -> None:
    path = model_zoo.torchscript(tmp_path)
    check_globals(path, ModelKind.TORCHSCRIPT)
    hostile = pickle.dumps(Hostile(tmp_path / "ran"))
    with pytest.raises(UnsafeModelError, match="system"):
        check_globals(
            model_zoo.with_member(path, "extra/notes.pkl", hostile), ModelKind.TORCHSCRIPT
        )


@pytest.mark.parametrize(
    "name",
    [
        *(SYSTEM, ("subprocess", "Popen"), ("builtins", "exec"), ("__builtin__", "eval"), UNKNOWN),
        *(("builtins", "getattr"), ("torch.hub", "load"), ("torch", "load"), ("runpy", "run_path")),
        ("torch.nn.modules.module", "os.system"),
    ],
)
def test_names_known_to_do_harm(name: tuple[str, str]) -> None:
    assert is_dangerous(name)


@pytest.mark.parametrize(
    "name",
    [
        *(("collections", "OrderedDict"), ("builtins", "set"), ("argparse", "Namespace")),
        *(("pathlib", "PosixPath"), ("models.yolo", "Detect"), ("io", "BytesIO")),
        ("torch.nn.modules.linear", "Linear"),
    ],
)
def test_names_that_are_not_known_to_do_harm(name: tuple[str, str]) -> None:
    assert not is_dangerous(name)


def test_an_older_file_is_walked_pickle_by_pickle(tmp_path: Path) -> None:
    path = tmp_path / "older.pt"
    torch.save(
        {"w": torch.zeros(3), "x": Hostile(tmp_path / "ran")},
        path,
        _use_new_zipfile_serialization=False,
    )
    assert SYSTEM in file_globals(path)
    assert outline(path).is_mapping
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ModelFileError, match="damaged"):
        file_globals(path)


def test_a_pickle_of_too_many_opcodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_walk, "MAX_OPCODES", 100)
    with pytest.raises(ModelFileError, match="more opcodes"):
        pickle_globals(b"\x80\x02" + b"N0" * 200 + b"N.")
