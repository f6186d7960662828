"""torch.compile as an engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import torch._inductor.config as inductor

from profiler.engines import torch_common
from profiler.engines.torch_engine import TorchEngine
from profiler.errors import EngineError
from profiler.types import Load


class TorchCompileEngine(TorchEngine):
    """A module through `torch.compile`, compiled anew in each run: no older cache is read."""

    def __init__(self, command: Load) -> None:
        super().__init__(command)
        keep_compiled_in(Path(command.work_dir))
        # Else generated kernels don't show in a trace; without a profiler it costs nothing.
        inductor.cpp.enable_kernel_profile = True

    def loaded(self) -> torch.nn.Module:
        module, self.graph_note = torch_common.load_python_module(self._command)
        return module

    def prepared(self, module: torch.nn.Module) -> torch.nn.Module:
        options = self._command.spec.options
        mode, dynamic = options.get("mode"), options.get("dynamic")
        compiled: Any = torch.compile(
            module,
            mode=None if mode is None else str(mode),
            dynamic=None if dynamic is None else bool(dynamic),
        )
        return compiled  # type: ignore[no-any-return]

    def after_first_call(self) -> int:
        note, compile_time_ns = compilation()
        self.graph_note += f", {note}"
        return compile_time_ns


def keep_compiled_in(work_dir: Path) -> None:
    """Compile anew in each run, and let a later launch of the lane find what the first compiled."""
    cache = str(work_dir / "inductor")
    if any(character.isspace() for character in cache):
        # The compiler's command line would break; its usual folder is written then, not read.
        inductor.force_disable_caches = True
    else:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache


def compilation() -> tuple[str, int]:
    """A note on what Dynamo itself has counted so far, and its ns, back ends included.

    Raises EngineError if nothing was compiled.
    """
    from torch._dynamo.utils import compilation_time_metrics, counters

    graphs = int(counters["stats"]["unique_graphs"])
    if graphs == 0:
        raise EngineError(
            "torch.compile found nothing in this model that it could compile.",
            "Use torch-eager or torch-script for it.",
        )
    breaks = sum(counters["graph_break"].values())
    note = f"compiled into {'one graph' if graphs == 1 else f'{graphs} graphs'}"
    if breaks:
        note += f" ({breaks} graph break{'s' if breaks > 1 else ''})"
    seconds = sum(compilation_time_metrics.get("_compile.compile_inner", ()))
    return note, int(seconds * 1e9)


def create(command: Load) -> TorchCompileEngine:
    return TorchCompileEngine(command)
