"""What is known of a lane's inside: operators, graph, and what was looked at in its process."""

from __future__ import annotations

from msgspec import Struct


class OpTiming(Struct, frozen=True, kw_only=True, array_like=True):
    """One operator call in a traced round.

    `source_nodes` are the graph nodes it covers, each named by its first output's value name.
    `start_ns` counts from the start of the iteration. `scope` is the module path, where known.
    `output_bytes` is the size of its outputs; ONNX Runtime also tells the sizes of an operator's
    inputs and weights, how many of its threads took part, and how long the calling one waited for
    the others. 0 where it isn't known.
    """

    name: str
    op_type: str
    start_ns: int
    duration_ns: int
    source_nodes: tuple[str, ...] = ()
    device: str = "cpu"
    scope: str = ""
    iteration: int = 0
    thread: int = 0
    shapes: str = ""
    provider: str = ""
    input_bytes: int = 0
    weights_bytes: int = 0
    output_bytes: int = 0
    threads: int = 0
    wait_ns: int = 0


class GraphNode(Struct, frozen=True, kw_only=True, array_like=True):
    """One node of a model's graph, as the file has it, named by its first output's value name.

    `scope` is the module path it comes from; `target` the PyTorch operator that the exporter wrote
    it for ("aten::linear"), and `target_name` that call's name in the exported program. What isn't
    known is empty. `parameters` are weights that it reads, also through nodes that only fold.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    scope: str = ""
    parameters: tuple[str, ...] = ()
    target: str = ""
    target_name: str = ""
    node_name: str = ""


class KernelPart(Struct, frozen=True, kw_only=True, array_like=True):
    """Nodes that a fused kernel computes, without dataflow to its other parts.

    `share` of the kernel's time is an estimate: that of the bytes which it reads and writes.
    """

    nodes: tuple[str, ...]
    share: float


class ModelGraph(Struct, frozen=True, kw_only=True):
    """The graph that a lane's `source_nodes` refer to.

    `beside`: operators that stand for no node of it (layout changes, inserted reshapes), by name,
    each with a node that it works for. `outputs`: the model's own, by value name; empty where
    unknown. `causal`: what shows that attention looks back only, in words. `parts`: kernels that do
    several things side by side, by name.
    """

    nodes: tuple[GraphNode, ...]
    outputs: tuple[str, ...] = ()
    beside: dict[str, str] = {}
    causal: tuple[str, ...] = ()
    parts: dict[str, tuple[KernelPart, ...]] = {}


class Ceiling(Struct, frozen=True, kw_only=True):
    """The best that an engine reached on large, simple operators in float32; `how`: on which."""

    flops_per_s: float
    bytes_per_s: float
    how: str


class ThreadUse(Struct, frozen=True, kw_only=True):
    """A lane's threads for work within operators, the calling one included; `inter_op` across them.

    How many took part in an operator, and how long one waited, is in `OpTiming`.
    """

    threads: int
    inter_op: int = 0


class KernelUse(Struct, frozen=True, kw_only=True):
    """GPU kernels of the traced calls. `busy_ns`: at least one ran; `span_ns`: first to last."""

    kernels: int
    busy_ns: int
    span_ns: int


class Compilation(Struct, frozen=True, kw_only=True):
    """What torch.compile counted up to the first trace; `reasons` are its own words."""

    graph_breaks: int = 0
    break_reasons: tuple[str, ...] = ()
    recompiles: int = 0
    recompile_reasons: tuple[str, ...] = ()


class Examined(Struct, frozen=True, kw_only=True):
    """What is looked at in a lane's process at its first trace; None: it has no such thing."""

    ceiling: Ceiling | None = None
    threads: ThreadUse | None = None
    kernels: KernelUse | None = None
    compilation: Compilation | None = None


class OutputDifference(Struct, frozen=True, kw_only=True):
    """How far a candidate's output is from the baseline's on the same inputs."""

    name: str
    max_abs: float
    max_rel: float
    cosine: float
    argmax_agreement: float | None
    nan_count: int
    inf_count: int
    within_tolerance: bool
    note: str = ""


class CutPoint(Struct, frozen=True, kw_only=True):
    """What a region of both lanes gives, on the same inputs.

    `values` are its names in the baseline and in the candidate; `inputs` the indexes of the cut
    points that it is made from; `nodes` the region's graph nodes. `relative` is the norm of the
    difference over the baseline's norm. Without a `difference`, `note` says why. `has_bodies`: a
    node of it has others inside (an If, Loop or Scan, a function), whose values are in no point.
    """

    region: str
    values: tuple[str, str]
    nodes: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()
    is_output: bool = False
    relative: float | None = None
    difference: OutputDifference | None = None
    note: str = ""
    has_bodies: bool = False
