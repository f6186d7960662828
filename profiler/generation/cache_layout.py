"""Which inputs and outputs of an ONNX model are its KV cache. Runs in child processes only.

Three conventions are known: Optimum's (`past_key_values.0.key` and `present.0.key`), the same with
GroupQueryAttention nodes, which onnxruntime-genai's builder writes (past and present may be one
buffer), and what PyTorch's exporter makes of a cache, whose outputs have any names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from profiler.errors import EngineError
from profiler.onnx_light import load_light
from profiler.types import CacheLayout, CacheTensor, InputSpec, TensorSpec

# past_key_values.0.key; past_0_1; past_key_values_key_cache_0; cache_value_cache_3; past.0.value
PAST = re.compile(r"^(past|cache)([._]|$)")
PRESENT = re.compile(r"^present([._]|$)")
ROLES = {
    "attention_mask": "attention_mask",
    "position_ids": "position_ids",
    "cache_position": "cache_position",
    "use_cache_branch": "use_cache_branch",
    "total_sequence_length": "total_length",
    "total_seq_len": "total_length",
    "past_sequence_length": "past_length",
    "past_seq_len": "past_length",
    "seqlens_k": "past_length",
}
TOKENS = ("input_ids", "input", "tokens", "decoder_input_ids")
# Shapes of the cache pass through these on the way to an output.
PASS_THROUGH = frozenset({"Identity", "Cast", "Transpose", "Reshape"})
SHARING = "GroupQueryAttention"


def find_layout(
    model: onnx.ModelProto, inputs: Sequence[InputSpec], outputs: Sequence[TensorSpec]
) -> tuple[CacheLayout | None, str]:
    """The layout of the model's KV cache, or None; and why a cache that it has can't be used."""
    declared = {value.name: _dims(value) for value in model.graph.input}
    specs = {spec.name: spec for spec in inputs}
    past = [spec.name for spec in inputs if PAST.match(spec.name) and len(declared[spec.name]) >= 3]
    tokens = next((name for name in TOKENS if name in specs and name not in past), "")
    if not past or not tokens:
        return None, "" if not past else "It has a KV cache, but no input of tokens."
    roles, unknown = {}, []
    for name in specs:
        if name in past or name == tokens:
            continue
        if name in ROLES:
            roles[name] = ROLES[name]
        else:
            unknown.append(name)
    if unknown:
        return None, f"It has a KV cache, but takes what a lane can't make up: {unknown[0]}."
    present = _presents(model.graph, past, outputs)
    logits = _logits(outputs, set(present.values()))
    if len(present) < len(past) or not logits:
        return None, "It takes a KV cache, but its outputs don't tell which one continues it."
    cache = tuple(
        CacheTensor(
            past=name,
            present=present[name],
            dtype=specs[name].dtype,
            shape=declared[name],
            axis=_token_axis(declared[name], declared[tokens]),
        )
        for name in past
    )
    vocabulary = _vocabulary(specs[tokens], next(o for o in outputs if o.name == logits))
    first = cache[0]
    batch = declared[tokens][0] if declared[tokens] else 1
    shared = _shares(model.graph, cache)
    return CacheLayout(
        convention=_convention(past, shared),
        tokens=tokens,
        logits=logits,
        cache=cache,
        roles=roles,
        dtypes={name: specs[name].dtype for name in (tokens, *roles)},
        layers=max(1, len(cache) // 2),
        heads=_size(first.shape[1]) if first.axis != 1 else _size(first.shape[2]),
        head_size=_size(first.shape[-1]),
        vocabulary=vocabulary,
        most_tokens=_positions(model.graph),
        batch=batch if isinstance(batch, int) and batch > 0 else 1,
        shared_buffer=shared,
    ), ""


def _dims(value: onnx.ValueInfoProto) -> tuple[int | str, ...]:
    return tuple(
        int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or f"dim{place}"
        for place, dim in enumerate(value.type.tensor_type.shape.dim)
    )


def _presents(
    graph: onnx.GraphProto, past: Sequence[str], outputs: Sequence[TensorSpec]
) -> dict[str, str]:
    """The output that continues each past input: by name, else by the graph, else by order."""
    names = [output.name for output in outputs]
    by_place = {_place(name): name for name in names if PRESENT.match(name)}
    if all(_place(name) in by_place for name in past):
        return {name: by_place[_place(name)] for name in past}
    traced = _traced(graph, set(past), names)
    if len(traced) == len(past):
        return traced
    ranks = {len(dims) for name, dims in _declared(graph).items() if name in past}
    rest = [output.name for output in outputs if len(output.shape) in ranks]
    return dict(zip(past, rest, strict=True)) if len(rest) == len(past) else {}


def _place(name: str) -> str:
    """`past_key_values.0.key` and `present.0.key` are at `0.key`."""
    return re.sub(r"^(past_key_values|past|present_key_values|present|cache)[._]", "", name)


def _declared(graph: onnx.GraphProto) -> dict[str, tuple[int | str, ...]]:
    return {value.name: _dims(value) for value in graph.input}


def _traced(graph: onnx.GraphProto, past: set[str], outputs: Sequence[str]) -> dict[str, str]:
    """Outputs that an operator makes by appending to a past input."""
    made = {name: node for node in graph.node for name in node.output}
    found: dict[str, str] = {}
    for output in outputs:
        node = made.get(output)
        while node is not None and node.op_type in PASS_THROUGH:
            node = made.get(node.input[0])
        if node is None:
            continue
        place = list(node.output).index(output) if output in node.output else 0
        if node.op_type == SHARING and place in (1, 2):
            sources = {node.input[place + 2]} & past
        else:
            sources = {_root(name, made) for name in node.input} & past
        if node.op_type in ("Concat", SHARING) and len(sources) == 1:
            found[sources.pop()] = output
    return found


def _root(name: str, made: Mapping[str, onnx.NodeProto]) -> str:
    while name in made and made[name].op_type in PASS_THROUGH:
        name = made[name].input[0]
    return name


def _logits(outputs: Sequence[TensorSpec], presents: set[str]) -> str:
    """`logits`, else the first other output with three dimensions."""
    rest = [output for output in outputs if output.name not in presents]
    named = [output.name for output in rest if output.name == "logits"]
    return next(iter(named + [o.name for o in rest if len(o.shape) == 3]), "")


def _token_axis(shape: tuple[int | str, ...], tokens: tuple[int | str, ...]) -> int:
    """The dimension that grows: dynamic, and not the batch."""
    batch = tokens[0] if tokens else None
    dynamic = [
        place for place, dim in enumerate(shape) if isinstance(dim, str) and (place or dim != batch)
    ]
    dynamic = [place for place in dynamic if place] or [2]
    named = [p for p in dynamic if re.search(r"past|seq|len", str(shape[p]))]
    return (named or dynamic)[0]


def _vocabulary(tokens: InputSpec, logits: TensorSpec) -> int:
    last = logits.shape[-1] if logits.shape else 0
    if isinstance(last, int) and last > 0:
        return min(last, tokens.limit or last)
    return tokens.limit or 0


def _positions(graph: onnx.GraphProto) -> int:
    """Rows of a table that positions are looked up in; 0 where there is none to be seen."""
    weights = {tensor.name: tensor.dims for tensor in graph.initializer}
    found = [
        int(weights[node.input[0]][0])
        for node in graph.node
        if node.op_type == "Gather"
        and len(weights.get(node.input[0], ())) == 2
        and re.search(r"wpe|position_emb|embed_positions", node.input[0])
    ]
    return min(found, default=0)


def _shares(graph: onnx.GraphProto, cache: Sequence[CacheTensor]) -> bool:
    """Whether every past input goes into GroupQueryAttention, and its output is the present."""
    pairs = {
        (node.input[3 + which], node.output[1 + which])
        for node in graph.node
        if node.op_type == SHARING and len(node.input) > 4 and len(node.output) > 2
        for which in (0, 1)
    }
    readers = [name for node in graph.node for name in node.input]
    return bool(cache) and all(
        (tensor.past, tensor.present) in pairs and readers.count(tensor.past) == 1
        for tensor in cache
    )


def _convention(past: Sequence[str], shared: bool) -> str:
    if shared:
        return "onnxruntime-genai"
    if all(re.fullmatch(r"past_key_values\.\d+\.(key|value)", name) for name in past):
        return "Optimum"
    return "PyTorch's exporter"


def _size(dim: int | str) -> int:
    return dim if isinstance(dim, int) else 0


def read_layout(path: Path) -> CacheLayout:
    """Of a file. Raises EngineError for one that can't generate text."""
    from profiler.onnx_inspection import declared_tensors

    model = load_light(path)
    layout, note = find_layout(model, *declared_tensors(model.graph))
    if layout is None:
        raise EngineError(
            f"{path.name} can't generate text. {note or 'It has no KV cache.'}",
            "Export it with a cache: Optimum's task text-generation-with-past, or "
            "onnxruntime-genai's model builder.",
        )
    return layout
