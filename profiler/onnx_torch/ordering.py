"""Put the nodes of each graph in an order in which they can run."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence

import onnx

from profiler.onnx_bodies import bodies


def order_nodes(model: onnx.ModelProto) -> None:
    """Sort nodes in place; those that can run keep their order.

    ONNX Runtime takes an unsorted graph. Its quantizer writes some: it overlooks what a branch
    takes from outside, so that the branch may come before the node that makes it.
    """
    for function in model.functions:
        _order(function)
    _order(model.graph)


def _order(graph: onnx.GraphProto | onnx.FunctionProto) -> None:
    for node in graph.node:
        for _, inner in bodies(node):
            _order(inner)
    order = _runnable_order(graph.node)
    if order == sorted(order):
        return
    places = {graph.node[old].output[0]: new for new, old in enumerate(order)}
    graph.node.sort(key=lambda node: places[node.output[0]])


def _runnable_order(nodes: Sequence[onnx.NodeProto]) -> list[int]:
    """Positions of nodes: the first of those that can run is next, and a cycle is last."""
    makers = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    takers: dict[int, list[int]] = defaultdict(list)
    waits = [0] * len(nodes)
    for place, node in enumerate(nodes):
        needed = {makers[name] for name in _taken(node) if name in makers}
        waits[place] = len(needed)
        for maker in needed:
            takers[maker].append(place)
    ready = [place for place, count in enumerate(waits) if not count]
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for taker in takers[order[-1]]:
            waits[taker] -= 1
            if not waits[taker]:
                heapq.heappush(ready, taker)
    return order + [place for place, count in enumerate(waits) if count]


def _taken(node: onnx.NodeProto) -> set[str]:
    """The values that a node takes, also those that its graphs take from outside."""
    found = set(node.input)
    for _, graph in bodies(node):
        own = {value.name for value in (*graph.input, *graph.initializer)}
        own |= {name for inner in graph.node for name in inner.output}
        taken = {value.name for value in graph.output}.union(*map(_taken, graph.node))
        found |= taken - own
    return found
