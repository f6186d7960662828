"""Shapes and types of a graph's values, from ONNX's inference and, for other domains, ORT's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx
import torch

from profiler.onnx_bodies import all_nodes
from profiler.onnx_torch.expansion import value_types
from profiler.onnx_torch.values import TORCH_TYPES

Shape = tuple[int | None, ...]
# ONNX Runtime's inference may take the rank of the first input for what it does not know; for
# these that is right, or it knows them.
RANK_OF_FIRST_INPUT = frozenset(
    (
        "Attention",
        "BiasGelu",
        "DynamicQuantizeMatMul",
        "EmbedLayerNormalization",
        "FastGelu",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gelu",
        "GroupQueryAttention",
        "MatMulIntegerToFloat",
        "MultiHeadAttention",
        "QAttention",
        "QLinearAdd",
        "QLinearMul",
        "QuickGelu",
        "RotaryEmbedding",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
    )
)


@dataclass
class Inferred:
    """What is known of the values, by name. A shape's dim that isn't known is None.

    `symbols` has the shapes with the names of dims that aren't known, "" without a name.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    symbols: dict[str, tuple[int | str, ...]] = field(default_factory=dict)
    dtypes: dict[str, torch.dtype] = field(default_factory=dict)
    onnx_types: dict[str, int] = field(default_factory=dict)

    def learn(self, types: dict[str, onnx.TypeProto]) -> None:
        """Take over the types of values that a graph declares."""
        for name, value in types.items():
            if value.HasField("tensor_type"):
                self._add(name, value.tensor_type)

    def _add(self, name: str, tensor: onnx.TypeProto.Tensor) -> None:
        if tensor.HasField("shape"):
            self.shapes[name] = tuple(
                int(d.dim_value) if d.HasField("dim_value") else None for d in tensor.shape.dim
            )
            self.symbols[name] = tuple(
                int(d.dim_value) if d.HasField("dim_value") else d.dim_param
                for d in tensor.shape.dim
            )
        if tensor.elem_type in TORCH_TYPES:
            self.onnx_types[name] = tensor.elem_type
            self.dtypes[name] = TORCH_TYPES[tensor.elem_type]


def infer(model: onnx.ModelProto) -> tuple[Inferred, onnx.GraphProto]:
    """For a model whose large weights are inputs; also the graph with what was found in it."""
    found = Inferred()
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (RuntimeError, ValueError):
        # A model may be beyond ONNX's own inference; what the file says is left.
        inferred = model
    types = value_types(inferred.graph)
    if _has_unknown(model.graph, types):
        found.learn(_by_onnx_runtime(inferred))
    found.learn(types)
    return found, inferred.graph


def keeps_types(
    body: onnx.GraphProto,
    given: Sequence[str],
    inferred: Inferred,
    opsets: Sequence[onnx.OperatorSetIdProto],
) -> bool:
    """Whether a loop's body gives what it carries in the types and shapes in which it took it.

    By induction: inputs of the body get what is known of the loop's inputs (`given`, by name), each
    dim that isn't known with a name; what inference then finds for the outputs must be the same.
    """
    carried = body.input[2:]
    inputs = [_declared(i.name, g, inferred) for i, g in zip(carried, given, strict=True)]
    inner = {v.name for v in body.input} | {n for node in body.node for n in node.output}
    used = dict.fromkeys(name for node in all_nodes(body) for name in node.input)
    outer = [
        _declared(name, name, inferred)
        for name in used
        if name in inferred.onnx_types and name not in inner
    ]
    if any(value is None or not value.type.tensor_type.HasField("shape") for value in inputs):
        return False
    graph = onnx.GraphProto(name="body", node=body.node, initializer=body.initializer)
    graph.input.extend([*body.input[:2], *(v for v in (*inputs, *outer) if v is not None)])
    graph.output.extend(onnx.helper.make_empty_tensor_value_info(o.name) for o in body.output)
    try:
        model = onnx.helper.make_model(graph, opset_imports=list(opsets))
        found = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (RuntimeError, ValueError):
        return False
    types = value_types(found) | {value.name: value.type for value in graph.input}
    return all(
        value is not None and out.name in types and types[out.name] == value.type
        for value, out in zip(inputs, body.output[1:], strict=False)
    )


def _declared(name: str, source: str, inferred: Inferred) -> onnx.ValueInfoProto | None:
    """`name` with what is known of `source`; dims that aren't known are called after it."""
    if source not in inferred.onnx_types:
        return None
    shape = inferred.symbols.get(source)
    dims = None if shape is None else [d or f"{source}:{i}" for i, d in enumerate(shape)]
    return onnx.helper.make_tensor_value_info(name, inferred.onnx_types[source], dims)


def _has_unknown(graph: onnx.GraphProto, types: dict[str, onnx.TypeProto]) -> bool:
    """Whether ONNX Runtime may know more: the graph has operators that ONNX does not define."""
    if all(node.domain in ("", "ai.onnx", "ai.onnx.ml") for node in all_nodes(graph)):
        return False
    # It takes the rank of one branch for both: a wrong rank would fold a wrong condition.
    if any(node.op_type in ("If", "Loop", "Scan") for node in graph.node):
        return False
    return any(
        name and (name not in types or not types[name].tensor_type.HasField("shape"))
        for node in all_nodes(graph)
        for name in node.output
    )


def _by_onnx_runtime(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Types by ONNX Runtime's symbolic inference; nothing where it does not know the graph."""
    from onnxruntime.tools.symbolic_shape_infer import SymbolicShapeInference

    fused = {n.op_type for n in all_nodes(model.graph) if n.domain == "com.microsoft"}
    guess = fused <= RANK_OF_FIRST_INPUT
    try:
        # Step by step: its own function writes a file into the current folder when it gives up.
        inference = SymbolicShapeInference(2**31 - 1, guess, guess, 0)
        inference._preprocess(model)
        is_whole = False
        while inference.run_:
            is_whole = inference._infer_impl()
        inference._update_output_from_vi()
    except Exception:
        # It fails in many ways: the import then finds out at run time what it needs.
        return {}
    return value_types(inference.out_mp_.graph) if is_whole else {}
