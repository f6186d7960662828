"""Structs that cross a process or file boundary. Frozen; times in ns, sizes in bytes."""

from __future__ import annotations

import enum
from typing import Any, Literal

from msgspec import Struct


class ModelKind(enum.StrEnum):
    """What a model file is, told without unpickling it."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"
    TORCH_EXPORT = "torch-export"
    AOT_INDUCTOR = "aot-inductor"
    PICKLED_MODULE = "pickled-module"
    STATE_DICT = "state-dict"
    CHECKPOINT = "checkpoint"
    SAFETENSORS = "safetensors"
    TRANSFORMERS = "transformers"
    ENDPOINT = "endpoint"


class EngineKind(enum.StrEnum):
    """An engine, in the spelling of `--lane NAME=ENGINE`."""

    ORT = "ort"
    TORCH_EAGER = "torch-eager"
    TORCH_SCRIPT = "torch-script"
    TORCH_COMPILE = "torch-compile"
    TORCH_EXPORT = "torch-export"
    ENDPOINT = "endpoint"


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


class Fill(enum.StrEnum):
    """How an input's values are made."""

    NORMAL = "normal"
    UNIFORM = "uniform"
    INTEGERS = "integers"
    ONES = "ones"
    ZEROS = "zeros"
    FILE = "file"


class Verdict(enum.StrEnum):
    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    UNRESOLVED = "unresolved"


class Goal(enum.StrEnum):
    """What a recommendation is for, in the spelling of `--goal`."""

    LATENCY = "latency"
    P99 = "p99"
    THROUGHPUT = "throughput"
    COST = "cost"
    MEMORY = "memory"
    PORTABILITY = "portability"


class ArmState(enum.StrEnum):
    """What became of a configuration in a search (an arm, in the word of the field)."""

    RACING = "racing"
    LEADER = "leader"
    SLOWER = "slower"
    NOT_FASTER = "not faster"
    FAILED = "failed"
    OTHER_OUTPUTS = "other outputs"
    OVER_MEMORY = "over the memory limit"
    OVER_P99 = "over the p99 limit"
    NOT_REACHED = "not reached"


# --- model and inputs -----------------------------------------------------------------------


class Factory(Struct, frozen=True, kw_only=True):
    """What builds the module that a file of weights belongs to.

    `target` is `package.module:name` or `path/to/file.py:name`. `sha256` is the Python file's, and
    empty for a package: consent counts for just that file.
    """

    target: str
    arguments: dict[str, Any] = {}
    sha256: str = ""


class ModelSource(Struct, frozen=True, kw_only=True):
    """A model file.

    `derived_from` is the sha256 of the file that it was converted from. `factory` builds the module
    where the file holds weights only. `trusted`: the person agreed that code of the file, or of the
    factory, runs in a child process; never read from a session file.
    """

    path: str
    kind: ModelKind
    sha256: str
    size_bytes: int
    opset: int | None = None
    producer: str = ""
    derived_from: str | None = None
    factory: Factory | None = None
    trusted: bool = False


class InputSpec(Struct, frozen=True, kw_only=True):
    """One model input and how to fill it.

    `shape` is concrete. `symbols` has one entry a dimension: the dynamic dimension's name, or None
    where the model fixes it; equal names are one dimension. `dtype` is NumPy's name ("float32",
    "int64", "bool"; also "bfloat16"). `low`/`high`: bounds of INTEGERS (high exclusive, at most
    the vocabulary) and UNIFORM. `path` is the file of `Fill.FILE`, `path_key` the
    array's name in it where it isn't the input's. `limit`: the values index a table of so many
    rows, which no fill goes past. `guessed`: the model declares neither dtype nor shape
    (TorchScript, a pickled module), so that any may be tried.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    symbols: tuple[str | None, ...] = ()
    fill: Fill = Fill.NORMAL
    low: float = 0.0
    high: float = 1.0
    path: str | None = None
    path_key: str = ""
    seed: int = 0
    guessed: bool = False
    limit: int | None = None


class TensorSpec(Struct, frozen=True, kw_only=True):
    """An output, as far as the file tells: dims are ints, or names of dynamic dimensions."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class CacheTensor(Struct, frozen=True, kw_only=True):
    """One tensor of a KV cache: the input that takes it, and the output that gives it, longer.

    `shape` as the file has it; `axis` is the one that counts tokens.
    """

    past: str
    present: str
    dtype: str
    shape: tuple[int | str, ...]
    axis: int


