"""Build a torch.fx.GraphModule from an ONNX file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import torch

from profiler.errors import ConversionError
from profiler.onnx_inspection import check_external_data
from profiler.onnx_torch.context import DTYPES, Context, ShapeValue, Value
from profiler.onnx_torch.expansion import all_nodes, expanded, owners
from profiler.onnx_torch.folding import folded
from profiler.onnx_torch.registry import handlers, qualified


def import_onnx(path: Path) -> torch.fx.GraphModule:
    """The model as a module whose forward takes tensors in the order of the ONNX inputs.

    It returns a tuple in the order of the outputs. `meta` holds "input_names" and "output_names".
    Weights are parameters under their ONNX names. Each fx node's `meta` holds "onnx_node",
    "onnx_op_type" and "onnx_output" (its ONNX node's first output).
    Raises ConversionError that lists every operator that is missing.
    """
    model = onnx.load(str(path), load_external_data=False)
    check_external_data(model, path)
    plain = expanded(model, _missing)
    if missing := _missing(plain.graph):
        raise ConversionError(
            f"The PyTorch import has no {', '.join(missing)}.",
            "The ONNX Runtime lane still runs. Open the original PyTorch model to compare.",
        )
    onnx.load_external_data_for_model(plain, str(path.parent))
    return _Builder(plain, owners(model.graph, plain.graph)).build()


def missing_ops(model: onnx.ModelProto) -> tuple[str, ...]:
    """Operators that `import_onnx` can't build, sorted: "NonMaxSuppression", "my.domain::Op"."""
    return _missing(expanded(model, _missing).graph)


def _missing(graph: onnx.GraphProto) -> tuple[str, ...]:
    known = handlers()
    names = {qualified(node.domain, node.op_type) for node in all_nodes(graph)}
    return tuple(sorted(name for name in names if name not in known))


class _Builder:
    """State of one import. `shapes` and `dtypes` hold what ONNX's shape inference found."""

    def __init__(self, model: onnx.ModelProto, owners: dict[str, str]) -> None:
        self.graph = torch.fx.Graph()
        self.root = torch.nn.Module()
        self.values: dict[str, Value] = {"": None}
        self.shapes: dict[str, tuple[int | None, ...] | None] = {}
        self.dtypes: dict[str, torch.dtype] = {}
        self._onnx = model.graph
        self._owners = owners
        self._calls: Counter[str] = Counter()
        self._opset_imports = list(model.opset_import)
        self._opsets = {entry.domain: int(entry.version) for entry in model.opset_import}
        self._weights: dict[int, torch.fx.Node] = {}
        self._weight_names: dict[int, str] = {}
        self._infer_shapes(model)

    def build(self) -> torch.fx.GraphModule:
        for tensor in self._onnx.initializer:
            self._add_initializer(tensor)
        weights = {tensor.name for tensor in self._onnx.initializer}
        given = [value for value in self._onnx.input if value.name not in weights]
        inputs = [value.name for value in given]
        for value in given:
            _check_input(value)
            self.values[value.name] = self.graph.placeholder(_identifier(value.name))
        for node in self._onnx.node:
            self._add_node(node)
        outputs = [value.name for value in self._onnx.output]
        results = tuple(self.as_tensor(self._onnx.node[-1], self.values[n]) for n in outputs)
        self.graph.output(results)
        self.graph.eliminate_dead_code()
        self.graph.lint()
        module = torch.fx.GraphModule(self.root, self.graph)
        module.meta["input_names"], module.meta["output_names"] = inputs, outputs
        return module.eval()

    def add_call(
        self,
        origin: onnx.NodeProto,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> torch.fx.Node:
        with_tensors = tuple(self._argument(origin, argument) for argument in arguments)
        named = {name: self._argument(origin, value) for name, value in keywords.items()}
        node = self.graph.create_node(
            "call_function",
            function,
            with_tensors,
            named,
            name=self._call_name(origin),
        )
        node.meta["onnx_node"] = origin.name
        node.meta["onnx_op_type"] = qualified(origin.domain, origin.op_type)
        node.meta["onnx_output"] = self._owners[origin.output[0]]
        return node

    def _call_name(self, origin: onnx.NodeProto) -> str:
        """Two underscores: `Shape_1` could be the name of another ONNX node."""
        count = self._calls[origin.output[0]]
        self._calls[origin.output[0]] += 1
        name = _identifier(origin.name or origin.output[0])
        return f"{name}__{count}" if count else name

    def as_tensor(self, origin: onnx.NodeProto, value: Value) -> torch.fx.Node | None:
        if value is None or isinstance(value, torch.fx.Node):
            return value
        if isinstance(value, np.ndarray):
            return self._weight(value)
        if all(isinstance(d, int) for d in value.dims):
            dims = value.dims[0] if value.scalar else value.dims
            return self._weight(np.array(dims, dtype=np.int64))
        parts = [
            self.add_call(
                origin, torch.ops.aten.scalar_tensor.default, (d,), {"dtype": torch.int64}
            )
            for d in value.dims
        ]
        return parts[0] if value.scalar else self.add_call(origin, torch.stack, (parts,), {})

    def _argument(self, origin: onnx.NodeProto, argument: Any) -> Any:
        if isinstance(argument, np.ndarray | ShapeValue):
            return self.as_tensor(origin, argument)
        if isinstance(argument, list | tuple):
            return type(argument)(self._argument(origin, item) for item in argument)
        return argument

    def _add_initializer(self, tensor: onnx.TensorProto) -> None:
        array = onnx.numpy_helper.to_array(tensor)
        self.values[tensor.name] = array
        self._weight_names[id(array)] = tensor.name
        self.shapes[tensor.name] = tuple(tensor.dims)
        if tensor.data_type in DTYPES:
            self.dtypes[tensor.name] = DTYPES[tensor.data_type]

    def _add_node(self, node: onnx.NodeProto) -> None:
        opset = self._opsets.get(node.domain, self._opsets.get("ai.onnx", 0))
        context = Context(self, node, opset)
        handler = handlers()[qualified(node.domain, node.op_type)]
        inputs = [self.values[name] for name in node.input]
        try:
            result = folded(node, inputs, self._opset_imports) or handler(context, *inputs)
        except ConversionError:
            raise
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise ConversionError(
                f"{node.op_type} ({node.name or node.output[0]}) could not be imported: {error}",
                "The ONNX Runtime lane still runs.",
            ) from error
        results = result if isinstance(result, tuple) else (result,)
        for name, value in zip(node.output, results, strict=False):
            self.values[name] = value

    def _weight(self, array: np.ndarray[Any, Any]) -> torch.fx.Node:
        """A get_attr node for a constant; the same constant is stored once."""
        if id(array) not in self._weights:
            name = self._weight_names.get(id(array), f"constant_{len(self._weights)}")
            target = self._store(name, array)
            with self.graph.inserting_before(self._first_call()):
                self._weights[id(array)] = self.graph.get_attr(target)
            # The key is an id: keep the array alive.
            self.values[f"dualscope constant {id(array)}"] = array
        found: torch.fx.Node = self._weights[id(array)]
        return found

    def _first_call(self) -> torch.fx.Node:
        node: torch.fx.Node
        for node in self.graph.nodes:
            if node.op not in ("placeholder", "get_attr"):
                return node
        root: torch.fx.Node = self.graph._root
        return root

    def _store(self, name: str, array: np.ndarray[Any, Any]) -> str:
        """Place under nested modules, so that "layer1.0.weight" keeps its name."""
        *path, last = [_identifier(part, numbers=True) for part in name.split(".") if part]
        last = _identifier(last)
        owner = self.root
        for part in path:
            child = getattr(owner, part, None)
            if child is None:
                child = torch.nn.Module()
                owner.add_module(part, child)
            if not isinstance(child, torch.nn.Module):
                return self._store(name.replace(".", "_"), array)
            owner = child
        while hasattr(owner, last):
            last += "_"
        tensor = _tensor(array)
        if tensor.is_floating_point():
            owner.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=False))
        else:
            owner.register_buffer(last, tensor)
        return ".".join((*path, last))

    def _infer_shapes(self, model: onnx.ModelProto) -> None:
        # Weights are left out: they are not needed, and may be too large to serialize.
        light = onnx.ModelProto()
        light.CopyFrom(_without_weights(model))
        inferred = onnx.shape_inference.infer_shapes(light, data_prop=True)
        graph = inferred.graph
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            if value.type.HasField("tensor_type") and tensor.HasField("shape"):
                self.shapes[value.name] = tuple(
                    int(d.dim_value) if d.HasField("dim_value") else None for d in tensor.shape.dim
                )
            if tensor.elem_type in DTYPES:
                self.dtypes[value.name] = DTYPES[tensor.elem_type]


LARGE_WEIGHT_ELEMENTS = 1024


def _check_input(value: onnx.ValueInfoProto) -> None:
    if value.type.tensor_type.elem_type not in DTYPES:
        raise ConversionError(
            f"The input {value.name} is no tensor of a type that the PyTorch import has.",
            "The ONNX Runtime lane still runs.",
        )


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose large weights are inputs; small ones stay, since shapes depend on values."""
    graph = onnx.GraphProto()
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    named = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if int(np.prod(tensor.dims, dtype=np.int64)) <= LARGE_WEIGHT_ELEMENTS:
            graph.initializer.append(tensor)
        elif tensor.name not in named:
            graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    light = onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    light.graph.CopyFrom(graph)
    return light


def _tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    # ONNX's arrays may be read-only views of the protobuf's bytes.
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _identifier(name: str, *, numbers: bool = False) -> str:
    found = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    return f"_{found}" if found[0].isdigit() and not numbers else found
