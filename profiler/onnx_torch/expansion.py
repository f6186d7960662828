"""Write functions, and operators that ONNX can define by others, out into plain nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import onnx
import onnx.inliner

# A definition may use operators that have a definition in turn.
MAX_EXPANSIONS = 3
Missing = Callable[[onnx.GraphProto], tuple[str, ...]]


def expanded(model: onnx.ModelProto, missing: Missing) -> onnx.ModelProto:
    """Without the model's own functions, and without the missing operators that are definable."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    refused: set[str] = set()
    for _ in range(MAX_EXPANSIONS):
        names = [n for n in missing(model.graph) if n not in refused and _has_definition(n)]
        if not names:
            break
        model = _with_defaults(model, set(names))
        for name in names:
            try:
                model = onnx.inliner.inline_selected_functions(
                    model, [("", name)], inline_schema_functions=True
                )
            except RuntimeError:
                # The inliner asserts on some calls, such as ones that leave an input out.
                refused.add(name)
    return model


def owners(original: onnx.GraphProto, plain: onnx.GraphProto) -> dict[str, str]:
    """First output of each plain node -> first output of the original node that it comes from."""
    known = {value: node.output[0] for node in original.node for value in node.output if value}
    consumer: dict[str, str] = {}
    found: dict[str, str] = {}
    for node in reversed(plain.node):
        values = [value for value in node.output if value]
        owner = next((known[v] for v in values if v in known), None)
        owner = owner or next((consumer[v] for v in values if v in consumer), node.output[0])
        found[node.output[0]] = owner
        consumer.update((value, owner) for value in node.input)
    return found


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of a graph and of the graphs nested in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from all_nodes(attribute.g)


def _has_definition(name: str) -> bool:
    if not onnx.defs.has(name):
        return False
    schema: Any = onnx.defs.get_schema(name)
    return bool(schema.has_function or schema.has_context_dependent_function)


def _with_defaults(model: onnx.ModelProto, names: set[str]) -> onnx.ModelProto:
    """A copy where calls have their default attributes: the inliner leaves those out."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in all_nodes(copy.graph):
        if node.op_type in names:
            given = {attribute.name for attribute in node.attribute}
            node.attribute.extend(
                attribute.default_value
                for name, attribute in onnx.defs.get_schema(node.op_type).attributes.items()
                if name not in given and attribute.default_value.name
            )
    return copy
