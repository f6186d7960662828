"""What is to be measured, and by which rules: enough to repeat it."""

from __future__ import annotations

import enum

from msgspec import Struct

from profiler.types.models import InputSpec, ModelSource


class EngineKind(enum.StrEnum):
    """An engine, in the spelling of `--lane NAME=ENGINE`."""

    ORT = "ort"
    TORCH_EAGER = "torch-eager"
    TORCH_SCRIPT = "torch-script"
    TORCH_COMPILE = "torch-compile"
    TORCH_EXPORT = "torch-export"
    ENDPOINT = "endpoint"


class Goal(enum.StrEnum):
    """What a recommendation is for, in the spelling of `--goal`."""

    LATENCY = "latency"
    P99 = "p99"
    THROUGHPUT = "throughput"
    COST = "cost"
    MEMORY = "memory"
    PORTABILITY = "portability"


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
    warmup_s: float = 0.5
    most_share: float = 0.65


class NoiseRule(Struct, frozen=True, kw_only=True):
    """A round is set aside when, in any lane's turn of it, one of these is passed.

    Shares are of all CPUs. `foreign_cpu_share`: CPU time of other processes; `steal_share`: time
    that a hypervisor took. On a GPU: its clocks were held down by heat or by a power brake.
    `slower_by`: all lanes took so much longer than in their quick rounds, as a share, in the mean;
    None: that isn't looked at.
    """

    foreign_cpu_share: float = 0.25
    steal_share: float = 0.05
    slower_by: float | None = None


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
    turn_ns: int = 50_000_000
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
