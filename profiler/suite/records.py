"""What a suite is asked for, and what it found: structs that its file holds. Times in ns."""

from __future__ import annotations

import enum

from msgspec import Struct

from profiler.suite.catalogue import SuiteModel
from profiler.types import EngineKind, Estimate, Event, PointState, Verdict

CPU = "cpu"


class Step(enum.StrEnum):
    """What a row of the table is about."""

    ENCODER = "encoder"
    PREFILL = "prefill"
    DECODE = "decode"


class ClaimVerdict(enum.StrEnum):
    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNRESOLVED = "unresolved"


# A verdict, and the figures that it rests on.
Judged = tuple[ClaimVerdict, str]


class Entry(Struct, frozen=True, kw_only=True):
    """One run of the suite: a model on a device. `key` names its session file."""

    key: str
    model: SuiteModel
    device: str = CPU


class SuitePlan(Struct, frozen=True, kw_only=True):
    """What the suite measures within `budget_s`; `left_out` says what it doesn't, and why.

    `execution_providers` are those of ONNX Runtime that get a lane, by device.
    """

    entries: tuple[Entry, ...]
    execution_providers: dict[str, tuple[str, ...]]
    budget_s: float
    quick: bool = False
    left_out: tuple[str, ...] = ()


class LaneResult(Struct, frozen=True, kw_only=True):
    """One lane's latency in a row, and its speedup over the row's baseline lane.

    `machine_time` is the same ratio of mean times, which is what hours of a machine follow.
    `outputs_agree` and `largest_difference` are of its outputs against the baseline's. `failure`
    says why there is no latency.
    """

    label: str
    name: str
    engine: EngineKind
    provider: str = ""
    latency_ns: Estimate | None = None
    speedup: Estimate | None = None
    verdict: Verdict | None = None
    machine_time: Estimate | None = None
    mean_ns: float = 0.0
    outputs_agree: bool | None = None
    largest_difference: float | None = None
    failure: str = ""


class Row(Struct, frozen=True, kw_only=True):
    """One workload on one device. `conversion_ns`: what the model's export took, once; 0 where it
    isn't known. `fixed`: dimensions that the export fixed; `launches` loaded the exported file.
    """

    key: str
    model: str
    title: str
    workload: str
    step: Step
    device: str
    baseline: str
    lanes: tuple[LaneResult, ...]
    conversion_ns: int = 0
    fixed: str = ""
    rounds: int = 0
    set_aside: int = 0
    launches: int = 0
    busy: bool = False


class Claim(Struct, frozen=True, kw_only=True):
    """A published claim, judged by what was measured here. `figures` is a sentence or two."""

    key: str
    text: str
    verdict: ClaimVerdict
    figures: str


class EntryResult(Struct, frozen=True, kw_only=True):
    """How one run ended; `session` is its file's name, `wall_s` how long all of it took."""

    key: str
    state: PointState
    reason: str = ""
    session: str = ""
    rows: tuple[Row, ...] = ()
    wall_s: float = 0.0


# --- events: a suite tells those of its runs, and these between them ------------------------------


class SuiteStarted(Event, frozen=True, kw_only=True):
    plan: SuitePlan
    environment: dict[str, str]
    dualscope_version: str


class SuitePrepared(Event, frozen=True, kw_only=True):
    """The models that were not in the cache are; that took `wall_s`."""

    wall_s: float


class EntryStarted(Event, frozen=True, kw_only=True):
    """The run of one model follows, event by event; it measures for `time_limit_s` at the most."""

    key: str
    session: str
    time_limit_s: float


class EntryFinished(Event, frozen=True, kw_only=True):
    result: EntryResult


class SuiteFinished(Event, frozen=True, kw_only=True):
    """`reason`: "all models done" or "stopped"."""

    reason: str
