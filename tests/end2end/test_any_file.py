"""From the command line: files that need a factory or consent, measured and taken back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import model_zoo

ROOT = Path(__file__).parents[2]
MAIN = [sys.executable, str(ROOT / "main.py")]
Done = subprocess.CompletedProcess[str]

LAYER = """
import torch


class Doubled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) * 2
"""


def dualscope(*arguments: str | Path, cwd: Path) -> Done:
    return subprocess.run(
        [*MAIN, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=cwd,
        env=dict(os.environ),
        timeout=180,
        check=False,
    )


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A pickled module whose class lies beside it, in a file that only a child imports."""
    (tmp_path / "doubled_layer.py").write_text(LAYER)
    save = "import torch, doubled_layer; torch.save(doubled_layer.Doubled().eval(), 'foreign.pt')"
    subprocess.run([sys.executable, "-c", save], cwd=tmp_path, check=True)
    return tmp_path / "foreign.pt"


def test_a_foreign_module_is_refused_then_trusted_then_forgotten(
    foreign: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    refused = dualscope("info", foreign, cwd=elsewhere)
    assert refused.returncode == 4
    assert "doubled_layer.Doubled" in refused.stderr and "--trust" in refused.stderr
    once = dualscope("info", foreign, "--trust", cwd=elsewhere)
    assert once.returncode == 0, once.stderr
    assert "Linear" in once.stdout
    assert dualscope("info", foreign, cwd=elsewhere).returncode == 4, "it was for that run only"
    added = dualscope("trust", "--add", foreign, cwd=elsewhere)
    assert added.returncode == 0 and "doubled_layer.Doubled" in added.stdout
    assert dualscope("info", foreign, cwd=elsewhere).returncode == 0
    listed = dualscope("trust", "--list", cwd=elsewhere).stdout
    assert str(foreign) in listed
    removed = dualscope("trust", "--remove", listed.split()[0], cwd=elsewhere)
    assert removed.returncode == 0
    assert dualscope("info", foreign, cwd=elsewhere).returncode == 4
    assert dualscope("trust", "--remove", "0123", cwd=elsewhere).returncode == 2


def test_a_class_that_is_nowhere_is_told(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "doubled_layer.py").unlink()
    done = dualscope("info", foreign, "--trust", cwd=tmp_path)
    assert done.returncode == 3
    assert "doubled_layer" in done.stderr and "beside" in done.stderr


def test_a_foreign_module_is_measured_on_both_engines(foreign: Path, tmp_path: Path) -> None:
    options = ("--trust", "--time-limit=2s", "--json=-", "-o=a.dualscope")
    done = dualscope("profile", foreign, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lanes = json.loads(done.stdout)["lanes"]
    assert [lane["failure"] for lane in lanes] == [None, None]
    # The session is a file like any other: it can't bring consent.
    again = dualscope("profile", "--repeat", "a.dualscope", "-o=b.dualscope", cwd=tmp_path)
    assert again.returncode == 4, again.stderr


def test_a_state_dict_is_measured_with_its_factory(tmp_path: Path) -> None:
    weights, factory = model_zoo.state_dict(tmp_path), model_zoo.factory_file(tmp_path)
    alone = dualscope("info", weights, cwd=tmp_path)
    assert alone.returncode == 3
    assert "state dict" in alone.stderr and "--factory" in alone.stderr
    unasked = dualscope("info", weights, "--factory", f"{factory}:build", cwd=tmp_path)
    assert unasked.returncode == 4
    np.save(tmp_path / "x.npy", np.ones((2, 3, 16, 16), np.float32))
    done = dualscope(
        *("profile", weights, "--factory", f"{factory}:build", "--factory-arg", "classes=4"),
        *("--trust", "--data", "x.npy", "--time-limit=2s", "--json=-", "-o=a.dualscope"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [lane["failure"] for lane in found["lanes"]] == [None, None]


def test_weights_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    weights, factory = model_zoo.state_dict(tmp_path), model_zoo.factory_file(tmp_path)
    done = dualscope(
        *("info", weights, "--factory", f"{factory}:build", "--factory-arg", "classes=5"),
        "--trust",
        cwd=tmp_path,
    )
    assert done.returncode == 3
    assert "5.weight is [4, 8], the module's [5, 8]" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--factory-arg", "a=1"), ("--factory", "a:b", "--factory-arg", "nothing")],
)
def test_factories_that_are_written_wrongly(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = dualscope("info", model_zoo.state_dict(tmp_path), *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "hint: " in done.stderr


def test_a_package_for_another_machine_is_told(tmp_path: Path) -> None:
    path = model_zoo.aot_package_stand_in(tmp_path)
    assert dualscope("info", path, cwd=tmp_path).returncode == 4
    done = dualscope("info", path, "--trust", cwd=tmp_path)
    assert done.returncode == 3
    assert "pdp11" in done.stderr


COMPILE = """
import torch
module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()).eval()
program = torch.export.export(module, (torch.zeros(2, 4),))
torch._inductor.aoti_compile_and_package(program, package_path="compiled.pt2")
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a compiler")
def test_a_compiled_package_runs_once_it_is_trusted(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", COMPILE], cwd=tmp_path, check=True, timeout=180)
    assert dualscope("info", "compiled.pt2", cwd=tmp_path).returncode == 4
    options = ("--trust", "--input=input_0=[2,4]", "--time-limit=1s", "--json=-", "-o=a.dualscope")
    done = dualscope("profile", "compiled.pt2", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (lane,) = json.loads(done.stdout)["lanes"]
    assert lane["label"] == "torch-eager" and lane["failure"] is None
