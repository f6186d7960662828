"""Rewrite groups of nodes as the one call that an author would write, where numbers agree."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

Node = torch.fx.Node


def rewrite(module: torch.nn.Module, graph: torch.fx.Graph) -> None:
    """A product with a bias becomes `linear`, scores and softmax become attention."""
    nodes: list[Any] = list(graph.nodes)
    for node in nodes:
        if (attention := _attention(module, node)) is not None:
            arguments = (attention.q, attention.k, attention.v, attention.mask)
            named = {"scale": attention.scale}
            _replace(node, F.scaled_dot_product_attention, arguments, named, attention.nodes)
        elif (product := _biased_product(module, node)) is not None:
            x, weight = product.args
            bias = node.args[1] if node.args[0] is product else node.args[0]
            turned = _turned(module, graph, product, weight)
            _replace(node, F.linear, (x, turned, bias), {}, (product,))
    graph.eliminate_dead_code()


def _turned(module: torch.nn.Module, graph: torch.fx.Graph, product: Node, weight: Node) -> Node:
    """The matrix as `linear` wants it: a view, once and for all where nothing else takes it."""
    if len(weight.users) == 1:
        path, _, name = str(weight.target).rpartition(".")
        owner = module.get_submodule(path)
        kept = getattr(owner, name)
        view = kept.data.t()
        is_parameter = isinstance(kept, torch.nn.Parameter)
        setattr(
            owner, name, torch.nn.Parameter(view, requires_grad=False) if is_parameter else view
        )
        return weight
    with graph.inserting_before(product):
        turned = graph.create_node("call_function", torch.t, (weight,), name=f"{product.name}__1")
    turned.meta = dict(product.meta)
    return turned


def _replace(
    node: Node,
    target: Any,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
    others: tuple[Node, ...],
) -> None:
    """Keep the name and the meta of the last node, which gives the result."""
    node.target, node.args, node.kwargs = target, arguments, named
    outputs = [n.meta["onnx_output"] for n in (node, *others) if "onnx_output" in n.meta]
    node.meta["onnx_outputs"] = tuple(dict.fromkeys(outputs))


def _is(value: Any, *targets: Any) -> bool:
    return isinstance(value, Node) and value.op == "call_function" and value.target in targets


def _only(value: Any, *targets: Any) -> bool:
    """A call of one of the targets whose result nothing else takes."""
    return _is(value, *targets) and len(value.users) == 1


def _constant(module: torch.nn.Module, value: Any) -> torch.Tensor | None:
    if not isinstance(value, Node) or value.op != "get_attr":
        return None
    found = operator.attrgetter(str(value.target))(module)
    return found if isinstance(found, torch.Tensor) else None


def _biased_product(module: torch.nn.Module, node: Any) -> Any:
    """The product in (x W) + b with a constant matrix and a bias of one number a column."""
    if not _is(node, torch.add) or len(node.args) != 2 or node.kwargs:
        return None
    for product, bias in (node.args, node.args[::-1]):
        if not isinstance(product, Node) or not _only(product, torch.matmul):
            continue
        weight, offset = _constant(module, product.args[1]), _constant(module, bias)
        if weight is None or offset is None or weight.dim() != 2 or offset.dim() != 1:
            continue
        if offset.shape[0] == weight.shape[1] and weight.dtype == offset.dtype:
            return product
    return None


@dataclass
class _Attention:
    q: Node
    k: Node
    v: Node
    mask: Node | None
    scale: float
    nodes: tuple[Node, ...]


def _attention(module: torch.nn.Module, node: Any) -> _Attention | None:
    """softmax(scale * q k^T + mask) v.

    A row without any key gives 0 in PyTorch's attention: with a mask, ONNX's nodes must say so too.
    """
    if not _is(node, torch.matmul) or not isinstance(node.args[0], Node):
        return None
    weights, guard = _unguarded(module, node.args[0])
    added: tuple[Node, ...] = ()
    if not _is(weights, F.softmax) or weights.args[1] not in (-1, 3):
        return None
    if len(weights.users) != (2 if guard else 1):
        return None
    scores, mask = weights.args[0], None
    if guard and _only(scores, torch.add):
        added = (scores,)
        scores, mask = scores.args
        if not _is(scores, torch.matmul):
            scores, mask = mask, scores
    if not _only(scores, torch.matmul):
        return None
    q, q_factor, q_nodes = _scaled(module, scores.args[0])
    turned, k_factor, k_nodes = _scaled(module, scores.args[1])
    k = _untransposed(turned)
    if k is None:
        return None
    nodes = (*guard, weights, *added, scores, *q_nodes, *k_nodes, *_moves(turned))
    v = node.args[1]
    return _Attention(q, k, v, mask, q_factor * k_factor, nodes)


def _unguarded(module: torch.nn.Module, value: Any) -> tuple[Any, tuple[Node, ...]]:
    """What is left of "0 where it is NaN", and the nodes that say so; others stay as they are."""
    if not _only(value, torch.where):
        return value, ()
    flags, zero, inner = value.args
    number = _constant(module, zero)
    is_guard = _only(flags, torch.isnan) and flags.args[0] is inner
    if not is_guard or number is None or number.numel() != 1 or number.item() != 0:
        return value, ()
    return inner, (value, flags)


def _scaled(module: torch.nn.Module, value: Any) -> tuple[Node, float, tuple[Node, ...]]:
    if _only(value, torch.mul):
        for inner, factor in (value.args, value.args[::-1]):
            number = _constant(module, factor)
            if number is not None and number.numel() == 1:
                return inner, float(number.item()), (value,)
    return value, 1.0, ()


def _untransposed(value: Any) -> Node | None:
    """What `value` is the transpose of, in its last two of four dimensions."""
    if _only(value, torch.permute) and list(value.args[1]) == [0, 1, 3, 2]:
        return _node(value.args[0])
    # The newer exporter goes through three dimensions.
    if not _only(value, torch.reshape) or len(value.args[1]) != 4:
        return None
    permuted = value.args[0]
    if not _only(permuted, torch.permute) or list(permuted.args[1]) != [0, 2, 1]:
        return None
    flat = permuted.args[0]
    if not _only(flat, torch.reshape) or len(flat.args[1]) != 3 or flat.args[1][0] != -1:
        return None
    rows, columns = flat.args[1][1:]
    is_turned = _same(value.args[1][2], columns) and _same(value.args[1][3], rows)
    return _node(flat.args[0]) if is_turned else None


def _moves(value: Any) -> Iterator[Node]:
    while _is(value, torch.permute, torch.reshape) and len(value.users) == 1:
        yield value
        if value.target is torch.permute and len(value.args[1]) == 4:
            return
        value = value.args[0]
        if _is(value, torch.reshape) and len(value.args[1]) == 3:
            yield value
            return


def _same(a: Any, b: Any) -> bool:
    """The same size: one number, or one way to compute it."""
    if isinstance(a, Node) and isinstance(b, Node):
        return a is b or (a.target == b.target and a.args == b.args)
    return bool(a == b)


def _node(value: Any) -> Node | None:
    return value if isinstance(value, Node) else None
