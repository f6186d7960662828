"""What a torch.export file may evaluate when it is loaded: arithmetic on sizes, nothing else."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from profiler.errors import ModelFileError, UnsafeModelError
from profiler.model_file import identify
from profiler.pickle_walk import archive_globals
from profiler.program_safety import check_layout, check_program, is_arithmetic
from profiler.torch_files import WEIGHTS_ONLY, load_program, load_torch_model
from tests import model_zoo

PROGRAM = "models/model.json"
Json = dict[str, Any]


class Branches(torch.nn.Module):
    """Its sizes need guards, divisions, remainders and a maximum."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rows = x.shape[0]
        x = x.reshape(rows // 2, -1) if rows * 2 > y.shape[0] else x
        larger = torch.nn.functional.interpolate(y[None, None], scale_factor=1.5)
        return x, larger, torch.nn.functional.pad(y, (0, max(0, 8 - rows % 8)))


def branching_program(folder: Path) -> Path:
    path = folder / "branches.pt2"
    auto = torch.export.Dim.AUTO
    program = torch.export.export(
        Branches(),
        (torch.zeros(10, 12), torch.zeros(12, 16)),
        dynamic_shapes={"x": {0: auto, 1: auto}, "y": {0: auto, 1: auto}},
    )
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_zoo.exported_program(tmp_path_factory.mktemp("honest"))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def changed(path: Path, folder: Path, change: Callable[[Json], None]) -> Path:
    """A copy of the file with its program's JSON changed."""
    target = folder / "changed.pt2"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(PROGRAM):
                program = json.loads(content)
                change(program)
                content = json.dumps(program).encode()
            archive.writestr(name, content)
    return target


def refused(path: Path, marker: Path) -> UnsafeModelError:
    """By the check, and by loading; what the file would run has not run."""
    with pytest.raises(UnsafeModelError) as caught:
        check_program(path)
    with pytest.raises(UnsafeModelError):
        load_torch_model(identify(path))
    assert not marker.exists()
    assert caught.value.hint
    return caught.value


def test_honest_programs_pass_and_load(honest: Path, tmp_path: Path) -> None:
    check_program(honest)
    path = branching_program(tmp_path)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(PROGRAM)]
        assert json.loads(archive.read(names[0]))["guards_code"]
    check_program(path)
    module = load_program(path).module()
    x, y = torch.randn(10, 12), torch.randn(12, 16)
    for actual, expected in zip(module(x, y), Branches()(x, y), strict=True):
        torch.testing.assert_close(actual, expected)


def test_a_hostile_shape_expression_is_refused(honest: Path, tmp_path: Path, marker: Path) -> None:
    code = f"__import__('os').system('echo > \"{marker}\"')"

    def put_in(program: Json) -> None:
        sizes = program["graph_module"]["graph"]["tensor_values"]["input"]["sizes"]
        sizes[0]["as_expr"]["expr_str"] = code

    error = refused(changed(honest, tmp_path, put_in), marker)
    assert "expr_str" in error.message
    assert "__import__" in error.message


def test_a_hostile_guard_is_refused(honest: Path, tmp_path: Path, marker: Path) -> None:
    code = f"__import__('os').system('echo > \"{marker}\"') == 0"
    path = changed(honest, tmp_path, lambda program: program.update(guards_code=[code]))
    assert "guards_code" in refused(path, marker).message


def test_a_name_that_would_be_written_into_code_is_refused(
    honest: Path, tmp_path: Path, marker: Path
) -> None:
    def put_in(program: Json) -> None:
        node = program["graph_module"]["graph"]["nodes"][0]
        node["inputs"][0]["name"] = f"a=__import__('os').system('echo > \"{marker}\"'), b"

    assert "name" in refused(changed(honest, tmp_path, put_in), marker).message


def test_an_enum_that_names_a_module_to_import_is_refused(
    honest: Path, tmp_path: Path, marker: Path
) -> None:
    def put_in(program: Json) -> None:
        signature = program["graph_module"]["module_call_graph"][0]["signature"]
        signature["in_spec"] = json.dumps([1, {"context": '{"__enum__": true}'}])

    refused(changed(honest, tmp_path, put_in), marker)


