"""What a run tells, in the order it happens. A session is made of these."""

from __future__ import annotations

import enum
from typing import Literal

from msgspec import Struct

from profiler.types.models import ModelSource
from profiler.types.plans import RunPlan
from profiler.types.traces import CutPoint, Examined, ModelGraph, OpTiming, OutputDifference


class RoundKind(enum.StrEnum):
    WARMUP = "warmup"
    TIMED = "timed"
    TRACED = "traced"


class Phase(enum.StrEnum):
    """Where a run stands."""

    CONVERTING = "converting"
    LOADING = "loading"
    WARMING_UP = "warming up"
    MEASURING = "measuring"
    COMPARING = "comparing values"
    FINISHED = "finished"


class Event(Struct, frozen=True, kw_only=True, tag=True):
    """Base of the events. `time_ns` is wall-clock `time.time_ns()` at the sender."""

    time_ns: int


class RunStarted(Event, frozen=True, kw_only=True):
    plan: RunPlan
    environment: dict[str, str]
    dualscope_version: str


class Progress(Event, frozen=True, kw_only=True):
    """`fraction` is 0..1, or None while unknown. `round` counts the timed rounds so far."""

    phase: Phase
    detail: str = ""
    fraction: float | None = None
    round: int = 0
    interval_width: float | None = None
    time_left_s: float | None = None


class ModelConverted(Event, frozen=True, kw_only=True):
    """The model's other form ("ONNX", "fp16"), as used by the lanes named.

    `duration_ns`: how long converting and checking took, also where it was done earlier and the
    file came from the cache; 0 where that isn't known.
    """

    model: ModelSource
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    form: str = "ONNX"
    duration_ns: int = 0


class EngineReady(Event, frozen=True, kw_only=True):
    """A lane loaded its model. `graph_note` says what runs ("imported from ONNX", ...).

    `compile_time_ns` is the part of the first iteration that compiled; `input_note` says how inputs
    reach the engine.
    """

    label: str
    pid: int
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


class LaunchedAgain(Event, frozen=True, kw_only=True):
    """New processes of all lanes that are left, by label; `launch` counts from 0."""

    launch: int
    pids: dict[str, int]


class Round(Event, frozen=True, kw_only=True):
    """One block of iterations of one lane, in the lane's process of that `launch`.

    `started_ns` is `time.perf_counter_ns()` of the machine's monotonic clock, shared by processes.
    `foreign_cpu_share`: CPU time that other processes took in the round, over what the machine has;
    `steal_share`: what a hypervisor took. `duration_ns`: with several callers at once, what the
    whole block took, in which calls overlap; else 0.
    """

    label: str
    index: int
    kind: RoundKind
    started_ns: int
    latencies_ns: tuple[int, ...]
    launch: int = 0
    foreign_cpu_share: float = 0.0
    steal_share: float = 0.0
    minor_page_faults: int = 0
    major_page_faults: int = 0
    peak_rss_bytes: int = 0
    duration_ns: int = 0


class Generations(Struct, frozen=True, kw_only=True):
    """The generations of one turn, token by token.

    `steps_ns` has an entry a generation: the time to its first token, then the time between one
    token and the next. `starts_ns` counts from the turn's start, `span_ns` to its last token.
    `tokens` and `prompt_tokens` are a server's own counts, where a piece of its stream may hold
    several tokens; empty where every step is one. `errors`: what became of requests that failed.
    `cache_bytes` is what the KV cache takes at the end, `cache_used_bytes` what of it is in use.
    """

    steps_ns: tuple[tuple[int, ...], ...]
    starts_ns: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    prompt_tokens: tuple[int, ...] = ()
    span_ns: int = 0
    errors: tuple[str, ...] = ()
    cache_bytes: int = 0
    cache_used_bytes: int = 0