class CacheLayout(Struct, frozen=True, kw_only=True):
    """How a model that generates text is called: its tokens, its logits, its KV cache.

    `convention` says whose names they are. `roles` has the other inputs, by name: "attention_mask",
    "position_ids", "cache_position", "use_cache_branch", "total_length" or "past_length". `dtypes`
    are theirs and the tokens'. `shared_buffer`: past and present may be one buffer of the full
    length, which the model writes in place. `vocabulary` and `most_tokens` are 0 where the file
    doesn't tell.
    """

    convention: str
    tokens: str = "input_ids"
    logits: str = "logits"
    cache: tuple[CacheTensor, ...] = ()
    roles: dict[str, str] = {}
    dtypes: dict[str, str] = {}
    layers: int = 0
    heads: int = 0
    head_size: int = 0
    vocabulary: int = 0
    most_tokens: int = 0
    batch: int = 1
    shared_buffer: bool = False


class ModelInfo(Struct, frozen=True, kw_only=True):
    """What an inspection process found out about a model file.

    `generation` tells how it generates text; None for a model without a KV cache.
    """

    source: ModelSource
    inputs: tuple[InputSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameter_count: int = 0
    weights_bytes: int = 0
    node_count: int = 0
    op_counts: dict[str, int] = {}
    missing_torch_ops: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    generation: CacheLayout | None = None


# --- plan -----------------------------------------------------------------------------------


class EngineSpec(Struct, frozen=True, kw_only=True):
    """One lane: an engine in one configuration. `model` overrides the plan's model file."""

    label: str
    engine: EngineKind
    device: str = "cpu"
    options: dict[str, str | int | float | bool] = {}
    model: ModelSource | None = None


class WarmupRule(Struct, frozen=True, kw_only=True):
    """Warm up for at least `min_calls`, until the last four medians agree, or a cap."""

    min_calls: int = 8
    max_calls: int = 200
    time_limit_s: float = 8.0
    settle_tolerance: float = 0.05


class StoppingRule(Struct, frozen=True, kw_only=True):
    """Stop when each interval is narrower than `target_width` of its ratio, or at the limit."""

    target_width: float = 0.02
    time_limit_s: float = 60.0
    min_rounds: int = 10
    max_rounds: int = 10_000


class LaunchRule(Struct, frozen=True, kw_only=True):
    """Lanes are launched anew within a run, since one process differs from the next.

    A launch has at least `min_rounds` rounds; launching takes at most `most_share` of the time.
    After the first launch a lane warms up for `warmup_s` at the most.
    """

    min_rounds: int = 10
    warmup_s: float = 1.0
    most_share: float = 0.5


class NoiseRule(Struct, frozen=True, kw_only=True):
    """A round is set aside when, in any lane's turn of it, one of these is passed.

    Shares are of all CPUs. `foreign_cpu_share`: CPU time of other processes; `steal_share`: time
    that a hypervisor took. On a GPU: its clocks were held down by heat or by a power brake.
    """

    foreign_cpu_share: float = 0.25
    steal_share: float = 0.05


class Locate(enum.StrEnum):
    """When a run looks for the first layer whose values differ."""

    DIFFER = "differ"
    ALWAYS = "always"
    NEVER = "never"


class Tolerance(Struct, frozen=True, kw_only=True):
    """Outputs agree where |candidate - baseline| <= atol * RMS(baseline) + rtol * |baseline|."""

    rtol: float
    atol: float


# How long the untimed calls at a turn's start take.
LEAD_IN_NS = 10_000_000


class CostSettings(Struct, frozen=True, kw_only=True):
    """What the person knows of prices and demand; nothing is known beforehand.

    `prices` per hour by device: "cpu", "cuda:0", a GPU's name, or "*" for every device; in
    `currency`, as is `price_per_kwh` and `own_cost`, what converting and checking costs once beside
    computing time. `utilization`: the share of its paid time that a machine is to work.
    `replicas`: machines that are kept on at the least.
    """

    prices: dict[str, float] = {}
    currency: str = ""
    requests_per_day: float | None = None
    utilization: float = 0.7
    replicas: int = 1
    price_per_kwh: float | None = None
    own_cost: float = 0.0


class Question(Struct, frozen=True, kw_only=True):
    """What the person wants to know of a run, beside the figures."""

    goal: Goal = Goal.LATENCY
    cost: CostSettings = CostSettings()


class GenerationPlan(Struct, frozen=True, kw_only=True):
    """An iteration of the run is one generation of text: a prefill, then a step for each token.

    `prompt_tokens` are drawn from the run's seed within `vocabulary`, and so are the tokens that
    every lane is fed in place of its own choice, so that all do equal work. The first of
    `new_tokens` comes from the prefill. `requests` is an endpoint's turn.
    """

    prompt_tokens: int = 128
    new_tokens: int = 32
    vocabulary: int = 256
    requests: int = 16


class RunPlan(Struct, frozen=True, kw_only=True):
    """Everything that a run needs, enough to repeat it. `generation`: of text, token by token.

    `turn_ns` is how long a lane's timed calls take in a round, `lead_in_ns` how long the untimed
    calls before them. `lane_cpus`: the CPUs that lanes are kept on; empty where they may use all.
    `tolerance` of outputs; None for one by their precision. `locate`: when to compare values inside
    of the model. `new_size`: call lanes with another size when all is measured. `question`: what a
    recommendation is to answer.
    """

    model: ModelSource
    inputs: tuple[InputSpec, ...]
    engines: tuple[EngineSpec, ...]
    baseline: str
    warmup: WarmupRule = WarmupRule()
    stopping: StoppingRule = StoppingRule()
    turn_ns: int = 100_000_000
    lead_in_ns: int = LEAD_IN_NS
    traced_share: float = 0.2
    traced_iterations: int = 3
    seed: int = 0
    launches: LaunchRule = LaunchRule()
    noise: NoiseRule = NoiseRule()
    lane_cpus: tuple[int, ...] = ()
    tolerance: Tolerance | None = None
    locate: Locate = Locate.DIFFER
    new_size: bool = True
    question: Question = Question()
    generation: GenerationPlan | None = None


class SearchPlan(Struct, frozen=True, kw_only=True):
    """What a search for the fastest configuration needs, enough to repeat it.

    `engines` may be tried. `execution_providers` and `cuda_devices` are what this machine has, and
    `cores` what a lane may use. `max_memory_bytes`: of a lane's process above its engine alone;
    `max_p99_ns`: of single calls. `at_once`: engine processes alive at the same time, at most.
    `race_share` of the budget goes to the races, the rest to the confirmation.
    """

    model: ModelSource
    inputs: tuple[InputSpec, ...]
    engines: tuple[EngineKind, ...]
    execution_providers: tuple[str, ...] = ()
    cuda_devices: int = 0
    cores: int = 1
    budget_s: float = 120.0
    max_memory_bytes: int | None = None
    max_p99_ns: float | None = None
    at_once: int = 4
    turn_ns: int = 50_000_000
    race_share: float = 0.65
    warmup: WarmupRule = WarmupRule(min_calls=3, time_limit_s=2.0)
    seed: int = 0
    noise: NoiseRule = NoiseRule()
    lane_cpus: tuple[int, ...] = ()
    tolerance: Tolerance | None = None


# --- events: what a run tells, in the order it happens ---------------------------------------


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


class OpTimings(Event, frozen=True, kw_only=True):
    """The operators of one traced round; `traced_latencies_ns` has one entry an iteration.

    `inner` are those of nested graphs (bodies of If, Loop, Scan), within the time of one of `ops`.
    """

    label: str
    round: int
    iterations: int
    traced_latencies_ns: tuple[int, ...]
    ops: tuple[OpTiming, ...]
    inner: tuple[OpTiming, ...] = ()


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


class GraphDescribed(Event, frozen=True, kw_only=True):
    """A lane's model, as a graph. `sha256` is that of the file which the lane loaded."""

    label: str
    sha256: str
    graph: ModelGraph


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


class OutputsCompared(Event, frozen=True, kw_only=True):
    baseline: str
    candidate: str
    rtol: float
    atol: float
    agree: bool
    differences: tuple[OutputDifference, ...]


class CutPoint(Struct, frozen=True, kw_only=True):
    """What a region of both lanes gives, on the same inputs.

    `values` are its names in the baseline and in the candidate; `inputs` the indexes of the cut
    points that it is made from; `nodes` the region's graph nodes. `relative` is the norm of the
    difference over the baseline's norm. Without a `difference`, `note` says why.
    """

    region: str
    values: tuple[str, str]
    nodes: tuple[str, ...] = ()
    inputs: tuple[int, ...] = ()
    is_output: bool = False
    relative: float | None = None
    difference: OutputDifference | None = None
    note: str = ""


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


class SearchStarted(Event, frozen=True, kw_only=True):
    plan: SearchPlan
    environment: dict[str, str]
    dualscope_version: str


class RaceStarted(Event, frozen=True, kw_only=True):
    """A race begins: `incumbent` (empty where there is none) and others, of one `family` of engines
    ("ort", "torch"), that differ from it in one thing, `axis`.
    """

    race: int
    family: str
    axis: str
    incumbent: str
    arms: tuple[EngineSpec, ...]


class RaceRound(Event, frozen=True, kw_only=True):
    """One round of a race: the median latency of each arm's turn, in ns. `disturbed`: why the round
    is set aside, or "".
    """

    race: int
    index: int
    launch: int
    medians_ns: dict[str, float]
    disturbed: str = ""


class ArmJudged(Event, frozen=True, kw_only=True):
    """What became of an arm in a race, and what was seen of it there.

    `ratio` [`low`, `high`]: its latency over that of the arm `against`, after `rounds`; zeros where
    there were too few.
    """

    race: int
    label: str
    state: ArmState
    reason: str = ""
    against: str = ""
    ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0
    rounds: int = 0
    launches: int = 0
    calls: int = 0
    p50_ns: float = 0.0
    p99_ns: float = 0.0
    peak_memory_bytes: int = 0
    load_time_ns: int = 0
    compile_time_ns: int = 0


class RaceFinished(Event, frozen=True, kw_only=True):
    """`leader` is empty where no arm may be chosen. `reason`: "one left", "alike", "time",
    "stopped", "none left".
    """

    race: int
    family: str
    leader: str
    reason: str


# --- sweeps: one run a point -----------------------------------------------------------------


class SweepAxis(Struct, frozen=True, kw_only=True):
    """What is varied ("batch", "threads"), and its values as a person writes them."""

    name: str
    values: tuple[str, ...]


class SweepPlan(Struct, frozen=True, kw_only=True):
    """A run plan, and what is varied in it: every combination of the axes' values is a point.

    `seed`: the order of points.
    """

    plan: RunPlan
    axes: tuple[SweepAxis, ...]
    seed: int = 0


class PointState(enum.StrEnum):
    """How a point ended; a stopped one is measured again when the sweep is resumed."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


class SweepStarted(Event, frozen=True, kw_only=True):
    plan: SweepPlan
    dualscope_version: str


class PointStarted(Event, frozen=True, kw_only=True):
    """The run of one point follows, event by event. `refused`: lanes that can't take its values."""

    index: int
    refused: dict[str, str] = {}


class PointFinished(Event, frozen=True, kw_only=True):
    """`reason` says why it failed."""

    index: int
    state: PointState
    reason: str = ""


class SweepFinished(Event, frozen=True, kw_only=True):
    """`reason`: "all points done" or "stopped"."""

    reason: str


AnyEvent = (
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
    | SearchStarted
    | RaceStarted
    | RaceRound
    | ArmJudged
    | RaceFinished
)
# A sweep tells those of its runs, and these between them.
AnySweepEvent = AnyEvent | SweepStarted | PointStarted | PointFinished | SweepFinished


# --- commands and replies between supervisor and engine process -----------------------------


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
    started_ns: int
    latencies_ns: tuple[int, ...]
    ops: tuple[OpTiming, ...]
    inner: tuple[OpTiming, ...] = ()
    graph: ModelGraph | None = None
    examined: Examined | None = None


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


# --- job processes: inspection and conversion ------------------------------------------------


class Capabilities(Struct, frozen=True, kw_only=True):
    """What the engines can use here."""

    execution_providers: tuple[str, ...]
    cuda_devices: int


class LookAround(Struct, frozen=True, kw_only=True, tag=True):
    """Find out the Capabilities."""


class InspectJob(Struct, frozen=True, kw_only=True, tag=True):
    source: ModelSource


class GuessJob(Struct, frozen=True, kw_only=True, tag=True):
    """Which factories may the weights of this file belong to?"""

    source: ModelSource


class ConvertJob(Struct, frozen=True, kw_only=True, tag=True):
    source: ModelSource
    inputs: tuple[InputSpec, ...]
    out_dir: str


class PrecisionJob(Struct, frozen=True, kw_only=True, tag=True):
    """An ONNX file in another precision; `inputs` calibrate static quantization."""

    source: ModelSource
    precision: str
    inputs: tuple[InputSpec, ...]
    out_dir: str


class ProgramJob(Struct, frozen=True, kw_only=True, tag=True):
    """Write what a PyTorch lane runs to `path`, as an exported program."""

    source: ModelSource
    inputs: tuple[InputSpec, ...]
    path: str


class BuildJob(Struct, frozen=True, kw_only=True, tag=True):
    """Write a model of `transformers` with random weights into the folder `path`.

    `pretrained`: as the library's `from_pretrained` reads it, else with the module's own names.
    """

    model_class: str
    config_class: str
    config: dict[str, Any]
    pretrained: bool
    seed: int
    path: str


class JobProgress(Struct, frozen=True, kw_only=True, tag=True):
    text: str


class Inspected(Struct, frozen=True, kw_only=True, tag=True):
    info: ModelInfo


class LookedAround(Struct, frozen=True, kw_only=True, tag=True):
    capabilities: Capabilities


class Guesses(Struct, frozen=True, kw_only=True, tag=True):
    """Factories that fit the weights, best first; `keys` are some of the weights' names."""

    factories: tuple[Factory, ...] = ()
    keys: tuple[str, ...] = ()
    count: int = 0
    notes: tuple[str, ...] = ()


class Built(Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a BuildJob: it lies there."""


class Converted(Struct, frozen=True, kw_only=True, tag=True):
    model: ModelSource
    notes: tuple[str, ...] = ()
    duration_ns: int = 0


# --- derived by pure functions, never stored --------------------------------------------------


class LatencyStats(Struct, frozen=True, kw_only=True):
    """Of one lane's timed rounds. Latencies in ns; `throughput_per_s` is iterations a second."""

    label: str
    p50_ns: float
    p90_ns: float
    p99_ns: float
    min_ns: float
    mean_ns: float
    stdev_ns: float
    iterations: int
    rounds: int
    throughput_per_s: float


class Comparison(Struct, frozen=True, kw_only=True):
    """Speedup = baseline latency / candidate latency, with its 95 % interval [low, high].

    `rounds` took part, of that many `launches`; `set_aside` did not.
    """

    baseline: str
    candidate: str
    speedup: float
    low: float
    high: float
    verdict: Verdict
    rounds: int
    launches: int = 1
    set_aside: int = 0


class OperatorRow(Struct, frozen=True, kw_only=True):
    """One operator of one lane in a typical traced iteration.

    `traced_ns` is its time, the median over traced iterations; `share` is of the lane's sum.
    `flops` and `moved_bytes` are of all its calls in one iteration, as `profiler.work` counts them
    from the shapes; None where that isn't known. What the engine itself tells: `output_bytes` is
    the size of what it gives in one iteration; 0 where it isn't known. Other sizes are of one call,
    `threads` the most that took part in one, `wait_ns` is of one iteration. `estimated`: a part of
    a kernel, with its time shared out by bytes moved.
    """

    label: str
    name: str
    op_type: str
    calls: int
    traced_ns: float
    share: float
    flops: float | None = None
    moved_bytes: float | None = None
    source_nodes: tuple[str, ...] = ()
    scope: str = ""
    shapes: str = ""
    provider: str = ""
    start_ns: int = 0
    input_bytes: int = 0
    weights_bytes: int = 0
    output_bytes: int = 0
    threads: int = 0
    wait_ns: float = 0.0
    estimated: bool = False
