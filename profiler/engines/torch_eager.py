"""PyTorch eager as an engine."""

from __future__ import annotations

import torch

from profiler.engines import torch_common
from profiler.engines.torch_engine import TorchEngine
from profiler.types import Load


class TorchEagerEngine(TorchEngine):
    """A module called as it is. A TorchScript file becomes an exported program first."""

    def loaded(self) -> torch.nn.Module:
        module, note = torch_common.load_python_module(self._command)
        self.graph_note = note
        return module


def create(command: Load) -> TorchEagerEngine:
    return TorchEagerEngine(command)
