"""What the PyTorch engines that generate text share. Child processes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from profiler.engines.torch_common import set_up_process
from profiler.generation.base import Generator
from profiler.types import EngineKind, Load


class TorchGenerator(Generator):
    """Tokens and the device; an engine of its own loads the model and runs it."""

    def __init__(self, command: Load) -> None:
        super().__init__(command)
        self.version = f"torch {torch.__version__}"
        self.device = command.spec.device
        self.compiled = command.spec.engine is EngineKind.TORCH_COMPILE
        set_up_process(command.spec.options)
        if self.compiled:
            from profiler.engines.torch_compile import keep_compiled_in

            keep_compiled_in(Path(command.work_dir))
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
        """Raises EngineError if nothing was compiled."""
        if not self.compiled:
            return 0
        from profiler.engines.torch_compile import compilation

        note, compile_time_ns, _ = compilation()
        self.graph_note += f", {note}"
        return compile_time_ns

    def close(self) -> None:
        self._inference_mode.__exit__(None, None, None)


def module_bytes(module: torch.nn.Module) -> int:
    """Of parameters and buffers; shared tensors count once."""
    tensors = {t.data_ptr(): t.nbytes for t in (*module.parameters(), *module.buffers())}
    return sum(tensors.values())
