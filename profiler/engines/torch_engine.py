"""What the PyTorch engines have in common: a module, called under inference mode."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from profiler.engines import torch_common, torch_precision
from profiler.engines.torch_examination import kernel_use, measure_ceiling
from profiler.engines.torch_shapes import with_outputs
from profiler.engines.torch_trace import trace_module
from profiler.engines.torch_values import collect_values
from profiler.types import Examined, InputSpec, Load, ThreadUse, Traced


class TorchEngine:
    """A module called as `prepared` gives it. An engine of its own overrides that."""

    def __init__(self, command: Load) -> None:
        torch_common.set_up_process(command.spec.options)
        self.version = f"torch {torch.__version__}"
        self.graph_note = torch_common.NOTES[command.model.kind]
        self.input_note = f"tensors on {command.spec.device}, placed before the calls"
        self._command = command
        self._device = command.spec.device
        self._on_cuda = self._device.startswith("cuda")
        self._module: Any = None
        self._input_names: tuple[str, ...] = ()
        self._tensors: list[torch.Tensor] = []
        # Entered once: a deployment would not enter it for every call.
        self._inference_mode = torch.inference_mode()

    def prepared(self, module: torch.nn.Module) -> torch.nn.Module:
        """What is called in place of the loaded module; `self._tensors` are its inputs."""
        return module

    def load(self) -> None:
        self._inference_mode.__enter__()
        module = self.loaded()
        self._tensors = torch_common.make_tensors(self._command, module)
        # Whoever is called in its place (torch.compile, TorchScript) has none.
        self._input_names = torch_common.input_names(module)
        if precision := self._command.spec.options.get("precision"):
            module = torch_precision.in_precision(module, str(precision))
            self._tensors = torch_precision.cast(self._tensors, str(precision))
            self.graph_note += f", in {precision}"
        self._module = self.prepared(module.to(self._device))

    def loaded(self) -> torch.nn.Module:
        """The model's module, on the CPU."""
        return torch_common.load_module(self._command)

    def infer(self) -> object:
        return self._module(*self._tensors)

    @contextlib.contextmanager
    def caller(self) -> Iterator[Callable[[], object]]:
        """Inference mode belongs to a thread; on a GPU each thread has a stream of its own."""
        with torch.inference_mode():
            if not self._on_cuda:
                yield self.infer
                return
            stream = torch.cuda.Stream(self._device)

            def call() -> object:
                found = self.infer()
                stream.synchronize()
                return found

            with torch.cuda.stream(stream):
                yield call

    def synchronize(self) -> None:
        if self._on_cuda:
            torch.cuda.synchronize(self._device)

    def after_first_call(self) -> int:
        return 0

    def trace(self, iterations: int, warmup: int) -> Traced:
        traced = trace_module(
            self._module, self._tensors, self._device, iterations=iterations, warmup=warmup
        )
        ops = with_outputs(traced.ops, self._module, self._tensors)
        return msgspec.structs.replace(traced, ops=ops)

    def examine(self) -> Examined:
        return Examined(
            ceiling=None if self._on_cuda else measure_ceiling(),
            threads=ThreadUse(
                threads=torch.get_num_threads(), inter_op=torch.get_num_interop_threads()
            ),
            kernels=kernel_use(self.infer, self.synchronize) if self._on_cuda else None,
        )

    def called_with(self, inputs: tuple[InputSpec, ...]) -> Callable[[], object]:
        tensors = torch_common.tensors_of(inputs, self._input_names, self._device)
        precision = str(self._command.spec.options.get("precision", ""))
        tensors = torch_precision.cast(tensors, precision)
        return lambda: self._module(*tensors)

    def save_outputs(self, path: Path) -> None:
        torch_common.save_tensors(torch_common.flatten_outputs(self.infer()), path)

    def save_values(self, names: Sequence[str], path: Path) -> tuple[str, ...]:
        found = collect_values(self._module, self._tensors, names)
        torch_common.save_tensors(list(found.values()), path)
        return tuple(found)

    def output_names(self, outputs: object) -> tuple[str, ...]:
        names = getattr(self._module, "meta", {}).get("output_names")
        count = len(torch_common.flatten_outputs(outputs))
        return tuple(names) if names else tuple(f"output {i}" for i in range(count))

    def weights_bytes(self) -> int:
        # Shared tensors count once.
        tensors = {
            tensor.data_ptr(): tensor.numel() * tensor.element_size()
            for tensor in (*self._module.parameters(), *self._module.buffers())
        }
        return int(sum(tensors.values())) + torch_precision.packed_bytes(self._module)

    def close(self) -> None:
        self._module = None
        self._inference_mode.__exit__(None, None, None)
