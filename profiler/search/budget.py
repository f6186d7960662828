"""How a search spends its time: until when it races, and what it keeps for the confirmation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from profiler.compare import MIN_ROUNDS
from profiler.search.space import ORT, TORCH
from profiler.stats import LEAST_ROUNDS
from profiler.types import LEAD_IN_NS

# What a lane of each family takes to start before one was started: a guess, on a busy machine.
LIKELY_START_S = {ORT: 1.0, TORCH: 4.0}
# The confirmation is kept what it needs, as long as that leaves the races this share.
LEAST_RACE_SHARE = 0.2
# What a turn of the confirmation takes, with the untimed calls before it and until threads rest. A
# turn that is shorter than this in a race has more calls here, and takes up to twice as long.
CONFIRMATION_TURN_S, MORE_CALLS_S = 0.11, 0.25
# So long after its end whatever still goes on is cut off.
GRACE_S = 2.0
# Lanes warm up for at most this share of the time that is left, all together.
WARMUP_SHARE = 0.25


@dataclass(frozen=True)
class Pace:
    """Of a family's lanes: seconds that one takes to start alone, and that its turn takes."""

    start_s: float
    turn_s: float


@dataclass
class Budget:
    """The time of one search, in seconds by `clock`: `total_s` from `started_s` on.

    `race_share` of it is for races, less where the confirmation needs more. `turn_s`: what a turn
    takes at least. `lanes`: how many each family may have in the confirmation, its default and its
    leader. `cores`: lanes that start at once start no faster than these allow.
    """

    clock: Callable[[], float]
    total_s: float
    race_share: float
    turn_s: float
    cores: int
    lanes: dict[str, int]
    started_s: float = field(init=False)
    _paces: dict[str, Pace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started_s = self.clock()

    @property
    def end_s(self) -> float:
        """When the person expects the result."""
        return self.started_s + self.total_s

    @property
    def races_end_s(self) -> float:
        """No race, and no round of one, is begun that would end later."""
        return min(self.races_cut_s, self.started_s + self.total_s * self.race_share)

    @property
    def races_cut_s(self) -> float:
        """A race that goes on is cut off, so that the confirmation has what it needs."""
        needed_s = self.needed_s(self.lanes)
        return self.end_s - min(needed_s, self.total_s * (1 - LEAST_RACE_SHARE))

    def is_over(self) -> bool:
        """Whether nothing may go on any more."""
        return self.clock() >= self.end_s + GRACE_S

    def left_s(self) -> float:
        return max(0.0, self.end_s - self.clock())

    def needed_s(self, lanes: Mapping[str, int]) -> float:
        """What the confirmation takes with so many lanes of each family: one after the other they
        start, then they have the rounds that a verdict takes.
        """
        needed_s = 0.0
        for family, count in lanes.items():
            pace = self.pace(family)
            times = 2 if pace.turn_s < MORE_CALLS_S else 1
            longest_s = max(CONFIRMATION_TURN_S, times * pace.turn_s)
            needed_s += count * (pace.start_s + MIN_ROUNDS * longest_s)
        return needed_s

    def pace(self, family: str) -> Pace:
        """The slowest that was seen, or a guess."""
        return self._paces.get(family) or Pace(LIKELY_START_S[family], self.turn_s)

    def note(self, family: str, count: int, load_s: float, warmup_s: float, turn_s: float) -> None:
        """So many lanes loaded at once in `load_s`, and warmed up one after the other."""
        start_s = load_s * min(self.cores, count) / count + warmup_s / count
        known = self._paces.get(family, Pace(0.0, self.turn_s))
        self._paces[family] = Pace(max(known.start_s, start_s), max(known.turn_s, turn_s))

    def fitting(self, family: str, most: int, until_s: float) -> int:
        """How many lanes, up to `most`, can race until then: load at once, and have the rounds
        that tell anything.
        """
        pace, left_s = self.pace(family), until_s - self.clock()
        for count in range(most, 0, -1):
            load_s = pace.start_s * count / min(self.cores, count)
            if load_s + count * LEAST_ROUNDS * pace.turn_s <= left_s:
                return count
        return 0


def turn_s(turn_ns: int) -> float:
    """What a turn takes with the untimed calls before it."""
    return (turn_ns + LEAD_IN_NS) / 1e9
