"""A transformers model generates text in PyTorch, with a dynamic or a static cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from profiler.errors import EngineError
from profiler.generation.causal_models import cache_argument, load_causal_model
from profiler.generation.torch_base import TorchGenerator, module_bytes

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class TransformersGenerator(TorchGenerator):
    """The model's own forward with `DynamicCache` or `StaticCache`.

    As `generate()` does, only the last token's logits are worked out in the prefill, and a static
    cache's prefill is not compiled.
    """

    def load_model(self) -> None:
        options = self.command.spec.options
        dtype = DTYPES[str(options.get("precision", "fp32"))]
        model: Any = load_causal_model(
            Path(self.command.model.path), dtype, str(options.get("attention", "sdpa"))
        )
        self._model = model.to(self.device)
        self._argument = cache_argument(model)
        self._static = str(options.get("cache", "dynamic")) == "static"
        self._cache: Any = None
        self._prefill = self._decode = self._model
        if self.compiled:
            self._decode = self.compile(self._model.forward, dynamic=not self._static)
            self._prefill = self._model if self._static else self._decode
        kind = "static" if self._static else "dynamic"
        self.graph_note = f"{type(model).__name__}, {kind} cache"

    def prefill(self) -> int:
        if self._static:
            if self._cache is None:
                self._cache = self._new_static_cache()
            self._cache.reset()
        else:
            from transformers import DynamicCache

            self._cache = DynamicCache(config=self._model.config)
        return self._run(self._prefill, self.prompt_tensor)

    def step(self, place: int) -> int:
        return self._run(self._decode, self.following_tensors[place])

    def _run(self, forward: Any, tokens: torch.Tensor) -> int:
        cache = {self._argument: self._cache}
        found = forward(input_ids=tokens, use_cache=True, logits_to_keep=1, **cache)
        return self.pick(found.logits)

    def _new_static_cache(self) -> Any:
        from transformers import StaticCache

        try:
            return StaticCache(config=self._model.config, max_cache_len=self.total_tokens)
        except Exception as error:
            # The library raises anything for a model that it can't do it for.
            raise EngineError(
                f"This model has no static cache: {error}", "Use cache=dynamic for it."
            ) from error

    def cache_bytes(self) -> tuple[int, int]:
        taken = sum(tensor.nbytes for tensor in cache_tensors(self._cache))
        used = sum(
            tensor.nbytes * min(self.total_tokens, tensor.shape[-2]) // tensor.shape[-2]
            for tensor in cache_tensors(self._cache)
        )
        return taken, used

    def weights_bytes(self) -> int:
        return module_bytes(self._model)


def cache_tensors(cache: Any) -> list[torch.Tensor]:
    """Keys and values of every layer that has some."""
    tensors = [
        getattr(layer, name, None)
        for layer in getattr(cache, "layers", ())
        for name in ("keys", "values")
    ]
    return [t for t in tensors if isinstance(t, torch.Tensor) and t.ndim == 4 and t.numel()]
