"""Commands and replies between the supervisor and an engine process."""

from __future__ import annotations

from msgspec import Struct

from profiler.types.events import Generations
from profiler.types.models import InputSpec, ModelSource
from profiler.types.plans import EngineSpec, GenerationPlan
from profiler.types.traces import Examined, ModelGraph, OpTiming


class Command(Struct, frozen=True, kw_only=True, tag=True):
    """Base of what the supervisor tells an engine process."""


class Load(Command, frozen=True, kw_only=True):
    spec: EngineSpec
    model: ModelSource
    inputs: tuple[InputSpec, ...]
    work_dir: str
    cpus: tuple[int, ...] = ()
    generation: GenerationPlan | None = None
    seed: int = 0
    launch: int = 0


class Infer(Command, frozen=True, kw_only=True):
    """Run `iterations` calls of each caller, and answer with one `Latencies`.

    `lead_in`: untimed calls before them.
    """

    iterations: int
    lead_in: int = 0


class Trace(Command, frozen=True, kw_only=True):
    """Run `iterations` profiled calls, after `warmup` others, and answer with one `Traced`.

    `describe`: tell the model's graph as well, and examine the lane.
    """

    iterations: int
    warmup: int = 2
    describe: bool = False


class SaveOutputs(Command, frozen=True, kw_only=True):
    """Write the outputs of one call to `path` (.npz, in output order)."""

    path: str


class TryInputs(Command, frozen=True, kw_only=True):
    """Call with other inputs, `iterations` times, and answer with one `Latencies`."""

    inputs: tuple[InputSpec, ...]
    iterations: int


class SaveValues(Command, frozen=True, kw_only=True):
    """Write values inside of the model, of one call, to `path` (.npz, in the order of `names`).

    A name is an ONNX value's, or an operator's as a trace names it.
    """

    path: str
    names: tuple[str, ...]


class Close(Command, frozen=True, kw_only=True):
    """Leave. Answered by the end of the pipe."""


AnyCommand = Load | Infer | Trace | SaveOutputs | SaveValues | TryInputs | Close


class Reply(Struct, frozen=True, kw_only=True, tag=True):
    """Base of what an engine process answers."""


class Loaded(Reply, frozen=True, kw_only=True):
    load_time_ns: int
    first_iteration_ns: int
    engine_version: str
    compile_time_ns: int = 0
    graph_note: str = ""
    input_note: str = ""
    baseline_rss_bytes: int = 0
    rss_bytes: int = 0
    weights_bytes: int = 0
    output_names: tuple[str, ...] = ()


class Latencies(Reply, frozen=True, kw_only=True):
    """With several callers at once, `duration_ns` is what the whole block took; else it is 0."""

    started_ns: int
    latencies_ns: tuple[int, ...]
    cpu_time_ns: int
    peak_rss_bytes: int
    minor_page_faults: int = 0
    major_page_faults: int = 0
    generations: Generations | None = None
    duration_ns: int = 0


class Traced(Reply, frozen=True, kw_only=True):
    """`foreign_cpu_share` and `steal_share` are as in `Round`."""

    started_ns: int
    latencies_ns: tuple[int, ...]
    ops: tuple[OpTiming, ...]
    inner: tuple[OpTiming, ...] = ()
    graph: ModelGraph | None = None
    examined: Examined | None = None
    foreign_cpu_share: float = 0.0
    steal_share: float = 0.0


class OutputsSaved(Reply, frozen=True, kw_only=True):
    path: str


class ValuesSaved(Reply, frozen=True, kw_only=True):
    """`names` are those that the lane has, in the order of the file's arrays."""

    path: str
    names: tuple[str, ...]
    size_bytes: int


class Failed(Reply, frozen=True, kw_only=True):
    """A ProfilerError or unexpected exception in the child, in words."""

    error: str
    message: str
    hint: str = ""
    details: str = ""


AnyReply = Loaded | Latencies | Traced | OutputsSaved | ValuesSaved | Failed