class Generated(Event, frozen=True, kw_only=True):
    """What a lane generated in one turn; follows the turn's `Round`."""

    label: str
    index: int
    kind: RoundKind
    launch: int
    generations: Generations


class OpTimings(Event, frozen=True, kw_only=True):
    """The operators of one traced round; `traced_latencies_ns` has one entry an iteration.

    `inner` are those of nested graphs (bodies of If, Loop, Scan), within the time of one of `ops`.
    `foreign_cpu_share` and `steal_share` are as in `Round`.
    """

    label: str
    round: int
    iterations: int
    traced_latencies_ns: tuple[int, ...]
    ops: tuple[OpTiming, ...]
    inner: tuple[OpTiming, ...] = ()
    foreign_cpu_share: float = 0.0
    steal_share: float = 0.0


class GraphDescribed(Event, frozen=True, kw_only=True):
    """A lane's model, as a graph. `sha256` is that of the file which the lane loaded."""

    label: str
    sha256: str
    graph: ModelGraph


class LaneExamined(Event, frozen=True, kw_only=True):
    label: str
    found: Examined


class NewSizeTried(Event, frozen=True, kw_only=True):
    """After the last round: calls with another size of a dynamic dimension than the run's.

    `first_ns` is the first of them, `later_ns` the median of the ones after.
    """

    label: str
    dimension: str
    size: int
    new_size: int
    first_ns: int
    later_ns: int


class OutputsCompared(Event, frozen=True, kw_only=True):
    baseline: str
    candidate: str
    rtol: float
    atol: float
    agree: bool
    differences: tuple[OutputDifference, ...]


class ValuesCompared(Event, frozen=True, kw_only=True):
    """Values inside of the model, in topological order. Without points, `note` says why."""

    baseline: str
    candidate: str
    points: tuple[CutPoint, ...]
    note: str = ""


class ForeignProcess(Struct, frozen=True, kw_only=True):
    """CPU time that a process of others took since the last look."""

    name: str
    pid: int
    cpu_ns: int


class ForeignProcesses(Event, frozen=True, kw_only=True):
    """Who kept the machine busy around a disturbed round, the busiest first."""

    round: int
    processes: tuple[ForeignProcess, ...]


class GpuSample(Struct, frozen=True, kw_only=True):
    """One GPU's NVML readings; None where the GPU doesn't support the field.

    `process_memory_bytes`: device memory of each process that computes on it, by pid.
    """

    index: int
    name: str
    gpu_utilization_pct: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_mw: int | None = None
    temperature_c: int | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttle_reasons: tuple[str, ...] = ()
    process_memory_bytes: dict[int, int] = {}
    lost: bool = False


class TelemetrySample(Event, frozen=True, kw_only=True):
    cpu_pct: float
    memory_used_bytes: int
    memory_total_bytes: int
    cpu_freq_mhz: float | None = None
    gpus: tuple[GpuSample, ...] = ()


class LogLine(Event, frozen=True, kw_only=True):
    """One line of an engine's stdout or stderr, or of our own log (`label` is then empty)."""

    label: str
    level: Literal["info", "warning", "error"]
    text: str


class EngineFailed(Event, frozen=True, kw_only=True):
    """A lane that failed; the others go on. `log_tail` holds its last lines of output."""

    label: str
    phase: Phase
    message: str
    hint: str = ""
    log_tail: tuple[str, ...] = ()


class RunFinished(Event, frozen=True, kw_only=True):
    """`reason`: "precision", "time limit", "stopped", "all lanes failed", "failed"."""

    reason: str
    message: str = ""


RunEvent = (
    RunStarted
    | Progress
    | ModelConverted
    | EngineReady
    | LaunchedAgain
    | Round
    | Generated
    | OpTimings
    | GraphDescribed
    | LaneExamined
    | NewSizeTried
    | OutputsCompared
    | ValuesCompared
    | ForeignProcesses
    | TelemetrySample
    | LogLine
    | EngineFailed
    | RunFinished
)
