"""Graphs within an ONNX graph: branches of If, bodies of Loop and Scan. Child processes only."""

from __future__ import annotations

from collections.abc import Iterator

import onnx


def bodies(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """The node's own graphs, each with its attribute."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.name, attribute.g


def has_bodies(graph: onnx.GraphProto) -> bool:
    """Whether a node has a graph of its own."""
    return any(True for node in graph.node for _ in bodies(node))


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph, and all those in its nodes, outer ones first."""
    yield graph
    for node in graph.node:
        for _, body in bodies(node):
            yield from graphs(body)


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of the graph, each followed by those of its own graphs."""
    for node in graph.node:
        yield node
        for _, body in bodies(node):
            yield from all_nodes(body)
