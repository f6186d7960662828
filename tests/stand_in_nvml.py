"""Builds the stand-in for NVIDIA's library and runs code with it in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = Path(__file__).with_suffix(".c")


def build(folder: Path) -> Path:
    """Compile libnvidia-ml.so.1 into the folder; skips the test where that is not possible."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    library = folder / "libnvidia-ml.so.1"
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return folder


def run_with(folder: Path, code: str, **variables: str) -> tuple[Any, str]:
    """The JSON that the code prints, and its standard error; pynvml finds the stand-in itself."""
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    environment["LD_LIBRARY_PATH"] = str(folder)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr
