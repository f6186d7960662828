"""Which graph nodes each kernel of torch.compile computes, told by the compiler as it writes them.

The compiler calls one function for every kernel that it puts into its program, in the order in
which they will run. That function is wrapped while a model is compiled. A fused kernel is one loop
over a few buffers: buffers that feed one another are one part of the kernel, buffers that have
nothing to do with one another (weights of ten convolutions brought into another layout) are parts
of their own, each with the bytes that it reads and writes.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
import torch._inductor.codegen.cpp
import torch._inductor.codegen.triton
import torch._inductor.debug
from msgspec import Struct
from torch._inductor.virtualized import V

from profiler.call_matching import common_subsequence
from profiler.engines.torch_trace import scope_of, sources_of
from profiler.op_kinds import GLUE, kind_of
from profiler.operators import common_path
from profiler.types import GraphNode, KernelPart, ModelGraph, OpTiming
from profiler.union_find import UnionFind

# What an FX node is called in the compiler's hands; PyTorch carries "custom" through its passes.
LABEL = "dualscope"
_HOOK = "set_kernel_post_grad_provenance_tracing"
_HOOKED = (torch._inductor.debug, torch._inductor.codegen.cpp, torch._inductor.codegen.triton)


class Kernel(Struct, frozen=True):
    """One call of a kernel; `name` as a trace tells it. `parts` have no dataflow between them."""

    name: str
    parts: tuple[KernelPart, ...]


class KernelSources(Struct):
    """All kernels of a compiled model in the order of execution, and the nodes of its graphs."""

    kernels: list[Kernel] = []
    nodes: dict[str, GraphNode] = {}
    problem: str = ""

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.msgpack.encode(self))

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Note kernels that are compiled meanwhile; the compiler calls its function by modules."""
        original = getattr(torch._inductor.debug, _HOOK)

        def noted(schedule: Any, kernel_name: str, is_extern: bool = False) -> Any:
            try:
                self._note(schedule, kernel_name, is_extern)
            except Exception as error:
                # These are the compiler's own structures, which change; compiling comes first.
                self.problem = f"{type(error).__name__}: {error}"
                self.kernels.append(Kernel(kernel_name, ()))
            return original(schedule, kernel_name, is_extern)

        for module in _HOOKED:
            setattr(module, _HOOK, noted)
        try:
            yield
        finally:
            for module in _HOOKED:
                setattr(module, _HOOK, original)
            _places.cache_clear()
            _written.cache_clear()

    def attribute(self, ops: Sequence[OpTiming]) -> tuple[list[OpTiming], dict[str, Any]]:
        """Operators of one iteration with their nodes and module; parts by operator's name."""
        kernels = _once(self.kernels)
        found = common_subsequence(
            [_plain(op.op_type) for op in ops], [_plain(kernel.name) for kernel in kernels]
        )
        attributed, parts = list(ops), {}
        for index, number in found:
            kernel, op = kernels[number], ops[index]
            names = tuple(dict.fromkeys(name for part in kernel.parts for name in part.nodes))
            attributed[index] = msgspec.structs.replace(
                op, source_nodes=names, scope=self._scope(names)
            )
            if len(kernel.parts) > 1:
                parts[op.name] = kernel.parts
        return attributed, parts

    def graph(self, parts: dict[str, tuple[KernelPart, ...]]) -> ModelGraph:
        return ModelGraph(nodes=tuple(self.nodes.values()), parts=parts)

    def _scope(self, names: Sequence[str]) -> str:
        """The path that the nodes' modules share."""
        nodes = [self.nodes[name] for name in names if name in self.nodes]
        computing = [node for node in nodes if kind_of(node.op_type) not in GLUE] or nodes
        return common_path([node.scope for node in computing])

    def _note(self, schedule: Any, kernel_name: str, is_extern: bool) -> None:
        buffers = [schedule] if is_extern else _buffers(schedule)
        if is_extern:
            computed = [[_made_by(schedule)]]
            parts = [(computed[0], 1)]
        else:
            computed = [_computed(buffer) for buffer in buffers]
            parts = _parts(buffers, computed)
        graph = next(node.graph for nodes in computed for node in nodes)
        number = V.graph.graph_id or 0
        self._note_graph(graph, number)
        whole = sum(size for _, size in parts) or 1
        self.kernels.append(
            Kernel(
                kernel_name,
                tuple(
                    KernelPart(nodes=_labels(nodes, number), share=size / whole)
                    for nodes, size in parts
                ),
            )
        )

    def _note_graph(self, graph: torch.fx.Graph, number: int) -> None:
        """The compiler's nodes, those of one call of the model joined to one."""
        groups: dict[str, list[torch.fx.Node]] = {}
        for node in graph.nodes:
            if node.op == "call_function":
                for label in _labels([node], number):
                    groups.setdefault(label, []).append(node)
        if not groups or next(iter(groups)) in self.nodes:
            return
        for label, nodes in groups.items():
            op_type = _op_type(nodes)
            feeding = [i for node in nodes for i in node.all_input_nodes if i not in nodes]
            self.nodes[label] = GraphNode(
                name=label,
                op_type=op_type,
                inputs=_labels([i for i in feeding if i.op == "call_function"], number),
                outputs=(label,),
                scope=scope_of(nodes[-1]),
                target=op_type,
                target_name=label,
            )


