"""AOTInductor packages: native code, run only with consent. Child processes only."""

from __future__ import annotations

import json
import platform
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch

from profiler.errors import ModelFileError, UnsafeModelError
from profiler.types import ModelSource


class PackagedModel(torch.nn.Module):
    """A compiled model, called like any module."""

    def __init__(self, compiled: Any) -> None:
        super().__init__()
        self.compiled = compiled

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.compiled(*inputs)

    def argument_count(self) -> int:
        """Tensors that a call takes, as the package's own call specification has them."""
        specification = json.loads(self.compiled.loader.get_call_spec()[0])
        return _leaves(specification[1])


def load_package(source: ModelSource) -> PackagedModel:
    """Raises UnsafeModelError without consent, ModelFileError for a package of another machine."""
    path = Path(source.path)
    if not source.trusted:
        raise UnsafeModelError(
            f"{path.name} holds native code, which was not run without consent.",
            "Give it with --trust, or in the window.",
        )
    check_machine(path)
    from torch._inductor import aoti_load_package

    return PackagedModel(aoti_load_package(str(path)))


def check_machine(path: Path) -> None:
    """Is the code for this system, processor and device? Raises ModelFileError."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        texts = [archive.read(n) for n in names if n.endswith("_metadata.json")]
    if not any(name.endswith((".so", ".dll", ".dylib")) for name in names):
        raise ModelFileError(
            f"{path.name} is an AOTInductor package without a compiled library.",
            "Compile it on this machine with torch._inductor.aoti_compile_and_package.",
        )
    wanted: dict[str, str] = {}
    for text in texts:
        wanted.update(json.loads(text))
    here = {"AOTI_PLATFORM": sys.platform, "AOTI_MACHINE": platform.machine()}
    for key, value in here.items():
        if key in wanted and not value.startswith(wanted[key]):
            raise ModelFileError(
                f"{path.name} was compiled for {wanted[key]}; this is {value}.",
                "Open the torch.export .pt2 that it was compiled from.",
            )
    device = wanted.get("AOTI_DEVICE_KEY", "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelFileError(
            f"{path.name} was compiled for a CUDA GPU, and there is none here.",
            "Open the torch.export .pt2 that it was compiled from.",
        )


def _leaves(specification: dict[str, Any]) -> int:
    children = specification["children_spec"]
    if specification["type"] is None:
        return 1
    return sum(_leaves(child) for child in children)
