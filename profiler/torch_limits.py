"""Which inputs of a PyTorch model index a table, and of how many rows. Job processes only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

# An index tensor is followed back through operators of one tensor: casts, views, slices.
MOST_STEPS = 12


def by_hooks(
    module: torch.nn.Module, inputs: dict[str, torch.Tensor], call: Callable[[], object]
) -> dict[str, int]:
    """Rows by input name, seen at each embedding while `call` runs the module on `inputs`.

    An index is an input where it shares its memory, or has its values in another dtype. Values of
    the inputs should tell them apart.
    """
    found: dict[str, int] = {}

    def look(child: Any, arguments: tuple[Any, ...]) -> None:
        index = arguments[0] if arguments else None
        if not isinstance(index, torch.Tensor):
            return
        for name, tensor in inputs.items():
            if not tensor.is_floating_point() and _same(tensor, index):
                rows = int(child.weight.shape[0])
                found[name] = min(rows, found.get(name, rows))

    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    hooks = [m.register_forward_pre_hook(look) for m in module.modules() if isinstance(m, kinds)]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _same(tensor: torch.Tensor, index: torch.Tensor) -> bool:
    if tensor.untyped_storage().data_ptr() == index.untyped_storage().data_ptr():
        return True
    if tensor.numel() != index.numel() or tensor.numel() < 2:
        return False
    return bool((tensor.flatten().long() == index.flatten().long()).all())


def by_graph(module: torch.fx.GraphModule) -> dict[str, int]:
    """The same for an exported program, read from its graph."""
    found: dict[str, int] = {}
    for node in module.graph.nodes:
        if node.op != "call_function" or "embedding" not in str(node.target):
            continue
        table, index = node.args[0], node.args[1]
        for _ in range(MOST_STEPS):
            if not isinstance(index, torch.fx.Node) or index.op == "placeholder":
                break
            index = index.args[0] if index.args else None
        rows = _rows_of_node(module, table)
        if isinstance(index, torch.fx.Node) and index.op == "placeholder" and rows:
            found[index.name] = min(rows, found.get(index.name, rows))
    return found


def _rows_of_node(module: torch.fx.GraphModule, node: Any) -> int | None:
    if node.op == "get_attr":
        value: Any = module
        for part in str(node.target).split("."):
            value = getattr(value, part)
        return int(value.shape[0])
    value = node.meta.get("val")
    return int(value.shape[0]) if value is not None else None


def by_script(module: torch.jit.ScriptModule) -> dict[str, int]:
    """The same for TorchScript."""
    found: dict[str, int] = {}
    graph: Any = module.inlined_graph
    names = dict(
        zip([v.debugName() for v in graph.inputs()][1:], _argument_names(module), strict=False)
    )
    for node in _embeddings(graph):
        table, index = list(node.inputs())[:2]
        for _ in range(MOST_STEPS):
            inputs = list(index.node().inputs())
            if index.debugName() in names or not inputs:
                break
            index = inputs[0]
        rows = _rows_of_value(module, table)
        name = names.get(index.debugName())
        if name and rows:
            found[name] = min(rows, found.get(name, rows))
    return found


def _argument_names(module: Any) -> list[str]:
    return [argument.name for argument in module.forward.schema.arguments[1:]]


def _embeddings(graph: Any) -> Iterator[Any]:
    yield from graph.findAllNodes("aten::embedding")
    yield from graph.findAllNodes("aten::embedding_bag")


def _rows_of_value(module: Any, value: Any) -> int | None:
    """Follow attributes down from the module to the table's weight."""
    names: list[str] = []
    while value.node().kind() == "prim::GetAttr":
        names.append(value.node().s("name"))
        value = next(iter(value.node().inputs()))
    if value.node().kind() == "prim::Constant" and not names:
        tensor = value.toIValue()
        return int(tensor.shape[0]) if isinstance(tensor, torch.Tensor) else None
    for name in reversed(names):
        module = getattr(module, name)
    return int(module.shape[0]) if isinstance(module, torch.Tensor) else None
