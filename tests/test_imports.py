"""The window's and the command line's process import no engine: PyTorch alone takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGINES = ("torch", "onnxruntime", "onnx", "onnxscript", "transformers")
PROBE = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported_by(*modules: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after it has imported the modules."""
    answer = subprocess.run(
        [sys.executable, "-c", PROBE, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    return set(json.loads(answer.stdout))


def names(folder: str) -> list[str]:
    """Every module right in a folder of the project, its packages included."""
    found = [path.stem for path in sorted((ROOT / folder).glob("*.py"))]
    package = folder.replace("/", ".")
    return [f"{package}.{name}" for name in found if name != "__init__"]


def test_the_probe_sees_what_is_imported() -> None:
    """Else the tests below would pass for any reason."""
    assert {"torch", "onnx"} <= imported_by("profiler.torch_files", "profiler.onnx_inspection")


def test_the_window_imports_no_engine() -> None:
    found = imported_by("gui.main_window", "gui.app", *names("gui/views"), *names("gui/graph"))
    assert "PySide6" in found
    assert not found.intersection(ENGINES)


def test_the_command_line_imports_no_engine_and_no_window() -> None:
    commands, exporters = names("profiler/commands"), names("profiler/exporters")
    assert commands
    assert exporters
    found = imported_by("profiler.cli", "profiler.jobs", *commands, *exporters)
    assert not found.intersection((*ENGINES, "PySide6", "pyqtgraph"))


def test_no_module_of_the_core_imports_qt() -> None:
    found = imported_by(*names("profiler"), *names("profiler/engines"))
    assert "torch" in found
    assert not found.intersection(("PySide6", "pyqtgraph"))
