"""Feed a module by its arguments' names where order alone would not do. Child processes only."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch


class ByName(torch.nn.Module):
    """Calls a module with keyword arguments, in place of an order that skips some of them."""

    def __init__(self, module: torch.nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.names = tuple(names)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.module(**dict(zip(self.names, inputs, strict=True)))


def positional(module: torch.nn.Module, names: Sequence[str]) -> torch.nn.Module:
    """A module that takes these inputs in this order: itself, where its own order is the same."""
    if isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule):
        return module
    parameters = inspect.signature(module.forward).parameters.values()
    order = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    if list(names) == order[: len(names)] or not set(names) <= set(order):
        return module
    return ByName(module, names).eval()
