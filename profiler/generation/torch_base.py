"""What the PyTorch engines that generate text share. Child processes only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from profiler.engines.torch_common import set_threads
from profiler.errors import EngineError
from profiler.generation.base import Generator
from profiler.types import EngineKind, Load


class TorchGenerator(Generator):
    """Tokens and the device; an engine of its own loads the model and runs it."""

    def __init__(self, command: Load) -> None:
        super().__init__(command)
        self.version = f"torch {torch.__version__}"
        self.device = command.spec.device
        self.compiled = command.spec.engine is EngineKind.TORCH_COMPILE
        set_threads(command.spec.options)
        if self.compiled:
            # A later launch of the lane in this run finds what the first one compiled.
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(Path(command.work_dir) / "inductor")
        self._inference_mode = torch.inference_mode()

    def load(self) -> None:
        self._inference_mode.__enter__()
        try:
            self.load_model()
        except BaseException:
            self.close()
            raise
        self.set_tokens()
        self.input_note = f"tensors on {self.device}, placed before the calls"

    def load_model(self) -> None:
        """Raises EngineError, ModelFileError."""
        raise NotImplementedError

    def set_tokens(self) -> None:
        """Put the plan's tokens where the model is."""
        prompt = torch.from_numpy(np.ascontiguousarray(self.prompt))
        following = torch.from_numpy(np.ascontiguousarray(self.following))
        self.prompt_tensor = prompt.to(self.device)
        self.following_tensors = [
            following[:, place : place + 1].contiguous().to(self.device)
            for place in range(following.shape[1])
        ]

    def compile(self, function: Any, *, dynamic: bool | None) -> Any:
        """`function` through torch.compile, as the lane's options say."""
        options = self.command.spec.options
        mode = options.get("mode")
        wanted = options.get("dynamic", dynamic)
        return torch.compile(
            function,
            mode=None if mode is None else str(mode),
            dynamic=None if wanted is None else bool(wanted),
        )

    def pick(self, logits: torch.Tensor) -> int:
        """The greedy choice after the last token, of logits [batch, tokens, vocabulary]."""
        last = logits[0, -1]
        if self.keep:
            self.kept_logits.append(last.float().cpu().numpy()[None])
        return int(last.argmax())

    def after_first_call(self) -> int:
        """What Dynamo has counted. Raises EngineError if nothing was compiled."""
        if not self.compiled:
            return 0
        from torch._dynamo.utils import compilation_time_metrics, counters

        graphs = int(counters["stats"]["unique_graphs"])
        if graphs == 0:
            raise EngineError(
                "torch.compile found nothing in this model that it could compile.",
                "Use torch-eager for it.",
            )
        breaks = sum(counters["graph_break"].values())
        self.graph_note += f", compiled into {graphs} graph{'s' if graphs > 1 else ''}"
        if breaks:
            self.graph_note += f" ({breaks} graph break{'s' if breaks > 1 else ''})"
        seconds = sum(compilation_time_metrics.get("_compile.compile_inner", ()))
        return int(seconds * 1e9)

    def close(self) -> None:
        self._inference_mode.__exit__(None, None, None)


def module_bytes(module: torch.nn.Module) -> int:
    """Of parameters and buffers; shared tensors count once."""
    tensors = {t.data_ptr(): t.nbytes for t in (*module.parameters(), *module.buffers())}
    return sum(tensors.values())
