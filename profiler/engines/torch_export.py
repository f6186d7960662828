"""A torch.export program, run as it is."""

from __future__ import annotations

from profiler.engines.torch_engine import TorchEngine
from profiler.types import Load


def create(command: Load) -> TorchEngine:
    """`ExportedProgram.module()` runs the program's graph, operator by operator."""
    return TorchEngine(command)
