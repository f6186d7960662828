"""torch.compile as an engine."""

from __future__ import annotations

import os
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import msgspec
import torch
import torch._inductor.config as inductor

from profiler.engines import torch_common
from profiler.engines.kernel_sources import KernelSources, label_nodes, load_sources
from profiler.engines.torch_engine import TorchEngine
from profiler.engines.torch_examination import counted
from profiler.errors import EngineError
from profiler.module_graph import describe
from profiler.types import Examined, KernelPart, Load, ModelGraph, ModelKind, OpTiming, Traced

MOST_NAMES = 3


class TorchCompileEngine(TorchEngine):
    """A module through `torch.compile`, compiled anew in each run: no older cache is read."""

    def __init__(self, command: Load) -> None:
        super().__init__(command)
        keep_compiled_in(Path(command.work_dir))
        # Else generated kernels don't show in a trace; without a profiler it costs nothing.
        inductor.cpp.enable_kernel_profile = True
        self._kernels = KernelSources()
        self._kernels_path = Path(command.work_dir) / "kernels.msgpack"
        self._recording = ExitStack()

    def loaded(self) -> torch.nn.Module:
        module, self.graph_note = torch_common.load_python_module(self._command)
        meta = module.meta if isinstance(module, torch.fx.GraphModule) else {}
        self._data_dependent: list[str] = list(meta.get("data_dependent", ()))
        return module

    def prepared(self, module: torch.nn.Module) -> torch.nn.Module:
        options = self._command.spec.options
        mode, dynamic = options.get("mode"), options.get("dynamic")
        label_nodes(module)
        # The first call compiles.
        self._recording.enter_context(self._kernels.recording())
        compiled = torch.compile(
            module,
            mode=None if mode is None else str(mode),
            dynamic=None if dynamic is None else bool(dynamic),
        )
        return cast(torch.nn.Module, compiled)

    def after_first_call(self) -> int:
        self._end_recording()
        note, compile_time_ns, pieces = compilation()
        self.graph_note += f", {note}"
        if self._data_dependent and pieces > 1:
            listed = ", ".join(self._data_dependent[:MOST_NAMES])
            more = len(self._data_dependent) - MOST_NAMES
            self.graph_note += f"; data decides the work of {listed}"
            self.graph_note += f" and {more} more nodes" if more > 0 else ""
        return compile_time_ns

    def trace(self, iterations: int, warmup: int) -> Traced:
        """With the graph nodes of each kernel."""
        if not self._kernels.kernels:
            self.infer()
            self._end_recording()
        traced = super().trace(iterations, warmup)
        ops: list[OpTiming] = []
        parts: dict[str, tuple[KernelPart, ...]] = {}
        for iteration in range(iterations):
            own = [op for op in traced.ops if op.iteration == iteration]
            attributed, parts = self._kernels.attribute(own)
            ops += attributed
        return msgspec.structs.replace(traced, ops=tuple(ops), graph=self._graph(parts))

    def examine(self) -> Examined:
        return msgspec.structs.replace(super().examine(), compilation=counted())

    def close(self) -> None:
        self._recording.close()
        super().close()

    def _end_recording(self) -> None:
        """A launch that finds the kernels compiled reads what the first one noted."""
        self._recording.close()
        if self._kernels.kernels:
            self._kernels.save(self._kernels_path)
        else:
            self._kernels = load_sources(self._kernels_path)
        if self._kernels.problem:
            warnings.warn(f"kernels without graph nodes: {self._kernels.problem}", stacklevel=2)

    def _graph(self, parts: dict[str, tuple[KernelPart, ...]]) -> ModelGraph:
        """The file's own, which an import's nodes are named by; else the compiler's."""
        if self._command.model.kind is not ModelKind.ONNX:
            return self._kernels.graph(parts)
        graph = describe(self._command.model)
        assert graph is not None
        return msgspec.structs.replace(graph, parts=parts)


def keep_compiled_in(work_dir: Path) -> None:
    """Compile anew in each run, and let a later launch of the lane find what the first compiled."""
    cache = str(work_dir / "inductor")
    if any(character.isspace() for character in cache):
        # The compiler's command line would break; its usual folder is written then, not read.
        inductor.force_disable_caches = True
    else:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache


def compilation() -> tuple[str, int, int]:
    """A note on what Dynamo has counted so far, its ns, back ends included, and graphs and breaks.

    Raises EngineError if nothing was compiled.
    """
    from torch._dynamo.utils import compilation_time_metrics, counters

    graphs = int(counters["stats"]["unique_graphs"])
    if graphs == 0:
        raise EngineError(
            "torch.compile found nothing in this model that it could compile.",
            "Use torch-eager or torch-script for it.",
        )
    breaks = counted().graph_breaks
    note = f"compiled into {'one graph' if graphs == 1 else f'{graphs} graphs'}"
    if breaks:
        note += f" ({breaks} graph break{'s' if breaks > 1 else ''})"
    seconds = sum(compilation_time_metrics.get("_compile.compile_inner", ()))
    return note, int(seconds * 1e9), graphs + breaks


def create(command: Load) -> TorchCompileEngine:
    return TorchCompileEngine(command)