def _once(kernels: Sequence[Kernel]) -> list[Kernel]:
    """Each node with one kernel, the first: the compiler computes small ones in several kernels,
    which doesn't make one region of them. A part keeps its last node anyway.
    """
    taken: set[str] = set()
    found = []
    for kernel in kernels:
        parts = []
        for part in kernel.parts:
            own = tuple(n for n in part.nodes if n not in taken) or part.nodes[-1:]
            parts.append(msgspec.structs.replace(part, nodes=own))
        taken.update(name for part in parts for name in part.nodes)
        found.append(Kernel(kernel.name, tuple(parts)))
    return found


def label_nodes(module: torch.nn.Module) -> None:
    """Give a graph's nodes the names that their kernels are to be told by."""
    if isinstance(module, torch.fx.GraphModule):
        for node in module.graph.nodes:
            labels = sources_of(node) or (node.name,)
            node.meta["custom"] = {**node.meta.get("custom", {}), LABEL: labels}


def load_sources(path: Path) -> KernelSources:
    """What an earlier launch of the lane wrote; empty where it wrote nothing."""
    if not path.exists():
        return KernelSources()
    return msgspec.msgpack.decode(path.read_bytes(), type=KernelSources)


def _labels(nodes: Sequence[torch.fx.Node], number: int) -> tuple[str, ...]:
    """By our own label, else the name in the graph that was captured; unique between graphs."""
    found: dict[str, None] = {}
    for node in nodes:
        if LABEL in node.meta.get("custom", {}):
            found |= dict.fromkeys(node.meta["custom"][LABEL])
            continue
        history = node.meta.get("from_node")
        name = str(history[0].name) if history else node.name
        found[f"{name}@{number}" if number else name] = None
    return tuple(found)


def _op_type(nodes: Sequence[torch.fx.Node]) -> str:
    """Of the last one that computes, as it was before it was taken apart."""
    types = []
    for node in nodes:
        operator: Any = node.meta.get("original_aten") or node.target
        types.append(f"aten::{str(operator).removeprefix('aten.').partition('.')[0]}")
    return next((t for t in reversed(types) if kind_of(t) not in GLUE), types[-1])


def _plain(name: str) -> str:
    """A kernel's name alike in a trace and in the compiler: `aten::addmm`, `extern_kernels.addmm`,
    `graph_0_cpp_fused_relu_2`, `torch.ops.aten.mm.default`.
    """
    name = re.sub(r"^graph_\d+_", "", name).rpartition("::")[2]
    name = name.removesuffix(".default").removesuffix("_out")
    return name.rpartition(".")[2].removeprefix("bias_")


