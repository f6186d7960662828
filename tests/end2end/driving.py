"""How tests call the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "resources" / "demo" / "demo.onnx"
MAIN = [sys.executable, str(ROOT / "main.py")]

Done = subprocess.CompletedProcess[str]


def dualscope(*arguments: str | Path, cwd: Path, **variables: str) -> Done:
    return subprocess.run(
        [*MAIN, *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=cwd,
        env={**os.environ, **variables},
        timeout=180,
        check=False,
    )


def assert_refused(done: Done, code: int, *parts: str) -> None:
    """An exit code, a message and a hint; no traceback, nothing on standard output."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert "error: " in done.stderr
    for part in parts:
        assert part in done.stderr
