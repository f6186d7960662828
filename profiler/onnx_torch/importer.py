"""Build a torch.fx.GraphModule from an ONNX file."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.version_converter
import torch

from profiler.errors import ConversionError
from profiler.onnx_bodies import all_nodes
from profiler.onnx_inspection import check_external_data
from profiler.onnx_light import load_light
from profiler.onnx_torch.builder import Builder, Shared
from profiler.onnx_torch.expansion import expanded, owners
from profiler.onnx_torch.idioms import rewrite
from profiler.onnx_torch.inference import infer
from profiler.onnx_torch.ordering import order_nodes
from profiler.onnx_torch.registry import handlers, qualified
from profiler.onnx_torch.values import TORCH_TYPES
from profiler.onnx_torch.weights import take_weights

OLDEST_OPSET = 7


def import_onnx(path: Path) -> torch.fx.GraphModule:
    """The model as a module whose forward takes tensors in the order of the ONNX inputs.

    It returns a tuple in the order of the outputs. `meta` holds "input_names", "output_names" and
    "data_dependent": names of the ONNX nodes whose work depends on values of tensors, which keep
    `torch.compile` from one graph. Weights are parameters under their ONNX names. Each fx node's
    `meta` holds "onnx_node", "onnx_op_type" and "onnx_output" (its ONNX node's first output); where
    it stands for several ONNX nodes, "onnx_outputs" has the first output of each. "onnx_values" are
    the ONNX values that a node of the outermost graph gives.
    Raises ConversionError that lists every operator that is missing.
    """
    path = path.resolve()
    model = load_light(path)
    check_external_data(model, path)
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in given]
    for value in inputs:
        _check_input(value)
    names = [value.name for value in inputs]
    weights = take_weights(model, path.parent)
    order_nodes(model)
    plain = expanded(_of_known_opset(model), _missing)
    if missing := _missing(plain.graph):
        raise ConversionError(
            f"The PyTorch import has no {', '.join(missing)}.",
            "The ONNX Runtime lane still runs. Open the original PyTorch model to compare.",
        )
    inferred, graph = infer(plain)
    origins = owners(model.graph, plain.graph)
    return _built(graph, Shared(list(plain.opset_import), origins, inferred, weights), names)


def missing_ops(model: onnx.ModelProto) -> tuple[str, ...]:
    """Operators that `import_onnx` can't build, sorted: "ImageDecoder", "my.domain::Op"."""
    return _missing(expanded(model, _missing).graph)


def _built(graph: onnx.GraphProto, shared: Shared, inputs: list[str]) -> torch.fx.GraphModule:
    builder = Builder(shared)
    for name in inputs:
        builder.placeholder(name)
    large = [value.name for value in graph.input if value.name not in inputs]
    builder.add_weights(large)
    values = builder.add_graph(graph)
    origin = graph.node[-1] if graph.node else onnx.NodeProto(output=["output"])
    builder.finish([builder.as_tensor(origin, value) for value in values])
    rewrite(builder.root, builder.graph)
    module = torch.fx.GraphModule(builder.root, builder.graph)
    module.meta["input_names"] = inputs
    module.meta["output_names"] = [value.name for value in graph.output]
    module.meta["data_dependent"] = sorted(set(shared.data_dependent))
    return module.eval()


def _missing(graph: onnx.GraphProto) -> tuple[str, ...]:
    known = handlers()
    names = {qualified(node.domain, node.op_type) for node in all_nodes(graph)}
    return tuple(sorted(name for name in names if name not in known))


def _of_known_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Older than the import knows: as ONNX's own converter brings it up."""
    versions = [int(e.version) for e in model.opset_import if e.domain in ("", "ai.onnx")]
    if not versions or max(versions) >= OLDEST_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, OLDEST_OPSET)
    except (RuntimeError, onnx.version_converter.ConvertError) as error:
        raise ConversionError(
            f"The PyTorch import takes opset {OLDEST_OPSET} and newer; this is {max(versions)}.",
            "Export the model again.",
        ) from error


def _check_input(value: onnx.ValueInfoProto) -> None:
    if value.type.tensor_type.elem_type not in TORCH_TYPES:
        raise ConversionError(
            f"The input {value.name} is no tensor of a type that the PyTorch import has.",
            "The ONNX Runtime lane still runs.",
        )
