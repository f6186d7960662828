"""Which operators of two lanes do the same part of the model: a pure function over a session.

docs/alignment.md tells the rules and how well they do.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from profiler.call_matching import Call, match_calls
from profiler.leftovers import LaneGraph, place_leftovers
from profiler.op_kinds import GLUE, kind_of
from profiler.types import GraphNode, ModelGraph, OperatorRow
from profiler.union_find import UnionFind

# ONNX Runtime's quantizer makes "fc_quant" and "fc_quant_output_scale_mul" of "fc".
WRITTEN_BY_QUANTIZER = re.compile(r"(.+?)_quant(?:_\w+)?$")
# ("node", number of the graph, value name) or ("op", lane, index of its row).
Item = tuple[str, int, str | int]


@dataclass(frozen=True)
class LaneOperators:
    """A lane's operators, and the graph that their sources refer to, where it is known."""

    rows: Sequence[OperatorRow]
    graph: ModelGraph


@dataclass
class Part:
    """Operators of both lanes, by the index of their row, that do the same part of the model."""

    rows: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    nodes: tuple[list[GraphNode], list[GraphNode]] = field(default_factory=lambda: ([], []))

    @property
    def shared(self) -> bool:
        """Whether both lanes have operators here."""
        return bool(self.rows[0]) and bool(self.rows[1])


def align(baseline: LaneOperators, candidate: LaneOperators) -> list[Part]:
    """Every operator of both lanes in exactly one part, in the order of execution."""
    same = _same_graph(baseline.graph, candidate.graph)
    if not same:
        baseline = LaneOperators(baseline.rows, _named_after(baseline.graph, candidate.graph))
        candidate = LaneOperators(candidate.rows, _named_after(candidate.graph, baseline.graph))
    lanes = [_Lane(0, 0, baseline), _Lane(1, 0 if same else 1, candidate)]
    sets: UnionFind[Item] = UnionFind()
    for lane in lanes:
        for index, items in enumerate(lane.sources):
            sets.unite([("op", lane.number, index), *items])
    if not same or not all(any(lane.sources) for lane in lanes):
        for left, right in match_calls(lanes[0].calls(), lanes[1].calls()):
            sets.unite([*left, *right])
    place_leftovers(sets, [lane.graph_of_items() for lane in lanes])
    return _collect(sets, lanes)


class _Lane:
    """One lane as items."""

    def __init__(self, number: int, graph_number: int, operators: LaneOperators) -> None:
        self.number = number
        self.graph_number = graph_number
        self.rows = operators.rows
        self.nodes = {node.name: node for node in operators.graph.nodes}
        self._beside = operators.graph.beside
        # Of each row: the nodes it stands for, or one that it works for.
        self.sources = [self._sources(row) for row in self.rows]
        # Rows in the order in which they ran.
        self.order = sorted(range(len(self.rows)), key=lambda index: self.rows[index].start_ns)

    def node(self, name: str) -> Item:
        return ("node", self.graph_number, name)

    def _sources(self, row: OperatorRow) -> list[Item]:
        names = [name for name in row.source_nodes if name in self.nodes]
        if not names and self._beside.get(row.name) in self.nodes:
            names = [self._beside[row.name]]
        return [self.node(name) for name in names]

    def calls(self) -> list[Call[Item]]:
        """What the lane runs, for matching by module and order."""
        calls = self._calls_of_nodes() if any(self.sources) else []
        for index in self.order:
            row = self.rows[index]
            if not self.sources[index]:
                calls.append(
                    Call(
                        items=(("op", self.number, index),),
                        name=row.name,
                        kind=kind_of(row.op_type),
                        scopes=(row.scope,),
                    )
                )
        return calls

    def _calls_of_nodes(self) -> list[Call[Item]]:
        """Nodes that an exporter wrote for one PyTorch call are one call."""
        by_call: dict[tuple[str, str], list[GraphNode]] = defaultdict(list)
        for node in self.nodes.values():
            by_call[(node.scope, node.target_name or node.name)].append(node)
        own = {node.scope for node in self.nodes.values()}
        return [
            Call(
                items=tuple(self.node(node.name) for node in nodes),
                name=name,
                kind=kind_of(nodes[-1].target or _main_type(nodes)),
                scopes=(scope, *_folded_modules(nodes, own)),
            )
            for (scope, name), nodes in by_call.items()
        ]

    def graph_of_items(self) -> LaneGraph[Item]:
        """Who works for whom, for placing what has no partner."""
        operators: dict[Item, tuple[str, bool]] = {}
        followers: dict[Item, list[Item]] = {}
        for place, index in enumerate(self.order):
            row = self.rows[index]
            item: Item = ("op", self.number, index)
            operators[item] = (self._scope(index), kind_of(row.op_type) in GLUE)
            if not self.sources[index]:
                followers[item] = [
                    ("op", self.number, i) for i in self.order[place + 1 : place + 2]
                ]
        consumers: dict[str, list[Item]] = defaultdict(list)
        for node in self.nodes.values():
            for value in node.inputs:
                consumers[value].append(self.node(node.name))
        for node in self.nodes.values():
            followers[self.node(node.name)] = [i for v in node.outputs for i in consumers[v]]
        return LaneGraph(operators=operators, followers=followers)

    def _scope(self, index: int) -> str:
        found = [self.nodes[str(item[2])].scope for item in self.sources[index]]
        return found[0] if found else self.rows[index].scope


def _same_graph(one: ModelGraph, other: ModelGraph) -> bool:
    """Whether node names of both mean the same: two lanes of one file."""
    names = [[(node.name, node.op_type) for node in graph.nodes] for graph in (one, other)]
    return bool(names[0]) and names[0] == names[1]


def _named_after(graph: ModelGraph, other: ModelGraph) -> ModelGraph:
    """What a quantizer wrote in place of a node of `other` lies in that node's module.

    It keeps no note of where a node came from, but names what it writes after the node.
    """
    own = {node.node_name for node in graph.nodes}
    scopes = {n.node_name: n.scope for n in other.nodes if n.node_name and n.node_name not in own}

    def scope(node: GraphNode) -> str:
        found = WRITTEN_BY_QUANTIZER.match(node.node_name)
        return scopes.get(found[1], node.scope) if found else node.scope

    nodes = tuple(msgspec.structs.replace(node, scope=scope(node)) for node in graph.nodes)
    return msgspec.structs.replace(graph, nodes=nodes)


def _folded_modules(nodes: list[GraphNode], own: set[str]) -> tuple[str, ...]:
    """Modules whose weights these nodes read, and which have no node left of their own."""
    modules = [p.rpartition(".")[0] for node in nodes for p in node.parameters if "." in p]
    return tuple(m for m in dict.fromkeys(modules) if m not in own)


def _main_type(nodes: list[GraphNode]) -> str:
    """Of the last node that computes, else of the last."""
    types = [node.op_type for node in nodes]
    return next((t for t in reversed(types) if kind_of(t) not in GLUE), types[-1])


def _collect(sets: UnionFind[Item], lanes: list[_Lane]) -> list[Part]:
    parts: dict[Item, Part] = {}
    for lane in lanes:
        for index in lane.order:
            root = sets.find(("op", lane.number, index))
            parts.setdefault(root, Part()).rows[lane.number].append(index)
    for lane in lanes:
        for node in lane.nodes.values():
            part = parts.get(sets.find(lane.node(node.name)))
            if part is not None:
                part.nodes[lane.number].append(node)
    return list(parts.values())
