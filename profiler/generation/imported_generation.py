"""An ONNX model with a KV cache generates text in PyTorch, through the importer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from profiler.engines.torch_common import load_module
from profiler.errors import EngineError
from profiler.generation.cache_layout import read_layout
from profiler.generation.torch_base import TorchGenerator, module_bytes


class ImportedGenerator(TorchGenerator):
    """The graph's present tensors become its past inputs, as they are."""

    def load_model(self) -> None:
        if str(self.command.spec.options.get("cache", "dynamic")) != "dynamic":
            raise EngineError(
                "An ONNX model's cache grows: PyTorch has no static one for it.",
                "Use cache=dynamic, or open the transformers folder that it was made from.",
            )
        self._layout = layout = read_layout(Path(self.command.model.path))
        module = load_module(self.command).to(self.device)
        meta: dict[str, Any] = getattr(module, "meta", {})
        self._inputs = list(meta["input_names"])
        outputs = list(meta["output_names"])
        self._logits = outputs.index(layout.logits)
        self._presents = [outputs.index(tensor.present) for tensor in layout.cache]
        self.set_batch(layout.batch)
        self._empty = [self._empty_tensor(place) for place in range(len(layout.cache))]
        self._module = module
        self._call = self.compile(module, dynamic=True) if self.compiled else module
        self.graph_note = f"imported from ONNX, {layout.convention} cache"

    def _empty_tensor(self, place: int) -> torch.Tensor:
        tensor = self._layout.cache[place]
        shape = [
            0 if axis == tensor.axis else dim if isinstance(dim, int) else self.batch
            for axis, dim in enumerate(tensor.shape)
        ]
        return torch.zeros(shape, dtype=getattr(torch, tensor.dtype), device=self.device)

    def prefill(self) -> int:
        self._length, self._cache = 0, self._empty
        return self._run(self.prompt_tensor)

    def step(self, place: int) -> int:
        return self._run(self.following_tensors[place])

    def _run(self, tokens: torch.Tensor) -> int:
        layout = self._layout
        total = self._length + tokens.shape[1]
        values: dict[str, torch.Tensor] = {
            layout.tokens: tokens.to(getattr(torch, layout.dtypes[layout.tokens]))
        }
        for name, role in layout.roles.items():
            values[name] = self._small_input(role, getattr(torch, layout.dtypes[name]), total)
        for tensor, value in zip(layout.cache, self._cache, strict=True):
            values[tensor.past] = value
        outputs = self._call(*(values[name] for name in self._inputs))
        self._cache = [outputs[place] for place in self._presents]
        self._length = total
        return self.pick(outputs[self._logits])

    def _small_input(self, role: str, dtype: torch.dtype, total: int) -> torch.Tensor:
        match role:
            case "attention_mask":
                return torch.ones((self.batch, total), dtype=dtype, device=self.device)
            case "position_ids" | "cache_position":
                places = torch.arange(self._length, total, dtype=dtype, device=self.device)
                return places.expand(self.batch, -1) if role == "position_ids" else places
            case "use_cache_branch":
                return torch.tensor([self._length > 0], dtype=dtype, device=self.device)
            case "total_length":
                return torch.tensor([total], dtype=dtype, device=self.device)
            case _:
                return torch.full((self.batch,), total - 1, dtype=dtype, device=self.device)

    def cache_bytes(self) -> tuple[int, int]:
        taken = sum(tensor.nbytes for tensor in self._cache)
        return taken, taken

    def weights_bytes(self) -> int:
        return module_bytes(self._module)
