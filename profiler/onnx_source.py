"""Which nodes of the original ONNX graph a node of the optimized graph stands for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import onnx

# Suffixes that ONNX Runtime's layout optimizer adds to names that it otherwise keeps.
LAYOUT_SUFFIXES = ("_nchwc", "_nhwc", "_NCHWc", "_NHWC")
# Its own nodes, which move elements between layouts and stand for no original node.
LAYOUT_OPS = ("ReorderInput", "ReorderOutput")
# Its convolution adds its fourth input, then applies an activation.
SUM_INPUT = 3


class SourceMap:
    """Maps optimized nodes to original ones; original nodes are named by their first output.

    Value names mostly survive fusion. So an optimized node stands for the original node that made
    its output, and for what lies upstream of it up to the next value that the optimized graph
    still has. Each original node belongs to one optimized node at most; folded ones to none, and
    nodes that only change a layout stand for none.
    """

    def __init__(self, original: onnx.ModelProto, optimized: onnx.ModelProto) -> None:
        self._producers: dict[str, onnx.NodeProto] = {
            output: node for node in original.graph.node for output in node.output if output
        }
        self._consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in original.graph.node:
            for value in node.input:
                self._consumers[value].append(node)
        self._by_name: dict[str, onnx.NodeProto] = {
            node.name: node for node in original.graph.node if node.name
        }
        self._optimized = list(optimized.graph.node)
        # Values in another layout -> the value that they are brought back to.
        self._restored = {
            node.input[0]: node.output[0] for node in self._optimized if _is_layout(node)
        }
        self._owner: dict[str, int] = {}
        self._covers: dict[int, list[str]] = defaultdict(list)
        self._anchor()
        self._claim_fused_behind()
        self._claim_upstream()

    def covers(self, node: onnx.NodeProto) -> tuple[str, ...]:
        """First outputs of the original nodes that `node` stands for, its own result first."""
        for index, candidate in enumerate(self._optimized):
            if candidate is node or (candidate.name and candidate.name == node.name):
                return tuple(self._covers[index])
        return ()

    def by_node_name(self) -> dict[str, tuple[str, ...]]:
        """All optimized nodes by the name that ONNX Runtime's profile gives them."""
        return {
            node.name or f"{node.op_type}_{index}": tuple(self._covers[index])
            for index, node in enumerate(self._optimized)
        }

    def beside(self) -> dict[str, str]:
        """Optimized nodes that stand for none, by profile name: an original node they work for.

        That is the first one downstream, since most prepare something; at the graph's end, the
        first one upstream.
        """
        consumers: dict[str, list[int]] = defaultdict(list)
        producers: dict[str, int] = {}
        for index, node in enumerate(self._optimized):
            producers.update((value, index) for value in node.output if value)
            for value in node.input:
                consumers[value].append(index)

        def after(index: int) -> list[int]:
            return [i for value in self._optimized[index].output for i in consumers[value]]

        def before(index: int) -> list[int]:
            return [producers[v] for v in self._optimized[index].input if v in producers]

        found = {}
        for index, node in enumerate(self._optimized):
            if not self._covers[index]:
                nearest = self._nearest(index, after) or self._nearest(index, before)
                if nearest:
                    found[node.name or f"{node.op_type}_{index}"] = nearest
        return found

    def _nearest(self, start: int, steps: Callable[[int], list[int]]) -> str:
        pending, seen = [start], {start}
        while pending:
            index = pending.pop(0)
            if self._covers[index]:
                return self._covers[index][0]
            new = [i for i in steps(index) if i not in seen]
            seen.update(new)
            pending += new
        return ""

    def _anchor(self) -> None:
        computing = [(i, node) for i, node in enumerate(self._optimized) if not _is_layout(node)]
        for index, node in computing:
            for output in node.output:
                origin = self._origin(self._restored.get(output, output))
                if origin is not None:
                    self._take(index, origin)
        for index, node in computing:
            if not self._covers[index]:
                # The layout optimizer names a node after the value that it stands for; other
                # fusions name values after the nodes that they stand for.
                named = [self._named(node.name) or self._origin(node.name)]
                named += [self._by_name.get(output) for output in node.output]
                for origin in named:
                    if origin is not None:
                        self._take(index, origin)

    def _claim_fused_behind(self) -> None:
        """What a convolution of the layout optimizer does after the value in its name."""
        for index, node in enumerate(self._optimized):
            if not node.domain.endswith("nchwc") or not self._covers[index]:
                continue
            self._claim_behind(index, _fused_behind(node))

    def _claim_behind(self, index: int, op_types: tuple[str, ...]) -> None:
        """Walk forward from the anchor while the next node is of a type that was fused."""
        wanted = list(op_types)
        value = self._covers[index][0]
        while wanted:
            found = [
                node
                for node in self._consumers[value]
                if node.op_type in wanted and node.output[0] not in self._owner
            ]
            if not found:
                return
            value = found[0].output[0]
            wanted = wanted[wanted.index(found[0].op_type) + 1 :]
            self._covers[index].insert(0, value)
            self._owner[value] = index

    def _named(self, name: str) -> onnx.NodeProto | None:
        """The original node of this name; fusions add to it ("fc/MatMul/MatMulAddFusion")."""
        while name and name not in self._by_name:
            name = name.rpartition("/")[0]
        return self._by_name.get(name)

    def _origin(self, value: str) -> onnx.NodeProto | None:
        """The original node that made a value, its layout suffix left out."""
        plain = value
        for suffix in LAYOUT_SUFFIXES:
            plain = plain.partition(suffix)[0]
        return self._producers.get(value) or self._producers.get(plain)

    def _claim_upstream(self) -> None:
        """Walk back from every anchor over unclaimed nodes, in the order of execution."""
        for index, node in enumerate(self._optimized):
            borders = set(node.input)
            pending = [self._producers[output] for output in self._covers[index]]
            while pending:
                for value in pending.pop().input:
                    origin = self._producers.get(value)
                    if origin is None or value in borders or origin.output[0] in self._owner:
                        continue
                    self._take(index, origin)
                    pending.append(origin)

    def _take(self, index: int, origin: onnx.NodeProto) -> None:
        name = origin.output[0]
        if name not in self._owner:
            self._owner[name] = index
            self._covers[index].append(name)


def _is_layout(node: onnx.NodeProto) -> bool:
    return node.op_type in LAYOUT_OPS and node.domain.endswith("nchwc")


def _fused_behind(node: onnx.NodeProto) -> tuple[str, ...]:
    """Types that a convolution of the layout optimizer ends with: a sum, an activation."""
    has_sum = len(node.input) > SUM_INPUT and bool(node.input[SUM_INPUT])
    activations = [a.s.decode() for a in node.attribute if a.name == "activation"]
    return (*(("Add",) if has_sum else ()), *activations)
