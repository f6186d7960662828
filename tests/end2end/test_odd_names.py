"""File names with any characters, and those that are no text at all."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from profiler.errors import ModelFileError
from profiler.jobs import inspect_model, onnx_form
from profiler.model_file import identify
from profiler.plan import default_plan
from profiler.recorder import record
from profiler.session_file import read_session
from profiler.types import StoppingRule, WarmupRule
from tests import model_zoo

# Characters that mean something to shells, URLs, patterns, zip members, or format strings.
ODD = "a mödel #1 %20 {x} [y] 'z' \N{DOG FACE}"


def no_text(folder: Path) -> Path:
    """A path that Linux allows; skips where the file system does not."""
    path = folder / os.fsdecode(b"m\xff.onnx")
    try:
        shutil.copy(model_zoo.onnx_mlp(folder), path)
    except (OSError, UnicodeError):
        pytest.skip("file names are always text here")
    return path


def test_a_run_of_a_file_with_an_odd_name_in_an_odd_folder(tmp_path: Path) -> None:
    """Weights beside it included: engines write names of files next to theirs."""
    folder = tmp_path / ODD
    folder.mkdir()
    path = model_zoo.onnx_mlp(folder, external=True).rename(folder / f"{ODD}.onnx")
    info = inspect_model(path)
    assert info.source.path == str(path)
    plan = msgspec.structs.replace(
        default_plan(info),
        warmup=WarmupRule(time_limit_s=0.5),
        stopping=StoppingRule(max_rounds=10),
        turn_ns=1_000_000,
    )
    session_path = folder / f"{ODD}.dualscope"
    for _ in record(plan, session_path, cancelled=lambda: False):
        pass
    session = read_session(session_path)
    assert session.plan == plan
    assert not session.failures
    assert all(session.operators(label) for label in session.labels())


def test_a_conversion_of_a_file_with_an_odd_name(tmp_path: Path) -> None:
    path = model_zoo.exported_program(tmp_path).rename(tmp_path / f"{ODD}.pt2")
    info = inspect_model(path)
    form, _ = onnx_form(info.source, info.inputs)
    assert form.derived_from == info.source.sha256


@pytest.mark.skipif(sys.platform == "win32", reason="file names are always text there")
def test_a_name_that_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    path = no_text(tmp_path)
    for look in (identify, inspect_model):
        with pytest.raises(ModelFileError, match="not valid UTF-8") as caught:
            look(path)
        assert r"m\xff.onnx" in caught.value.message
        assert "Rename" in caught.value.hint
        str(caught.value).encode()


@pytest.mark.skipif(sys.platform == "win32", reason="file names are always text there")
def test_a_link_or_folder_that_is_no_text_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link.onnx"
    link.symlink_to(no_text(tmp_path))
    folder = tmp_path / os.fsdecode(b"f\xfe")
    folder.mkdir()
    for path in (link, model_zoo.onnx_mlp(folder), folder / "gone.onnx"):
        with pytest.raises(ModelFileError, match="not valid UTF-8") as caught:
            identify(path)
        str(caught.value).encode()
