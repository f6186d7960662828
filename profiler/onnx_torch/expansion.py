"""Write functions, and operators that ONNX can define by others, out into plain nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import onnx
import onnx.inliner

from profiler.onnx_bodies import all_nodes, bodies, graphs

# A definition may use operators that have a definition in turn.
MAX_EXPANSIONS = 6
Missing = Callable[[onnx.GraphProto], tuple[str, ...]]
Types = Mapping[str, onnx.TypeProto]


def expanded(model: onnx.ModelProto, missing: Missing) -> onnx.ModelProto:
    """Without the model's own functions, and without the missing operators that are definable."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    copied = False
    for number in range(MAX_EXPANSIONS):
        names = set(missing(model.graph))
        if not any(_has_definition(node, model) for node in _named(model.graph, names)):
            break
        if not copied:
            model, copied = _copy(model), True
        types: Types = {}
        schemas = [_schema(node, model) for node in _named(model.graph, names)]
        if any(schema.has_context_dependent_function for schema in schemas):
            types = value_types(model.graph, onnx.shape_inference.infer_shapes(model).graph)
        _expand_graph(model.graph, _Expansion(model, names, types, f"expanded{number}"))
    return model


def owners(original: onnx.GraphProto, plain: onnx.GraphProto) -> dict[str, str]:
    """First output of each plain node -> first output of the original node that it comes from."""
    known = {
        value: node.output[0] for node in all_nodes(original) for value in node.output if value
    }
    consumer: dict[str, str] = {}
    found: dict[str, str] = {}
    for node in reversed(list(all_nodes(plain))):
        values = [value for value in node.output if value]
        owner = next((known[v] for v in values if v in known), None)
        owner = owner or next((consumer[v] for v in values if v in consumer), values[0])
        found[values[0]] = owner
        consumer.update((value, owner) for value in node.input)
    return found


def value_types(*outer: onnx.GraphProto) -> dict[str, onnx.TypeProto]:
    """Types of all values, also of nested graphs; later graphs win."""
    found: dict[str, onnx.TypeProto] = {}
    for graph in (inner for one in outer for inner in graphs(one)):
        for value in (*graph.input, *graph.value_info, *graph.output):
            if value.type.WhichOneof("value"):
                found[value.name] = value.type
        for tensor in graph.initializer:
            found[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    return found


class _Expansion:
    """One pass: which operators to write out, and the types of values, which some bodies need."""

    def __init__(self, model: onnx.ModelProto, names: set[str], types: Types, prefix: str) -> None:
        self.model = model
        self.names = names
        self.types = types
        self._prefix = prefix
        self._count = 0

    def body(self, node: onnx.NodeProto) -> onnx.FunctionProto | None:
        """The definition of a node's operator; None when it has none for these inputs."""
        if _name(node) not in self.names or not _has_definition(node, self.model):
            return None
        schema, opset = _schema(node, self.model), _opset(self.model, node.domain)
        if schema.has_function:
            content = schema.get_function_with_opset_version(opset)
        else:
            empty = onnx.TypeProto()
            given = [self.types.get(n, empty).SerializeToString() for n in node.input]
            whole = _with_defaults(node, schema)
            content = schema.get_context_dependent_function_with_opset_version(
                opset, whole.SerializeToString(), given
            )
        function = onnx.FunctionProto()
        if isinstance(content, bytes):
            function.ParseFromString(content)
        else:
            function = content
        return function if function.node else None

    def next_prefix(self) -> str:
        self._count += 1
        return f"{self._prefix}_{self._count}/"


def _expand_graph(graph: onnx.GraphProto, expansion: _Expansion) -> None:
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        for _, inner in bodies(node):
            _expand_graph(inner, expansion)
        body = expansion.body(node)
        nodes.extend([node] if body is None else _written_out(node, body, expansion))
    del graph.node[:]
    graph.node.extend(nodes)


def _written_out(
    node: onnx.NodeProto, body: onnx.FunctionProto, expansion: _Expansion
) -> list[onnx.NodeProto]:
    prefix = f"{node.name or node.output[0]}/{expansion.next_prefix()}"
    names = dict.fromkeys(body.input, "") | dict(zip(body.input, node.input, strict=False))
    names |= {b: n for b, n in zip(body.output, node.output, strict=False) if n}
    schema = _schema(node, expansion.model)
    given = {a.name: a for a in _with_defaults(node, schema).attribute}
    given = {a.name: a for a in body.attribute_proto} | given
    return [_renamed(inner, names, given, prefix) for inner in body.node]


def _renamed(
    node: onnx.NodeProto,
    names: dict[str, str],
    given: Mapping[str, onnx.AttributeProto],
    prefix: str,
) -> onnx.NodeProto:
    """A copy in the caller's names, with the caller's attributes."""
    found = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name=prefix + node.op_type)
    found.input.extend(_rename(node.input, names, prefix))
    found.output.extend(_rename(node.output, names, prefix))
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name in given:
                copy = found.attribute.add()
                copy.CopyFrom(given[attribute.ref_attr_name])
                copy.name = attribute.name
            continue
        copy = found.attribute.add()
        copy.CopyFrom(attribute)
        if attribute.type == onnx.AttributeProto.GRAPH:
            _rename_graph(copy.g, dict(names), given, prefix)
    return found


def _rename_graph(
    graph: onnx.GraphProto,
    names: dict[str, str],
    given: Mapping[str, onnx.AttributeProto],
    prefix: str,
) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = _rename([value.name], names, prefix)[0]
    nodes = [_renamed(node, names, given, prefix) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _rename(values: Iterable[str], names: dict[str, str], prefix: str) -> list[str]:
    return [names.setdefault(value, prefix + value) if value else "" for value in values]


def _with_defaults(node: onnx.NodeProto, schema: Any) -> onnx.NodeProto:
    """A copy with the default attributes: bodies refer to them."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    given = {attribute.name for attribute in node.attribute}
    copy.attribute.extend(
        attribute.default_value
        for name, attribute in schema.attributes.items()
        if name not in given and attribute.default_value.name
    )
    return copy


def _named(graph: onnx.GraphProto, names: set[str]) -> list[onnx.NodeProto]:
    return [node for node in all_nodes(graph) if _name(node) in names]


def _name(node: onnx.NodeProto) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def _opset(model: onnx.ModelProto, domain: str) -> int:
    domains = ("", "ai.onnx") if domain in ("", "ai.onnx") else (domain,)
    return max((int(e.version) for e in model.opset_import if e.domain in domains), default=1)


def _schema(node: onnx.NodeProto, model: onnx.ModelProto) -> Any:
    domain = "" if node.domain == "ai.onnx" else node.domain
    return onnx.defs.get_schema(node.op_type, _opset(model, domain), domain)


def _has_definition(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, _opset(model, domain), domain)
    except onnx.defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
