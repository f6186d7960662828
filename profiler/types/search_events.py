"""What a search for the fastest configuration tells, before the run that confirms its result."""

from __future__ import annotations

import enum

from profiler.types.events import Event, RunEvent
from profiler.types.plans import EngineSpec, SearchPlan


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


# What the session of a run or search is made of.
AnyEvent = RunEvent | SearchStarted | RaceStarted | RaceRound | ArmJudged | RaceFinished
