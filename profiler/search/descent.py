"""Coordinate descent in one family's space: which configurations race next."""

from __future__ import annotations

import time
from collections.abc import Iterator

from profiler.search.race import Context, Race
from profiler.search.space import Configuration, Space
from profiler.types import (
    ArmJudged,
    ArmState,
    EngineSpec,
    Event,
    ModelSource,
    RaceFinished,
    RaceStarted,
)

# A choice that lost by this factor isn't tried again beside other choices.
HOPELESS = 1.25
UNTRIED = "there was no time left to try it; give the search more"


class Descent:
    """Coordinate descent in one family's space; each step along an axis is a race or a few."""

    def __init__(self, context: Context, space: Space, model: ModelSource) -> None:
        self.context = context
        self.space = space
        self.model = model
        self.best = space.default()
        # The best may not be chosen (or there is none yet) while this is False.
        self.stands = True
        self._tried = {self.best.label}
        self._hopeless: set[tuple[int, int]] = set()

    def events(self, until_s: float, leaders: dict[str, Configuration]) -> Iterator[Event]:
        """Race until no change of one axis is left to try; `leaders` gets the winner."""
        clock = self.context.clock
        while self._arms_that_fit(until_s):
            steps = [(axis, arms) for axis in self._axes() if (arms := self._untried(axis))]
            if not steps:
                break
            for place, (axis, _) in enumerate(steps):
                arms = self._untried(axis)
                while arms and (size := self._arms_that_fit(until_s)):
                    ahead = -(-len(arms) // size) + len(steps) - place - 1
                    share_s = (self._end_s(until_s) - clock()) / ahead
                    yield from self._race(axis, arms[:size], clock() + share_s, leaders)
                    arms = arms[size:]
        # With nothing to vary, or no time for it.
        if self.stands and self.space.family not in leaders:
            leaders[self.space.family] = self.best
        yield from self._tell_untried()

    def _end_s(self, until_s: float) -> float:
        """Of this family's races; sooner than planned where lanes take long to start."""
        return min(until_s, self.context.budget.races_end_s)

    def _arms_that_fit(self, until_s: float) -> int:
        """How many can race beside the best so far; 0 where there is no time for any."""
        most, end_s = self.context.plan.at_once, self._end_s(until_s)
        return max(0, self.context.budget.fitting(self.space.family, most, end_s) - 1)

    def _tell_untried(self) -> Iterator[Event]:
        """What there was no time for."""
        for axis in self._axes():
            arms = tuple(arm.spec for arm in self._untried(axis))
            if arms:
                name, leader = self.space.axes[axis].name, self.best.label if self.stands else ""
                yield from not_raced(
                    self.context,
                    self.space,
                    name,
                    arms,
                    ArmState.NOT_REACHED,
                    UNTRIED,
                    leader=leader,
                    ended="time",
                )

    def _axes(self) -> range:
        return range(len(self.space.axes))

    def _untried(self, axis: int) -> list[Configuration]:
        """What may still be better along an axis."""
        return [
            arm
            for arm in self.space.others(self.best, axis)
            if arm.label not in self._tried and (axis, arm.picks[axis]) not in self._hopeless
        ]

    def _race(
        self,
        axis: int,
        challengers: list[Configuration],
        until_s: float,
        leaders: dict[str, Configuration],
    ) -> Iterator[Event]:
        first = [self.best] if self.stands else []
        name = self.space.axes[axis].name
        incumbent = self.best.label if self.stands else ""
        race = Race(self.context, self.model, name, [*first, *challengers], incumbent)
        self._tried |= {arm.label for arm in challengers}
        try:
            yield from race.events(until_s)
        finally:
            self.stands = race.leader is not None
            if race.leader is not None:
                self.best = leaders[self.space.family] = race.leader
            else:
                leaders.pop(self.space.family, None)
            for arm in challengers:
                if race.lost.get(arm.label, 1.0) > HOPELESS:
                    self._hopeless.add((axis, arm.picks[axis]))


def not_raced(
    context: Context,
    space: Space,
    axis: str,
    arms: tuple[EngineSpec, ...],
    state: ArmState,
    reason: str,
    *,
    leader: str = "",
    ended: str = "none left",
) -> Iterator[Event]:
    """Configurations that no process was started for, told as a race of their own."""
    race, now_ns = context.races, time.time_ns()
    context.races += 1
    yield RaceStarted(
        time_ns=now_ns, race=race, family=space.family, axis=axis, incumbent="", arms=arms
    )
    for arm in arms:
        yield ArmJudged(time_ns=now_ns, race=race, label=arm.label, state=state, reason=reason)
    yield RaceFinished(time_ns=now_ns, race=race, family=space.family, leader=leader, reason=ended)
