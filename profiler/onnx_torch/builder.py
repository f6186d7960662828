"""Build one fx graph from one ONNX graph, and graphs of its branches and loop bodies."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import psutil
import torch

from profiler.errors import ConversionError, ProfilerError
from profiler.onnx_torch.context import Context
from profiler.onnx_torch.expansion import value_types
from profiler.onnx_torch.folding import folded
from profiler.onnx_torch.inference import Inferred
from profiler.onnx_torch.registry import handlers, qualified
from profiler.onnx_torch.values import Array, ShapeValue, Value, known_array, to_tensor


@dataclass
class Shared:
    """What the builders of one model share. `weight_names` goes by the identity of an array."""

    opset_imports: Sequence[onnx.OperatorSetIdProto]
    owners: dict[str, str]
    inferred: Inferred
    weights: dict[str, Array]
    weight_names: dict[int, str] = field(default_factory=dict)
    # The array is kept so that its identity stays its own.
    tensors: dict[int, tuple[Array, torch.Tensor]] = field(default_factory=dict)
    data_dependent: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    # What weights of few bits may still grow by when they are unpacked.
    spare_bytes: int = field(default_factory=lambda: psutil.virtual_memory().available // 2)

    def opset(self, domain: str) -> int:
        domains = ("", "ai.onnx") if domain in ("", "ai.onnx") else (domain,)
        return max((int(e.version) for e in self.opset_imports if e.domain in domains), default=1)

    def tensor(self, array: Array) -> torch.Tensor:
        """The array as a parameter, or as a plain tensor when it has no floats."""
        if id(array) not in self.tensors:
            tensor = to_tensor(array)
            if tensor.is_floating_point() or tensor.is_complex():
                tensor = torch.nn.Parameter(tensor, requires_grad=False)
            self.tensors[id(array)] = (array, tensor)
        return self.tensors[id(array)][1]


class Builder:
    """State of one graph; a nested one sees the values of its parent."""

    def __init__(self, shared: Shared, parent: Builder | None = None) -> None:
        self.shared = shared
        self.graph = torch.fx.Graph()
        self.root = torch.nn.Module()
        self.captured: dict[torch.fx.Node, torch.fx.Node] = {}
        self._parent = parent
        self._values: dict[str, Value] = {"": None}
        self._weights: dict[int, torch.fx.Node] = {}
        self._device: torch.fx.Node | None = None

    @property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        return self.shared.inferred.shapes

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        return self.shared.inferred.dtypes

    @property
    def onnx_types(self) -> dict[str, int]:
        return self.shared.inferred.onnx_types

    def value(self, name: str) -> Value:
        """A value by its ONNX name; one of an outer graph becomes an input of this one."""
        if name in self._values:
            return self._values[name]
        if self._parent is None:
            raise ConversionError(
                f"The graph uses {name}, which nothing in it makes.", "Export the model again."
            )
        found = self._brought_in(self._parent.value(name))
        self._values[name] = found
        return found

    def placeholder(self, name: str) -> torch.fx.Node:
        """An input of this graph."""
        node = self.graph.placeholder(identifier(name))
        self._values[name] = node
        return node

    def add_graph(self, graph: onnx.GraphProto) -> list[Value]:
        """Add initializers and nodes; returns the values of the graph's outputs."""
        for tensor in graph.initializer:
            self._add_weight(tensor.name)
        for node in graph.node:
            self._add_node(node)
        return [self.value(output.name) for output in graph.output]

    def inline(self, graph: onnx.GraphProto) -> list[Value]:
        """The outputs of a nested graph that is known to run, as part of this one."""
        self._learn(graph)
        return self.add_graph(graph)

    def nested(
        self, graph: onnx.GraphProto, origin: onnx.NodeProto
    ) -> tuple[torch.fx.GraphModule, list[torch.fx.Node], list[Value]]:
        """A module of a nested graph, what it takes beside its own inputs, and its outputs."""
        self._learn(graph)
        inner = Builder(self.shared, parent=self)
        for value in graph.input:
            inner.placeholder(value.name)
        outputs = inner.add_graph(graph)
        inner.finish([inner.as_tensor(origin, value) for value in outputs])
        return (
            torch.fx.GraphModule(inner.root, inner.graph),
            list(inner.captured),
            outputs,
        )

    def finish(self, results: Sequence[torch.fx.Node | None]) -> None:
        self.graph.output(tuple(results))
        self.graph.eliminate_dead_code()
        self.graph.lint()

    def attach(self, module: torch.fx.GraphModule, name: str) -> torch.fx.Node:
        """Make a nested module part of this one; returns the node that stands for it."""
        target = identifier(name)
        while hasattr(self.root, target):
            target += "_"
        self.root.add_module(target, module)
        with self.graph.inserting_before(self._first_call()):
            return self.graph.get_attr(target)

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
            "call_function", function, with_tensors, named, name=self._call_name(origin)
        )
        node.meta["onnx_node"] = origin.name
        node.meta["onnx_op_type"] = qualified(origin.domain, origin.op_type)
        first = next(name for name in origin.output if name)
        node.meta["onnx_output"] = self.shared.owners.get(first, first)
        return node

    def device(self, origin: onnx.NodeProto) -> torch.fx.Node | None:
        """A node for the device of the model's first input; None in a nested graph."""
        if self._parent is not None:
            return None
        first = next((node for node in self.graph.nodes if node.op == "placeholder"), None)
        if self._device is None and first is not None:
            self._device = self.add_call(origin, getattr, (first, "device"), {})
        return self._device

    def as_tensor(self, origin: onnx.NodeProto, value: Value) -> torch.fx.Node | None:
        if value is None or isinstance(value, torch.fx.Node):
            return value
        if (array := known_array(value)) is not None:
            return self._weight(array)
        assert isinstance(value, ShapeValue)
        if value.dtype is torch.bool:
            arguments = (value.dims, value.scalar, self.device(origin))
            return self.add_call(origin, flags_tensor, arguments, {})
        make = torch.ops.aten.scalar_tensor.default
        named = {"dtype": value.dtype, "device": self.device(origin)}
        parts = [self.add_call(origin, make, (d,), named) for d in value.dims]
        return parts[0] if value.scalar else self.add_call(origin, torch.stack, (parts,), {})

    def _call_name(self, origin: onnx.NodeProto) -> str:
        """Two underscores: `Shape_1` could be the name of another ONNX node."""
        first = next(name for name in origin.output if name)
        count = self.shared.calls[first]
        self.shared.calls[first] += 1
        name = identifier(origin.name or first)
        return f"{name}__{count}" if count else name

    def _brought_in(self, value: Value) -> Value:
        if isinstance(value, torch.fx.Node):
            return self._capture(value)
        if isinstance(value, ShapeValue):
            dims = tuple(d if isinstance(d, int) else self._capture(d) for d in value.dims)
            return ShapeValue(dims, value.scalar, value.dtype)
        return value

    def _capture(self, node: torch.fx.Node) -> torch.fx.Node:
        if node not in self.captured:
            with self.graph.inserting_before(self._first_call()):
                self.captured[node] = self.graph.placeholder(f"outer_{node.name}")
        return self.captured[node]

    def _argument(self, origin: onnx.NodeProto, argument: Any) -> Any:
        if isinstance(argument, np.ndarray | ShapeValue):
            return self.as_tensor(origin, argument)
        if isinstance(argument, list | tuple):
            return type(argument)(self._argument(origin, item) for item in argument)
        return argument

    def _add_weight(self, name: str) -> None:
        array = self.shared.weights[name]
        self._values[name] = array
        self.shared.weight_names[id(array)] = name

    def takes_name(self, array: Array, name: str) -> None:
        """The array stands for the weight `name` in another form."""
        self.shared.weight_names[id(array)] = name

    def add_weights(self, names: Sequence[str]) -> None:
        for name in names:
            self._add_weight(name)

    def _add_node(self, node: onnx.NodeProto) -> None:
        context = Context(self, node, self.shared.opset(node.domain))
        handler = handlers()[qualified(node.domain, node.op_type)]
        inputs = [self.value(name) for name in node.input]
        try:
            result = folded(node, inputs, self.shared.opset_imports) or handler(context, *inputs)
        except ProfilerError:
            raise
        except Exception as error:
            raise ConversionError(
                f"{node.op_type} ({node.name or node.output[0]}) could not be imported: {error}",
                "The ONNX Runtime lane still runs.",
            ) from error
        results = result if isinstance(result, tuple) else (result,)
        for name, value in zip(node.output, results, strict=False):
            if name:
                self._values[name] = value
                if isinstance(value, torch.fx.Node) and self._parent is None:
                    value.meta["onnx_values"] = (*value.meta.get("onnx_values", ()), name)

    def _weight(self, array: Array) -> torch.fx.Node:
        """A get_attr node for a constant; the same constant is stored once."""
        tensor = self.shared.tensor(array)
        if id(array) not in self._weights:
            name = self.shared.weight_names.get(id(array), f"constant_{len(self._weights)}")
            with self.graph.inserting_before(self._first_call()):
                self._weights[id(array)] = self.graph.get_attr(self._store(name, tensor))
        return self._weights[id(array)]

    def _first_call(self) -> torch.fx.Node:
        node: torch.fx.Node
        for node in self.graph.nodes:
            if node.op not in ("placeholder", "get_attr"):
                return node
        root: torch.fx.Node = self.graph._root
        return root

    def _store(self, name: str, tensor: torch.Tensor) -> str:
        """Place under nested modules, so that "layer1.0.weight" keeps its name."""
        *path, last = [identifier(part, numbers=True) for part in name.split(".") if part]
        last = identifier(last)
        owner = self.root
        for part in path:
            child = getattr(owner, part, None)
            if child is None:
                child = torch.nn.Module()
                owner.add_module(part, child)
            if not isinstance(child, torch.nn.Module):
                return self._store(name.replace(".", "_"), tensor)
            owner = child
        while hasattr(owner, last):
            last += "_"
        if isinstance(tensor, torch.nn.Parameter):
            owner.register_parameter(last, tensor)
        else:
            owner.register_buffer(last, tensor)
        return ".".join((*path, last))

    def _learn(self, graph: onnx.GraphProto) -> None:
        """Sibling graphs may use one name for two values: the last that is entered counts."""
        self.shared.inferred.learn(value_types(graph))


def flags_tensor(flags: Sequence[bool], scalar: bool, device: Any) -> torch.Tensor:
    """What was found out about sizes, as a tensor."""
    found = torch.tensor([bool(flag) for flag in flags], device=device)
    return found[0] if scalar else found


def identifier(name: str, *, numbers: bool = False) -> str:
    found = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    if keyword.iskeyword(found):
        return f"{found}_"
    return f"_{found}" if found[0].isdigit() and not numbers else found
