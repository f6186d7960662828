"""What operators of a PyTorch module give in one call: node by node of a graph, else op by op."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from profiler.errors import EngineError

# Takes an operator's name as a trace has it, its op type, and what it gave.
Visit = Callable[[str, str, Any], None]


def collect_values(
    module: torch.nn.Module, tensors: Sequence[torch.Tensor], names: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Values by name, copied to the CPU at once: later operators may write over them.

    Of a graph these are nodes or ONNX values; of other modules, operators as a trace names them.
    Raises EngineError for compiled code, which has no values inside.
    """
    if hasattr(module, "_orig_mod"):
        raise EngineError(
            "torch.compile's kernels have no values inside.", "Compare with torch-eager instead."
        )
    wanted, found = set(names), {}

    def keep(name: str, value: Any) -> None:
        if name in wanted and isinstance(value, torch.Tensor):
            found[name] = value.detach().to("cpu", copy=True)

    if isinstance(module, torch.fx.GraphModule):
        _Interpreter(module, keep).run(*tensors)
    else:
        visit_operators(module, tensors, lambda name, _, value: keep(name, _first(value)))
    return found


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple | list) and value else value


class _Interpreter(torch.fx.Interpreter):
    """Runs a graph and shows what each node gives, by its ONNX values' names or else its own."""

    def __init__(self, module: torch.fx.GraphModule, keep: Callable[[str, Any], None]) -> None:
        super().__init__(module)
        self._keep = keep
        # Of an imported graph the ONNX names count alone: a node may be called as another's value.
        self._imported = any("onnx_values" in node.meta for node in module.graph.nodes)

    def run_node(self, n: torch.fx.Node) -> Any:
        value = super().run_node(n)
        for name in n.meta.get("onnx_values", ()) if self._imported else (n.name,):
            self._keep(name, value)
        return value


class OperatorVisitor(TorchDispatchMode):
    """Shows each operator that the dispatcher is called for: a profiler's outermost operators."""

    def __init__(self, visit: Visit) -> None:
        # The setting that allows calls of torch does not know whose method `super` gives.
        super().__init__()  # type: ignore[no-untyped-call]
        self.scopes: list[str] = []
        self._visit = visit
        self._seen: dict[str, int] = defaultdict(int)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        value = func(*args, **(kwargs or {}))
        op_type = str(func._schema.name)
        scope = self.scopes[-1] if self.scopes else ""
        name = f"{scope}/{op_type}" if scope else op_type
        self._seen[name] += 1
        count = self._seen[name]
        self._visit(name if count == 1 else f"{name} #{count}", op_type, value)
        return value


def visit_operators(
    module: torch.nn.Module, tensors: Sequence[torch.Tensor], visit: Visit
) -> object:
    """Call the module once, and show each operator; returns what the module gave."""
    mode = OperatorVisitor(visit)
    with _told_apart(module, mode.scopes), mode:
        return module(*tensors)


@contextlib.contextmanager
def _told_apart(module: torch.nn.Module, scopes: list[str]) -> Iterator[None]:
    """While this is open, `scopes` ends with the path of the module that runs."""
    if isinstance(module, torch.jit.ScriptModule | torch.fx.GraphModule):
        yield
        return

    def entering(path: str) -> Callable[..., None]:
        return lambda *_: scopes.append(path)

    def leaving(*_: Any) -> None:
        scopes.pop()

    handles = [
        handle
        for path, child in module.named_modules()
        for handle in (
            child.register_forward_pre_hook(entering(path)),
            child.register_forward_hook(leaving),
        )
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
