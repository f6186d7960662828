"""ONNX Runtime generates text: the KV cache stays in its own memory, bound from step to step."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from profiler.engines.ort import OrtEngine
from profiler.errors import EngineError
from profiler.generation.base import Generator
from profiler.generation.cache_layout import read_layout
from profiler.types import CacheTensor, Load

NOT_SHARED = "That takes GroupQueryAttention nodes, as onnxruntime-genai's builder writes them."
ELEMENTS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


class OrtGenerator(Generator):
    """Present outputs become past inputs as they are: OrtValues, never copied by the lane.

    With a shared buffer, past and present are one OrtValue of the full length, bound once.
    """

    def __init__(self, command: Load) -> None:
        super().__init__(command)
        self._engine = OrtEngine(command)
        self.version = self._engine.version
        self.graph_note = self._engine.graph_note
        device, _, index = command.spec.device.partition(":")
        self._device, self._index = device, int(index or 0)
        self._layout = read_layout(Path(command.model.path))
        self._arrays: dict[str, NDArray[Any]] = {}
        self._cache: list[Any] = []
        self._length = 0

    def load(self) -> None:
        layout = self._layout
        shared = bool(self.command.spec.options.get("shared_cache", layout.shared_buffer))
        if shared and not layout.shared_buffer:
            raise EngineError("This model can't keep its cache in one buffer.", NOT_SHARED)
        self._shared = shared
        self._session = self._engine.open_session()
        self._binding = self._session.io_binding()
        self._shapes = {i.name: i.shape for i in self._session.get_inputs()}
        self.set_batch(layout.batch)
        start = self.total_tokens if shared else 0
        self._start = [self._zeros(tensor, start) for tensor in layout.cache]
        if shared:
            for tensor, value in zip(layout.cache, self._start, strict=True):
                self._binding.bind_ortvalue_input(tensor.past, value)
                self._binding.bind_ortvalue_output(tensor.present, value)
        self.graph_note = ", ".join(filter(None, (self.graph_note, f"{layout.convention} cache")))
        self.input_note = (
            "past and present cache are one buffer, bound once"
            if shared
            else "the cache is bound from output to input, without a copy by the lane"
        )

    def prefill(self) -> int:
        self._length, self._cache = 0, self._start
        return self._run(self.prompt)

    def step(self, place: int) -> int:
        return self._run(self.following[:, place : place + 1])

    def _run(self, tokens: NDArray[np.int64]) -> int:
        binding, layout = self._binding, self._layout
        total = self._length + tokens.shape[1]
        # The binding has these arrays by address.
        self._arrays = self._small_inputs(tokens, total)
        for name, array in self._arrays.items():
            binding.bind_cpu_input(name, array)
        if not self._shared:
            for tensor, value in zip(layout.cache, self._cache, strict=True):
                binding.bind_ortvalue_input(tensor.past, value)
                binding.bind_output(tensor.present, self._device, self._index)
        # Anew each time: else the last call's logits, of another shape, would be written to.
        binding.bind_output(layout.logits, "cpu")
        self._session.run_with_iobinding(binding)
        # In the order in which they were bound.
        *self._cache, logits = binding.get_outputs()
        self._length = total
        last = last_row(logits)
        if self.keep:
            self.kept_logits.append(last.astype(np.float32)[None])
        return int(last.argmax())

    def _small_inputs(self, tokens: NDArray[np.int64], total: int) -> dict[str, NDArray[Any]]:
        """Tokens, mask and positions of a call, in the model's types."""
        layout, batch = self._layout, self.batch
        found: dict[str, NDArray[Any]] = {
            layout.tokens: np.ascontiguousarray(tokens, layout.dtypes[layout.tokens])
        }
        places = np.arange(self._length, total)
        for name, role in layout.roles.items():
            dtype = layout.dtypes[name]
            match role:
                case "attention_mask":
                    found[name] = np.ones((batch, total), dtype)
                case "position_ids":
                    found[name] = np.tile(places.astype(dtype), (batch, 1))
                case "cache_position":
                    found[name] = places.astype(dtype)
                case "use_cache_branch":
                    found[name] = np.array([self._length > 0], dtype)
                case "total_length":
                    found[name] = np.full(self._declared(name), total, dtype)
                case _:
                    found[name] = np.full(self._declared(name), total - 1, dtype)
        return found

    def _declared(self, name: str) -> tuple[int, ...]:
        """A small input's shape, with the batch for what is dynamic."""
        return tuple(d if isinstance(d, int) else self.batch for d in self._shapes[name])

    def _zeros(self, tensor: CacheTensor, tokens: int) -> Any:
        """The cache's tensor for that many tokens, on the lane's device."""
        shape = [
            tokens if place == tensor.axis else dim if isinstance(dim, int) else self.batch
            for place, dim in enumerate(tensor.shape)
        ]
        array = np.zeros(shape, tensor.dtype)
        return onnxruntime.OrtValue.ortvalue_from_numpy(array, self._device, self._index)

    def cache_bytes(self) -> tuple[int, int]:
        taken = sum(value.tensor_size_in_bytes() for value in self._cache)
        used = taken * self._length // max(1, self.total_tokens) if self._shared else taken
        return taken, used

    def weights_bytes(self) -> int:
        return self._engine.weights_bytes()

    def close(self) -> None:
        self._engine.close()


def last_row(logits: Any) -> NDArray[Any]:
    """Logits of the first sequence's last token, where they lie: valid as long as `logits` is."""
    kind = logits.data_type()
    if kind not in ELEMENTS:
        raise EngineError(f"Logits of type {kind} can't be read.", "Export them as float32.")
    shape, dtype = logits.shape(), np.dtype(ELEMENTS[kind])
    width = shape[-1]
    rows = shape[-2] if len(shape) > 2 else 1
    start = logits.data_ptr() + (rows - 1) * width * dtype.itemsize
    memory = (ctypes.c_char * (width * dtype.itemsize)).from_address(start)
    return np.frombuffer(memory, dtype)