def test_a_second_program_that_differs_in_case_is_read(
    honest: Path, tmp_path: Path, marker: Path
) -> None:
    path = Path(shutil.copy(honest, tmp_path / "two.pt2"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("program/Models/other", json.dumps({"guards_code": ["exec('x')"]}))
    refused(path, marker)


def test_a_constant_that_torch_would_unpickle_is_refused(
    honest: Path, tmp_path: Path, marker: Path
) -> None:
    path = Path(shutil.copy(honest, tmp_path / "opaque.pt2"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("program/data/constants/opaque_obj_0", b"cos\nsystem\n.")
    assert "constant" in refused(path, marker).message


def test_native_code_beside_a_program_is_refused(honest: Path) -> None:
    """torch.export.load would load it, too."""
    path = model_zoo.with_member(honest, "data/aotinductor/model/a.wrapper.so", b"no code")
    with pytest.raises(UnsafeModelError, match="native code"):
        load_program(path)


def test_a_damaged_program_is_an_error_of_the_file(tmp_path: Path) -> None:
    for content in (b"{", b"\xff\xfe", b"[" * 100_000):
        path = tmp_path / "damaged.pt2"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("program/archive_format", "pt2")
            archive.writestr(f"program/{PROGRAM}", content)
        with pytest.raises(ModelFileError) as caught:
            check_program(path)
        assert not isinstance(caught.value, UnsafeModelError)
        assert caught.value.hint


def test_pickles_are_limited_while_a_program_loads_only(
    honest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(WEIGHTS_ONLY, raising=False)
    load_program(honest)
    assert WEIGHTS_ONLY not in os.environ
    monkeypatch.setenv(WEIGHTS_ONLY, "0")
    load_program(honest)
    assert os.environ[WEIGHTS_ONLY] == "0"


# --- expressions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "s0",
        "2*s0 + 1",
        "Symbol('s31', positive=True, integer=True)",
        "Max(Integer(1), TruncToInt(Mul(Float('1.5', precision=53), ToFloat(Symbol('s94')))))",
        "FloorDiv(Symbol('s77', positive=True), Integer(-2))",
        "Piecewise((s0, s0 > 2), (2, True))",
        "2*L['x'].size()[0] > L['y'].size()[0]",
        "L['kwargs']['attention_mask'].stride()[-1] % 8 == 0 and not L['n'] <= 3",
        "L['x'].size()[0] + max(0, 8 + (-1)*(L['x'].size()[0] % 8)) >= 2",
        "math.trunc(1.5*L['x'].size()[0]) != torch.sym_max(1, 2)",
    ],
)
def test_arithmetic(text: str) -> None:
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exec('1')",
        "eval(s0)",
        "open('x')",
        "__import__('os')",
        "().__class__",
        "s0.__class__()",
        "Symbol.__init__.__globals__['os']",
        "Integer('exec(1)')",
        "Add('a b')",
        "(lambda: 1)()",
        "[s for s in s0]",
        "L['x']()",
        "(exec)(s0)",
        "{s0}",
        "f'{s0}'",
        "1 # {exec}",
        "(1,\n2)",
        "s0; s1",
        "(s0 := 2)",
        "torch.load('x')",
        "math.os.size()",
        "torch.hub.size()",
        "s" * 10 + "(",
        "(" * 300 + "1" + ")" * 300,
    ],
)
def test_what_is_more_than_arithmetic(text: str) -> None:
    assert not is_arithmetic(text)


# --- the archive's layout -----------------------------------------------------------------------


def test_archives_of_both_writers_have_a_plain_layout(honest: Path, tmp_path: Path) -> None:
    check_layout(honest)
    check_layout(changed(honest, tmp_path, lambda _: None))


def test_a_second_list_of_members_for_another_reader_is_refused(
    honest: Path, tmp_path: Path
) -> None:
    """Python skips what lies before the last list; a reader that trusts the offset does not."""
    good = changed(honest, tmp_path, lambda _: None).read_bytes()
    path = tmp_path / "two.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"cos\nsystem\n.")
    hidden = path.read_bytes()
    # A harmless archive after the hostile one, with offsets that count from its own start.
    path.write_bytes(hidden + good)
    assert archive_globals(path) == archive_globals(honest)
    with pytest.raises(ModelFileError, match="two ways"):
        check_layout(path)
    with pytest.raises(ModelFileError, match="two ways"):
        check_program(path)


def test_a_comment_that_hides_a_list_is_refused(honest: Path, tmp_path: Path) -> None:
    path = changed(honest, tmp_path, lambda _: None)
    content = path.read_bytes()
    path.write_bytes(content[:-2] + struct.pack("<H", 4) + b"text")
    with pytest.raises(ModelFileError, match="two ways"):
        check_layout(path)


@pytest.mark.parametrize("size", [0, 10, 22, 60, 98])
def test_short_files_have_no_layout(size: int, tmp_path: Path) -> None:
    path = tmp_path / "short.pt2"
    path.write_bytes((b"PK\x06\x07" * 40)[:size])
    with pytest.raises(ModelFileError):
        check_layout(path)