# --- the compiler's structures -----------------------------------------------------------------


def _buffers(schedule: Sequence[Any]) -> list[Any]:
    """Scheduler nodes of a kernel, fused ones one by one; marks between them left out."""
    return [
        inner
        for entry in schedule
        if getattr(entry, "node", None) is not None or hasattr(entry, "snodes")
        for inner in entry.get_nodes()
    ]


def _made_by(buffer: Any) -> torch.fx.Node:
    """The FX node whose value a buffer is: told by the compiler, else the last of its origins."""
    told: torch.fx.Node | None = buffer.origin_node
    return _in_order(buffer.origins)[-1] if told is None else told


def _computed(scheduled: Any) -> list[torch.fx.Node]:
    """FX nodes that a buffer is computed by. Its origins also name nodes that only lead to it:
    those that need buffers which it doesn't read, and those that its last node has no use of.
    """
    given = set()
    for read in scheduled.read_writes.reads:
        buffer = V.graph.try_get_buffer(read.name)
        if buffer is not None and getattr(buffer, "origins", None):
            given.add(_made_by(buffer))
    origins = _in_order(scheduled.node.origins)
    elsewhere = _written(V.graph) | set(origins) | given
    possible: set[torch.fx.Node] = set()
    for node in origins:
        inputs = [i for i in node.all_input_nodes if i in elsewhere and i not in given]
        if node not in given and possible.issuperset(inputs):
            possible.add(node)
    needed: set[torch.fx.Node] = set()
    pending = [origins[-1]]
    while pending:
        node = pending.pop()
        if node not in needed:
            needed.add(node)
            # Also over views, which not all are among the origins.
            pending += [i for i in node.all_input_nodes if i in possible or i not in elsewhere]
    return [node for node in origins if node in needed]


def _in_order(nodes: Any) -> list[torch.fx.Node]:
    calls = [node for node in nodes if node.op == "call_function"] or list(nodes)
    places = _places(calls[0].graph)
    return sorted(calls, key=lambda node: places.get(node, -1))


@functools.lru_cache(maxsize=2)
def _places(graph: torch.fx.Graph) -> dict[torch.fx.Node, int]:
    return {node: place for place, node in enumerate(graph.nodes)}


@functools.lru_cache(maxsize=2)
def _written(graph: Any) -> set[torch.fx.Node]:
    """All FX nodes whose value the compiler keeps in a buffer."""
    return {_made_by(buffer) for buffer in graph.buffers if getattr(buffer, "origins", None)}


def _parts(
    buffers: Sequence[Any], computed: Sequence[list[torch.fx.Node]]
) -> list[tuple[list[torch.fx.Node], int]]:
    """Buffers that feed one another or compute the same nodes, joined; with the bytes moved."""
    sets: UnionFind[Any] = UnionFind()
    for number, (buffer, nodes) in enumerate(zip(buffers, computed, strict=True)):
        written = [dependency.name for dependency in buffer.read_writes.writes]
        sets.unite([number, *written, *nodes])
    for number, buffer in enumerate(buffers):
        inside = {w.name for other in buffers for w in other.read_writes.writes}
        sets.unite([number, *(r.name for r in buffer.read_writes.reads if r.name in inside)])
    groups: dict[Any, tuple[dict[torch.fx.Node, None], int]] = {}
    for number, (buffer, nodes) in enumerate(zip(buffers, computed, strict=True)):
        known, size = groups.get(sets.find(number), ({}, 0))
        moved = sum(_bytes(dependency) for dependency in buffer.read_writes.reads_and_writes())
        groups[sets.find(number)] = (known | dict.fromkeys(nodes), size + moved)
    return [(list(nodes), size) for nodes, size in groups.values()]


def _bytes(dependency: Any) -> int:
    """Of one buffer that is read or written."""
    return int(dependency.numbytes_hint()) if hasattr(dependency, "numbytes_hint") else 0
