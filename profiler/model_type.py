"""What kind of model is this? From what the session recorded of its graph, with the evidence."""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from profiler.compare import counted
from profiler.op_kinds import GLUE, display_name, kind_of
from profiler.session import Session
from profiler.types import GraphNode, InputSpec, ModelGraph

# `past_key_values.0.key`, `past_0`, `past_key_self_0`, `cache_k`, `present.0.value`, `kv_cache`.
CACHE = re.compile(
    r"past([_.]|$)|present([_.]|$)|past_key|(^|[_.])k(ey)?_?v(alue)?_?cache|cache_[kv]"
)
STATE = re.compile(r"(^|[_.])(state|hidden|hx|cx|h_?0|c_?0|h|c)(_?in)?$", re.IGNORECASE)
TOKENS = re.compile(r"ids|token", re.IGNORECASE)
ATTENTION_OPS = frozenset({"attention"})
PRODUCTS = frozenset({"matmul"})
RECURRENT = frozenset({"lstm", "gru", "rnn"})
CONVOLUTIONS = frozenset({"conv", "conv_transpose"})
# What scores go through before and after their softmax, besides moves.
WITHIN_ATTENTION = frozenset({"add", "mul", "div", "sub", "where", "isnan", "clip"}) | GLUE
MOST_STEPS = 12


class ModelType(enum.StrEnum):
    VISION_CNN = "vision CNN"
    ENCODER = "encoder"
    AUTOREGRESSIVE = "autoregressive"
    OTHER = "other"


class TypeFound(Struct, frozen=True, kw_only=True):
    """`takes`: "images", "tokens", "sound" or "" where the inputs don't tell. `evidence` in words,
    the strongest first.
    """

    type: ModelType
    takes: str
    evidence: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """`encoder of images: 12 attention blocks; ...`"""
        of = f" of {self.takes}" if self.takes and self.type is ModelType.ENCODER else ""
        return f"{self.type}{of}: {'; '.join(self.evidence)}"


def recognize(session: Session) -> TypeFound:
    """By the largest graph that a lane told of, else by the operators that were traced."""
    inputs = session.plan.inputs if session.plan else ()
    outputs = next((r.output_names for r in session.ready.values() if r.output_names), ())
    graphs = [described.graph for described in session.graphs.values()]
    graph = max(graphs, key=lambda found: len(found.nodes), default=ModelGraph(nodes=()))
    traced = [row.op_type for label in session.labels() for row in session.operators(label)]
    return recognize_graph(graph, inputs, outputs, traced)


def recognize_graph(
    graph: ModelGraph,
    inputs: Sequence[InputSpec],
    outputs: Sequence[str] = (),
    traced: Sequence[str] = (),
) -> TypeFound:
    """`traced`: op types of any lane, which count where the graph has none of that kind."""
    takes, seen = _takes(inputs)
    kinds = Counter(kind_of(node.op_type) for node in graph.nodes)
    for kind, count in Counter(kind_of(op_type) for op_type in traced).items():
        kinds.setdefault(kind, count)
    attention = attention_blocks(graph) or sum(kinds[kind] for kind in ATTENTION_OPS)
    convolutions = sum(kinds[kind] for kind in CONVOLUTIONS)
    blocks = counted(attention, "attention block")

    def found(kind: ModelType, *evidence: str) -> TypeFound:
        known = tuple(text for text in (*evidence, seen) if text)
        return TypeFound(type=kind, takes=takes, evidence=known)

    cache = [name for name in (*(spec.name for spec in inputs), *outputs) if CACHE.search(name)]
    if cache:
        return found(ModelType.AUTOREGRESSIVE, _cache_words(cache), *graph.causal[:1])
    if attention and (graph.causal or kinds["tril"]):
        causal = graph.causal[:2] or ("tril makes a triangular mask",)
        return found(ModelType.AUTOREGRESSIVE, *causal, blocks, "no key-value cache is passed on")
    if recurrent := RECURRENT & kinds.keys():
        return found(ModelType.OTHER, f"recurrent ({', '.join(sorted(recurrent)).upper()})")
    if states := [spec.name for spec in inputs if STATE.search(spec.name)]:
        return found(ModelType.OTHER, f"it passes a state on from call to call ({states[0]})")
    if attention and convolutions > attention * 2:
        both = f"{counted(convolutions, 'convolution')} and {blocks}"
        return found(ModelType.OTHER, f"a hybrid: {both}")
    if attention:
        return found(ModelType.ENCODER, blocks, "nothing that makes attention look back only")
    if convolutions and takes == "images":
        return found(
            ModelType.VISION_CNN, counted(convolutions, "convolution"), "no attention block"
        )
    most = [f"{display_name(kind)} {n}" for kind, n in kinds.most_common() if kind not in GLUE][:4]
    if not most:
        return found(ModelType.OTHER, "no lane told its graph or operators")
    return found(ModelType.OTHER, f"most operators: {', '.join(most)}")


def attention_blocks(graph: ModelGraph) -> int:
    """Fused attention operators, and softmaxes between two products of computed values."""
    nodes = {value: node for node in graph.nodes for value in node.outputs or (node.name,)}
    users: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            users.setdefault(value, []).append(node)
    count = 0
    for node in graph.nodes:
        kind = kind_of(node.op_type)
        count += kind in ATTENTION_OPS or (
            kind == "softmax"
            and _reaches(node, lambda n: [nodes[v] for v in n.inputs if v in nodes])
            and _reaches(node, lambda n: [u for v in n.outputs for u in users.get(v, ())])
        )
    return count


def _reaches(start: GraphNode, following: Callable[[GraphNode], list[GraphNode]]) -> bool:
    """Whether a product lies this way, with nothing between but what belongs to attention."""
    waiting, seen = [(node, 1) for node in following(start)], {start.name}
    while waiting:
        node, steps = waiting.pop()
        if node.name in seen or steps > MOST_STEPS:
            continue
        seen.add(node.name)
        kind = kind_of(node.op_type)
        if kind in PRODUCTS and not node.parameters:
            return True
        if kind in WITHIN_ATTENTION:
            waiting += [(more, steps + 1) for more in following(node)]
    return False


def _cache_words(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"a key-value cache is passed on ({names[0]}{rest})"


def _takes(inputs: Sequence[InputSpec]) -> tuple[str, str]:
    """What goes in, and the input that shows it."""
    for spec in inputs:
        shape, floating = spec.shape, "float" in spec.dtype
        words = f"{spec.name} {spec.dtype}{list(shape)}"
        if CACHE.search(spec.name):
            continue
        if len(shape) == 4 and (shape[1] in (1, 3, 4) or shape[-1] in (1, 3, 4)):
            return "images", f"input {words} is an image"
        if not floating and len(shape) <= 2 and (len(shape) == 2 or TOKENS.search(spec.name)):
            return "tokens", f"input {words} is tokens"
        if floating and len(shape) == 3 and shape[1] in (40, 64, 80, 128) and shape[2] > shape[1]:
            return "sound", f"input {words} is a spectrogram"
    return "", f"input {inputs[0].name} {inputs[0].dtype}{list(inputs[0].shape)}" if inputs else ""
