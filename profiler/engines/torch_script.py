"""TorchScript as an engine."""

from __future__ import annotations

import warnings

import msgspec
import torch

from profiler.engines.script_modules import with_scopes
from profiler.engines.torch_engine import TorchEngine
from profiler.types import Load, OpTiming, Traced


class TorchScriptEngine(TorchEngine):
    """A TorchScript file as it is; a module is traced. Option `freeze`: weights are constants."""

    def prepared(self, module: torch.nn.Module) -> torch.nn.Module:
        script = module
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            if not isinstance(module, torch.jit.ScriptModule):
                script = torch.jit.trace(module, tuple(self._tensors))
                self.graph_note = f"traced from {self.graph_note}"
            if self._command.spec.options.get("freeze"):
                script = torch.jit.freeze(script)
                self.graph_note += ", frozen"
        return script

    def trace(self, iterations: int, warmup: int) -> Traced:
        """With the module of each operator; a frozen program has none."""
        traced = super().trace(iterations, warmup)
        ops: list[OpTiming] = []
        for iteration in range(iterations):
            own = [op for op in traced.ops if op.iteration == iteration]
            ops += with_scopes(self._module, own)
        return msgspec.structs.replace(traced, ops=tuple(ops))


def create(command: Load) -> TorchScriptEngine:
    return TorchScriptEngine(command)
