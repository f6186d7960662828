"""Inputs, outputs and operators of an ONNX file. Runs in a job process only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from profiler.errors import ModelFileError
from profiler.generation.cache_layout import find_layout
from profiler.onnx_bodies import graphs
from profiler.onnx_light import load_light
from profiler.onnx_trial import sizes_that_run
from profiler.proposals import made_up_symbol, propose_input
from profiler.types import InputSpec, ModelInfo, ModelSource, TensorSpec

# Through these a token input may go on its way to the embedding.
PASS_THROUGH = ("Cast", "Reshape", "Unsqueeze", "Squeeze", "Identity", "Flatten")


def inspect(source: ModelSource) -> ModelInfo:
    """Read the graph without its weights. Raises ModelFileError."""
    path = Path(source.path)
    try:
        model = load_light(path)
    except Exception as error:
        # protobuf raises its own DecodeError, whose module differs between versions.
        raise ModelFileError(
            f"{path.name} is a damaged ONNX file: {error}", "Copy or download it again."
        ) from error
    check_external_data(model, path)
    _check_opset(model, path)
    graph = model.graph
    tensors = list(weight_tensors(graph))
    nodes = [node for part in graphs(graph) for node in part.node]
    op_counts = Counter(_op_name(node) for node in nodes)
    missing = _missing_ops(model)
    weights_bytes = sum(_size_bytes(tensor) for tensor in tensors)
    proposed, outputs = declared_tensors(graph)
    generation, cache_note = find_layout(model, proposed, outputs)
    inputs, note = sizes_that_run(Path(source.path), proposed, weights_bytes)
    return ModelInfo(
        source=msgspec.structs.replace(source, opset=_opset(model)),
        inputs=inputs,
        outputs=outputs,
        parameter_count=sum(_count(tensor) for tensor in tensors),
        weights_bytes=weights_bytes,
        node_count=len(nodes),
        op_counts=dict(op_counts.most_common()),
        missing_torch_ops=missing,
        notes=tuple(filter(None, (note, cache_note))),
        generation=generation,
    )


def declared_tensors(
    graph: onnx.GraphProto,
) -> tuple[tuple[InputSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs with a proposal of how to fill them, and outputs. Raises ModelFileError."""
    weights = {tensor.name for tensor in graph.initializer}
    values = [value for value in graph.input if value.name not in weights]
    inputs = tuple(_input_spec(value, graph) for value in values)
    return inputs, tuple(_tensor_spec(value) for value in graph.output)


def all_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Initializers and the tensors of Constant nodes."""
    for part in graphs(graph):
        yield from part.initializer
        yield from _constants(part)


def weight_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Initializers, and constants that are more than sizes and axes."""
    sizes = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
    for part in graphs(graph):
        yield from part.initializer
        yield from (t for t in _constants(part) if t.data_type not in sizes and _count(t) > 1)


def _constants(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def check_external_data(model: onnx.ModelProto, path: Path) -> None:
    """Every external weights file must lie in the model's folder, and be long enough.

    The model's own file, in which `load_light` leaves them, may be behind a link.
    """
    folder = path.parent.resolve()
    for tensor in all_tensors(model.graph):
        if not uses_external_data(tensor):
            continue
        info = ExternalDataInfo(tensor)
        is_own = info.location == path.name
        target = path if is_own else (folder / info.location).resolve()
        if not is_own and not target.is_relative_to(folder):
            raise ModelFileError(
                f"{path.name} keeps weights outside of its folder: {info.location}.",
                "It was not read, since a model has no business there. Move the file in.",
            )
        if not target.is_file():
            raise ModelFileError(
                f"{path.name} keeps its weights in {info.location}, which is missing.",
                f"Put {info.location} beside it.",
            )
        end = int(info.offset or 0) + int(info.length or 0)
        if target.stat().st_size < end:
            raise ModelFileError(
                f"{info.location}, which holds weights of {path.name}, is truncated.",
                "Copy or download it again.",
            )


def _check_opset(model: onnx.ModelProto, path: Path) -> None:
    newest = onnx.defs.onnx_opset_version()
    opset = _opset(model)
    if opset is None and not any(entry.domain for entry in model.opset_import):
        raise ModelFileError(f"{path.name} names no opset.", "Export it again.")
    if opset is not None and opset > newest:
        raise ModelFileError(
            f"{path.name} has opset {opset}; the newest that is known here is {newest}.",
            "Update onnx and onnxruntime, or export it with an older opset.",
        )


def _opset(model: onnx.ModelProto) -> int | None:
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    return None


def _missing_ops(model: onnx.ModelProto) -> tuple[str, ...]:
    from profiler.onnx_torch import missing_ops

    return missing_ops(model)


def _op_name(node: onnx.NodeProto) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def _input_spec(value: onnx.ValueInfoProto, graph: onnx.GraphProto) -> InputSpec:
    if not value.type.HasField("tensor_type"):
        kind = value.type.WhichOneof("value")
        raise ModelFileError(
            f"Input {value.name} is no tensor but a {kind}.", "Only tensor inputs can be filled."
        )
    spec = _tensor_spec(value)
    proposed = propose_input(spec.name, spec.dtype, spec.shape, _vocabulary(value.name, graph))
    # Without a shape in the file any may be tried.
    has_shape = value.type.tensor_type.HasField("shape")
    return proposed if has_shape else msgspec.structs.replace(proposed, guessed=True)


def _tensor_spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    dims: list[int | str] = []
    for position, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value"):
            dims.append(int(dim.dim_value))
        else:
            dims.append(dim.dim_param or made_up_symbol(value.name, position))
    return TensorSpec(name=value.name, dtype=_dtype_name(tensor.elem_type), shape=tuple(dims))


def _dtype_name(element_type: int) -> str:
    if element_type == onnx.TensorProto.STRING:
        return "str"
    if element_type == onnx.TensorProto.UNDEFINED:
        return "float32"
    return str(onnx.helper.tensor_dtype_to_np_dtype(element_type).name)


def _vocabulary(name: str, graph: onnx.GraphProto) -> int | None:
    """Rows of the smallest table that the input is looked up in, followed through casts."""
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    found = [
        int(weights[node.input[0]][0])
        for node in _consumers(name, graph)
        if node.op_type == "Gather" and weights.get(node.input[0])
    ]
    return min(found, default=None)


def _consumers(name: str, graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    reached = {name}
    for node in graph.node:
        if reached.intersection(node.input):
            if node.op_type in PASS_THROUGH and node.input[0] in reached:
                reached.update(node.output)
            elif len(node.input) > 1 and node.input[1] in reached:
                yield node


def _count(tensor: onnx.TensorProto) -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))


def _size_bytes(tensor: onnx.TensorProto) -> int:
    if tensor.data_type == onnx.TensorProto.STRING:
        return sum(len(item) for item in tensor.string_data)
    return _count(tensor) * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
