"""A model's graph with the module each node comes from. Runs in engine processes only."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import msgspec
import onnx

from profiler.causal import causal_evidence
from profiler.onnx_bodies import bodies
from profiler.onnx_light import load_light
from profiler.types import GraphNode, ModelGraph, ModelKind, ModelSource

# What torch.onnx writes beside each node.
SCOPES = "pkg.torch.onnx.name_scopes"
CALL = "pkg.torch.onnx.fx_node"
CALL_NAME = re.compile(r"%(\w+) :")
CALL_TARGET = re.compile(r"target=(?:torch\.ops\.)?(\w+)\.(\w+)")


def describe(model: ModelSource) -> ModelGraph | None:
    """The graph of an ONNX file; other kinds tell modules by their operators' scopes."""
    if model.kind is not ModelKind.ONNX:
        return None
    path = Path(model.path)
    return describe_onnx(load_light(path), folder=path.parent)


def describe_onnx(
    model: onnx.ModelProto, beside: dict[str, str] | None = None, folder: Path | None = None
) -> ModelGraph:
    """Scopes come from the exporter's notes, else from node names, else from parameter names.

    A node that none of these tells of belongs to what its neighbours have in common. `folder` has
    the file of weights that lie beside the model.
    """
    parameters = _parameters(model.graph)
    with_output = [node for node in model.graph.node if any(node.output)]
    nodes = [_described(node, parameters) for node in with_output]
    known = {first_output(node): _known_scope(node) for node in with_output}
    if not any(known.values()):
        known = {node.name: _module_of(node.parameters) or None for node in nodes}
    return ModelGraph(
        nodes=tuple(_with_scopes(nodes, known)),
        outputs=tuple(str(value.name) for value in model.graph.output),
        beside=beside or {},
        causal=causal_evidence(model, folder),
    )


def first_output(node: onnx.NodeProto) -> str:
    """What names a node across engines; empty for a node without outputs."""
    return next((str(value) for value in node.output if value), "")


def _described(node: onnx.NodeProto, parameters: dict[str, tuple[str, ...]]) -> GraphNode:
    notes = {entry.key: entry.value for entry in node.metadata_props}
    call = notes.get(CALL, "")
    name, target = CALL_NAME.search(call), CALL_TARGET.search(call)
    inputs = tuple(value for value in _inputs(node) if value)
    return GraphNode(
        name=first_output(node),
        op_type=node.op_type
        if node.domain in ("", "ai.onnx")
        else f"{node.domain}::{node.op_type}",
        inputs=inputs,
        outputs=tuple(value for value in node.output if value),
        parameters=tuple(dict.fromkeys(p for value in inputs for p in parameters.get(value, ()))),
        target=f"{target[1]}::{target[2]}" if target else "",
        target_name=name[1] if name else "",
        node_name=node.name,
    )


def _known_scope(node: onnx.NodeProto) -> str | None:
    """By the exporter's note or the node's name; None where neither tells."""
    for entry in node.metadata_props:
        if entry.key == SCOPES:
            return _noted_scope(entry.value)
    return _named_scope(node.name) or None


def _inputs(node: onnx.NodeProto) -> list[str]:
    """Those of nested graphs (If, Loop) too, as far as they come from outside."""
    found = list(node.input)
    for _, body in bodies(node):
        inner = {value for n in body.node for value in n.output}
        found += [v for n in body.node for v in _inputs(n) if v not in inner]
    return found


def _parameters(graph: onnx.GraphProto) -> dict[str, tuple[str, ...]]:
    """Value name -> weights it is made of, for values that depend on weights only."""
    found: dict[str, tuple[str, ...]] = {
        tensor.name: (str(tensor.name),) for tensor in graph.initializer
    }
    for node in graph.node:
        inputs = [value for value in node.input if value]
        if inputs and all(value in found for value in inputs):
            made_of = tuple(dict.fromkeys(p for value in inputs for p in found[value]))
            found.update(dict.fromkeys(node.output, made_of))
        elif node.op_type == "Constant":
            found.update(dict.fromkeys(node.output, ()))
    return found


def _noted_scope(text: str) -> str:
    """`['', 'encoder', 'encoder.layer.0', 'linear']`: the last entry is the call itself."""
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return ""
    if not isinstance(scopes, list) or len(scopes) < 2:
        return ""
    return str(scopes[-2])


def _named_scope(name: str) -> str:
    """`/encoder/layer.0/attention/MatMul` as the TorchScript exporter and TensorFlow name nodes."""
    return ".".join(part for part in name.split("/")[:-1] if part)


def _with_scopes(nodes: list[GraphNode], known: dict[str, str | None]) -> list[GraphNode]:
    producer = {value: node.name for node in nodes for value in node.outputs}
    consumers: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        for value in node.inputs:
            consumers[value].append(node.name)
    before, after = dict(known), dict(known)
    for node in nodes:
        feeding = [producer[value] for value in node.inputs if value in producer]
        _inherit(before, node.name, feeding)
    for node in reversed(nodes):
        fed = [name for value in node.outputs for name in consumers[value]]
        _inherit(after, node.name, fed)
    return [
        msgspec.structs.replace(node, scope=_scope_between(before[node.name], after[node.name]))
        for node in nodes
    ]


def _inherit(scopes: dict[str, str | None], name: str, neighbours: list[str]) -> None:
    if scopes[name] is None:
        known = [scopes[other] for other in neighbours if scopes.get(other) is not None]
        scopes[name] = known[0] if known else None


def _scope_between(before: str | None, after: str | None) -> str:
    """The same for a node whose scope is known: it stands on both sides."""
    if before is None or after is None:
        return before or after or ""
    return _shared(before, after)


def _module_of(parameters: tuple[str, ...]) -> str:
    """`layer1.0.conv1.weight` -> `layer1.0.conv1`; empty for names without a path."""
    named = [p.rpartition(".")[0] for p in parameters if "." in p and "/" not in p]
    return named[0] if named else ""


def _shared(one: str, other: str) -> str:
    """The path that both have in common."""
    parts = []
    for left, right in zip(one.split("."), other.split("."), strict=False):
        if left != right:
            break
        parts.append(left)
    return ".".join(parts)
