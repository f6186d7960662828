"""What a search has told so far; part of a session. `apply` is the only way that it grows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from profiler.search import racing
from profiler.types import (
    ArmJudged,
    ArmState,
    EngineSpec,
    Event,
    RaceFinished,
    RaceRound,
    RaceStarted,
    SearchPlan,
    SearchStarted,
)


@dataclass(frozen=True)
class Tried:
    """One configuration: in which family, along which axis it first came up, and its last judgement
    (None while its first race goes on). `p50_ns` is 0 while unknown; `ratio` [`low`, `high`] is its
    latency over that of `against`.
    """

    spec: EngineSpec
    family: str
    axis: str
    state: ArmState = ArmState.RACING
    reason: str = ""
    against: str = ""
    ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0
    judged: ArmJudged | None = None

    @property
    def label(self) -> str:
        return self.spec.label


@dataclass
class SearchRecord:
    """Everything known about one search. `plan` is None in a session without one."""

    plan: SearchPlan | None = None
    environment: dict[str, str] = field(default_factory=dict)
    races: list[RaceStarted] = field(default_factory=list)
    rounds: dict[int, list[RaceRound]] = field(default_factory=lambda: defaultdict(list))
    judged: dict[str, ArmJudged] = field(default_factory=dict)
    finished: dict[int, RaceFinished] = field(default_factory=dict)
    started_ns: int = 0

    def apply(self, event: Event) -> None:
        """Take one event in; of other kinds nothing is kept."""
        match event:
            case SearchStarted():
                self.plan = event.plan
                self.environment = event.environment
                self.started_ns = event.time_ns
            case RaceStarted():
                self.races.append(event)
            case RaceRound():
                self.rounds[event.race].append(event)
            case ArmJudged():
                self.judged[event.label] = event
            case RaceFinished():
                self.finished[event.race] = event

    def families(self) -> list[str]:
        """In the order of their first race."""
        return list(dict.fromkeys(race.family for race in self.races))

    def leader(self, family: str) -> str:
        """Label of the best configuration so far; "" when there is none."""
        ended = [self.finished[r.race] for r in self.races if r.race in self.finished]
        return next((e.leader for e in reversed(ended) if e.family == family), "")

    def tried(self) -> list[Tried]:
        """Every configuration, in the order in which they came up."""
        first = {arm.label: race for race in reversed(self.races) for arm in race.arms}
        live = self._live()
        found = []
        for race in self.races:
            for arm in race.arms:
                if first[arm.label] is race:
                    found.append(self._tried(arm, race, live))
        return found

    def _live(self) -> dict[str, tuple[racing.Standing, str]]:
        """Standings in the race that goes on, each with its leader's label."""
        if not self.races or self.races[-1].race in self.finished:
            return {}
        race = self.races[-1]
        gone = {j.label for j in self.judged.values() if j.race == race.race}
        arms = [arm.label for arm in race.arms if arm.label not in gone]
        rounds = self.rounds.get(race.race, [])
        found = racing.standings(rounds, arms, comparisons=len(race.arms) - 1)
        return {standing.label: (standing, found[0].label) for standing in found}

    def _tried(
        self, spec: EngineSpec, race: RaceStarted, live: dict[str, tuple[racing.Standing, str]]
    ) -> Tried:
        judged = self.judged.get(spec.label)
        axis = "default" if spec.label == race.incumbent else race.axis
        tried = Tried(spec=spec, family=race.family, axis=axis, judged=judged)
        if spec.label in live:
            standing, leader = live[spec.label]
            return replace(
                tried,
                against="" if leader == spec.label else leader,
                ratio=standing.ratio,
                low=standing.low,
                high=standing.high,
            )
        if judged is None:
            return tried
        return replace(
            tried,
            state=judged.state,
            reason=judged.reason,
            against=judged.against,
            ratio=judged.ratio,
            low=judged.low,
            high=judged.high,
        )
