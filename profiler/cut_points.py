"""Where two lanes can be compared inside of the model: what the regions of both give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from profiler.alignment import LaneOperators, Part, align
from profiler.node_path import outermost
from profiler.op_kinds import GLUE, kind_of
from profiler.regions import make_regions
from profiler.types import GraphNode, ModelGraph

# So many values of a lane may be a region's result: moves and views may lie behind it.
MOST_CANDIDATES = 4
WITH_BODIES = frozenset({"If", "Loop", "Scan", "SequenceMap"})


@dataclass(frozen=True)
class Cut:
    """A region that both lanes have.

    `values` are the names in each lane that may be its result, likeliest first. `same_names`: the
    lanes share a graph, so that equal names are the same value. `inputs` are indexes of other cuts.
    `has_bodies` is as in `CutPoint`.
    """

    region: str
    nodes: tuple[str, ...]
    values: tuple[tuple[str, ...], tuple[str, ...]]
    inputs: tuple[int, ...]
    same_names: bool
    is_output: bool
    has_bodies: bool = False


def cut_points(lanes: tuple[LaneOperators, LaneOperators]) -> list[Cut]:
    """Regions of both lanes in topological order; lanes without a graph in order of execution."""
    parts = align(*lanes)
    regions = make_regions(parts, lanes, (1.0, 1.0))
    graphs = tuple(_Graph(lane.graph) for lane in lanes)
    same = [n.name for n in lanes[0].graph.nodes] == [n.name for n in lanes[1].graph.nodes]
    number = 0 if lanes[0].graph.nodes else 1
    leading = graphs[number]
    found = []
    for part, region in zip(parts, regions, strict=True):
        values = [_candidates(part, k, lanes[k], graphs[k]) for k in (0, 1)]
        if part.shared and all(values):
            found.append((part, region, (values[0], values[1])))
    found.sort(key=lambda item: _place(item[0], number, lanes, leading))
    owner = {
        node.name: index for index, (part, _, _) in enumerate(found) for node in part.nodes[number]
    }
    callers = _callers(lanes)
    return [
        Cut(
            region=region.name,
            nodes=region.nodes,
            values=values,
            inputs=_inputs(index, part.nodes[number], owner, leading),
            same_names=same and bool(leading.nodes),
            is_output=_gives_output(part, number, leading)
            or (not part.nodes[number] and index == len(found) - 1),
            has_bodies=any(
                node.op_type in WITH_BODIES or node.name in callers
                for node in (*part.nodes[0], *part.nodes[1])
            ),
        )
        for index, (part, region, values) in enumerate(found)
    ]


def _callers(lanes: tuple[LaneOperators, LaneOperators]) -> set[str]:
    """Nodes that call a function, of which an engine told an operator inside."""
    names = {name for lane in lanes for row in lane.rows for name in row.source_nodes}
    return {outermost(name) for name in names if outermost(name) != name}


class _Graph:
    """A lane's graph with who makes and who takes each value."""

    def __init__(self, graph: ModelGraph) -> None:
        self.nodes = graph.nodes
        self.place = {node.name: index for index, node in enumerate(graph.nodes)}
        self.producer = {value: node for node in graph.nodes for value in node.outputs}
        self.consumers: dict[str, list[GraphNode]] = defaultdict(list)
        for node in graph.nodes:
            for value in node.inputs:
                self.consumers[value].append(node)

    def results(self, nodes: Sequence[GraphNode]) -> list[str]:
        """Values that leave these nodes, the last first."""
        own = {node.name for node in nodes}
        found = []
        for node in sorted(nodes, key=lambda n: -self.place.get(n.name, 0)):
            for number, value in enumerate(node.outputs):
                takers = self.consumers[value]
                leaves = any(taker.name not in own for taker in takers)
                if leaves or (not takers and number == 0):
                    found.append(value)
        return found

    def readable(self, value: str) -> list[str]:
        """The value, after the float that it is turned into, where it is a quantized one."""
        floats = [n.name for n in self.consumers[value] if n.op_type == "DequantizeLinear"]
        return [*floats[:1], value]


def _candidates(part: Part, lane: int, operators: LaneOperators, graph: _Graph) -> tuple[str, ...]:
    if part.nodes[lane]:
        names = [v for value in graph.results(part.nodes[lane]) for v in graph.readable(value)]
        return tuple(names[:MOST_CANDIDATES])
    rows = sorted((operators.rows[i] for i in part.rows[lane]), key=lambda row: -row.start_ns)
    # What computes first: a view of it may be the next region's.
    rows.sort(key=lambda row: kind_of(row.op_type) in GLUE)
    return tuple(dict.fromkeys(row.name for row in rows))[:MOST_CANDIDATES]


def _place(
    part: Part, lane: int, lanes: tuple[LaneOperators, LaneOperators], graph: _Graph
) -> tuple[int, int]:
    """The region's last node in the graph, else its last operator in time."""
    places = [graph.place[node.name] for node in part.nodes[lane]]
    starts = [lanes[lane].rows[index].start_ns for index in part.rows[lane]]
    return max(places, default=-1), max(starts, default=0)


def _gives_output(part: Part, lane: int, graph: _Graph) -> bool:
    values = graph.results(part.nodes[lane]) if part.nodes[lane] else []
    return any(not graph.consumers[value] for value in values)


def _inputs(
    index: int, nodes: Sequence[GraphNode], owner: dict[str, int], graph: _Graph
) -> tuple[int, ...]:
    """The nearest cuts upstream, through what one lane has alone. No graph: the one before."""
    if not nodes:
        return (index - 1,) if index else ()
    found: set[int] = set()
    pending, seen = list(nodes), {node.name for node in nodes}
    while pending:
        for value in pending.pop().inputs:
            node = graph.producer.get(value)
            if node is None or node.name in seen:
                continue
            seen.add(node.name)
            if node.name in owner and owner[node.name] != index:
                found.add(owner[node.name])
            else:
                pending.append(node)
    return tuple(sorted(found))
