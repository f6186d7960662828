"""Operators of ONNX Runtime in bodies of If, Loop and Scan, and in functions: where they come from.

Runs in engine processes only.
"""

from __future__ import annotations

from collections import Counter

import onnx

from profiler.module_graph import first_output
from profiler.node_path import BETWEEN, inside, outermost
from profiler.onnx_bodies import bodies
from profiler.onnx_source import LAYOUT_SUFFIXES, SourceMap

Sources = dict[str, tuple[str, ...]]


def name_bodies(graph: onnx.GraphProto, around: str = "") -> None:
    """Give every node in a body a name that tells where it is: ONNX Runtime's own names don't."""
    for node in graph.node:
        for attribute, body in bodies(node):
            path = inside(*filter(None, (around, first_output(node), attribute)))
            taken: Counter[str] = Counter()
            for inner in body.node:
                name = inside(path, inner.name or inner.op_type)
                taken[name] += 1
                inner.name = name if taken[name] == 1 else f"{name} #{taken[name]}"
            name_bodies(body, path)


def body_sources(
    original: onnx.GraphProto, optimized: onnx.GraphProto, around: str = ""
) -> Sources:
    """What each node in a body of the optimized graph, by name, stands for."""
    producers = {value: node for node in original.node for value in node.output if value}
    found: Sources = {}
    for node in optimized.node:
        origin = next((producers[v] for v in node.output if v in producers), None)
        known = dict(bodies(origin)) if origin is not None else {}
        for attribute, body in bodies(node):
            if origin is None or attribute not in known:
                found.update((inner.name, ()) for inner in body.node)
                continue
            path = inside(*filter(None, (around, first_output(origin), attribute)))
            sources = SourceMap(_model(known[attribute]), _model(body)).by_node_name()
            for name, values in sources.items():
                found[name] = tuple(inside(path, value) for value in values)
            found |= body_sources(known[attribute], body, path)
    return found


def _model(graph: onnx.GraphProto) -> onnx.ModelProto:
    return onnx.ModelProto(graph=graph)


class WrittenOut:
    """A model with its functions written out.

    `model` is a copy in which inner values are named after the way to them. ONNX Runtime writes
    functions out too, under names of its own: `learn` finds out which, `renamed` undoes them.
    """

    def __init__(self, original: onnx.ModelProto) -> None:
        self._functions = {(f.domain, f.name): f for f in original.functions}
        # First output here -> the name of the node in the function.
        self._inner: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self.model = onnx.ModelProto()
        self.model.CopyFrom(original)
        del self.model.graph.node[:]
        for node in original.graph.node:
            self._write(node, None, "")

    def _write(self, node: onnx.NodeProto, names: dict[str, str] | None, around: str) -> None:
        """`names`: what the function's values are called here; None in the model's own graph."""

        def renamed(value: str) -> str:
            if not value or names is None:
                return value
            return names.setdefault(value, inside(around, value))

        key = inside(*filter(None, (around, first_output(node))))
        function = self._functions.get((node.domain, node.op_type))
        inputs, outputs = [renamed(v) for v in node.input], [renamed(v) for v in node.output]
        if function is None:
            copy = self.model.graph.node.add()
            copy.CopyFrom(node)
            copy.input[:], copy.output[:] = inputs, outputs
            if names is not None:
                copy.name = ""
                self._inner[first_output(copy)] = key
            return
        given = dict(zip(function.input, inputs, strict=False))
        given |= dict(zip(function.output, outputs, strict=False))
        for inner in function.node:
            self._write(inner, given, key)

    def learn(self, plain: onnx.ModelProto) -> None:
        """`plain` is the model as ONNX Runtime wrote it out: the same graph in other names."""
        ours = {value: node for node in self.model.graph.node for value in node.output}
        theirs = {value: node for node in plain.graph.node for value in node.output}
        pending = [(value.name, value.name) for value in plain.graph.output]
        while pending:
            their_value, our_value = pending.pop()
            if not their_value or their_value in self._names:
                continue
            self._names[their_value] = our_value
            one, other = theirs.get(their_value), ours.get(our_value)
            if one is not None and other is not None and one.op_type == other.op_type:
                pending += zip(one.output, other.output, strict=False)
                pending += zip(one.input, other.input, strict=False)

    def renamed(self, optimized: onnx.ModelProto) -> onnx.ModelProto:
        """A copy in our names."""
        copy = onnx.ModelProto()
        copy.CopyFrom(optimized)
        for node in copy.graph.node:
            node.input[:] = [self._our_name(value) for value in node.input]
            node.output[:] = [self._our_name(value) for value in node.output]
        return copy

    def _our_name(self, value: str) -> str:
        if value in self._names:
            return self._names[value]
        for suffix in LAYOUT_SUFFIXES:
            head, found, tail = value.partition(suffix)
            if found and head in self._names:
                return self._names[head] + found + tail
        return value

    def sources(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Nodes of the model's own graph, each before those of its function."""
        found: list[str] = []
        for value in values:
            name = self._inner.get(value, value)
            found += [outermost(name), name] if BETWEEN in name else [name]
        return tuple(dict.fromkeys(found))

    def beside(self, works_for: dict[str, str]) -> dict[str, str]:
        """In the model's own graph, too."""
        return {name: outermost(self._inner.get(value, value)) for name, value in works_for.items()}
