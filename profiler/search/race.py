"""One race: a few configurations in rounds, until one is left, all are alike, or time is up."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from profiler.errors import CancelledError, ProfilerError
from profiler.outputs import Array
from profiler.placement import kept_off
from profiler.search import racing
from profiler.search.budget import WARMUP_SHARE, Budget
from profiler.search.race_group import RaceGroup, output_problem
from profiler.search.racing import Standing
from profiler.search.seen import Seen
from profiler.search.space import Configuration, family_of
from profiler.stats import LEAST_ROUNDS
from profiler.types import (
    LEAD_IN_NS,
    ArmJudged,
    ArmState,
    EngineFailed,
    EngineReady,
    Event,
    LogLine,
    ModelSource,
    Phase,
    Progress,
    RaceFinished,
    RaceRound,
    RaceStarted,
    Round,
    RoundKind,
    RunPlan,
    SearchPlan,
)

# Rounds before the arms that are left get new processes, and how many launches settle a race:
# what three can't tell apart differs by less than matters here.
LAUNCH_ROUNDS = 10
MOST_LAUNCHES = 3
# Of the time left, what loading the arms of one race may take; it has this long where there is.
LOAD_SHARE = 0.5
SHORT_LOAD_S = 10.0
LATE = "it did not load in the time that was left; give the search more"


@dataclass
class Context:
    """What the races of a search share. `reference`: each family's outputs by default, with their
    names. `cancelled`: whether the person stops it.
    """

    plan: SearchPlan
    folder: Path
    cancelled: Callable[[], bool]
    clock: Callable[[], float]
    random: random.Random
    budget: Budget
    reference: dict[str, tuple[tuple[str, ...], list[Array]]] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    races: int = 0

    def folder_of(self, label: str) -> Path:
        """Working folder of a configuration, over all races."""
        return self.folders.setdefault(label, self.folder / str(len(self.folders)))

    def interrupted(self) -> bool:
        """Whether a race may not go on: it is stopped, or the time for races is up."""
        return self.cancelled() or self.clock() >= self.budget.races_cut_s


class Race:
    """`arms`: the incumbent first, where there is one. `leader` after `events` ended: the winner,
    or None; `lost`: by what factor at least arms that are out are slower.
    """

    def __init__(
        self,
        context: Context,
        model: ModelSource,
        axis: str,
        arms: Sequence[Configuration],
        incumbent: str,
    ) -> None:
        self.number = context.races
        context.races += 1
        self.context = context
        self.axis = axis
        self.family = family_of(arms[0].spec.engine)
        self.arms = {arm.label: arm for arm in arms}
        self.incumbent = incumbent
        self.leader: Configuration | None = None
        self.lost: dict[str, float] = {}
        self.rounds: list[RaceRound] = []
        self.seen = Seen(self.number, self.arms)
        self._judged: set[str] = set()
        # Once there is no time for another round.
        self._at_end = False
        left_s = max(0.0, context.budget.races_end_s - context.clock())
        self.group = RaceGroup(
            _run_plan(context.plan, arms, left_s),
            model,
            {label: context.folder_of(label) for label in self.arms},
            context.interrupted,
            context.clock,
            max(min(SHORT_LOAD_S, left_s), left_s * LOAD_SHARE),
        )

    def events(self, until_s: float) -> Iterator[Event]:
        """Run it; processes are reaped at the end.

        When the person stops it, CancelledError is raised after the last event.
        """
        yield RaceStarted(
            time_ns=time.time_ns(),
            race=self.number,
            family=self.family,
            axis=self.axis,
            incumbent=self.incumbent,
            arms=tuple(arm.spec for arm in self.arms.values()),
        )
        stopped: CancelledError | None = None
        try:
            yield from self._taken(self.group.load())
            with kept_off(self.context.plan.lane_cpus):
                load_s = self.group.launching_s
                yield from self._taken(self.group.warm_up())
                self._note_pace(load_s)
                yield from self._check_outputs()
                reason = yield from self._run_rounds(until_s)
        except CancelledError as error:
            reason = "time"
            if self.context.cancelled():
                stopped, reason = error, "stopped"
        finally:
            self.group.close()
        yield from self._finish(reason)
        if stopped is not None:
            raise stopped

    def _note_pace(self, load_s: float) -> None:
        """How long lanes took to start; of one that came too late, as long as it was waited for."""
        warmup_s = self.group.launching_s - load_s
        turn_s = self._round_s() / max(len(self.group.lanes), 1)
        self.context.budget.note(self.family, len(self.arms), load_s, warmup_s, turn_s)

    def _taken(self, events: Iterator[Event]) -> Iterator[Event]:
        """What the lanes tell: kept here; log lines and progress go on."""
        for event in events:
            match event:
                case EngineReady():
                    self.seen.ready[event.label] = event
                case Round() if event.kind is RoundKind.TIMED:
                    self.seen.turns[event.label].append(event)
                case EngineFailed() if event.label not in self.group.late:
                    text = f"while {event.phase}: {event.message} {event.hint}".strip()
                    yield self._judge(event.label, ArmState.FAILED, text)
                case LogLine() | Progress():
                    yield event

    def _check_outputs(self) -> Iterator[Event]:
        """The first arm of the family that works gives the reference: the default."""
        for label in list(self.group.lanes):
            try:
                outputs = self.group.outputs_of(label)
            except CancelledError:
                raise
            except ProfilerError as error:
                yield from self._taken(self.group.fail(label, Phase.WARMING_UP, error))
                continue
            mine = (self.group.output_names[label], outputs)
            names, expected = self.context.reference.setdefault(self.family, mine)
            problem = output_problem(names, expected, outputs, self.context.plan.tolerance)
            if problem:
                yield from self._put_out(label, ArmState.OTHER_OUTPUTS, problem)

    def _run_rounds(self, until_s: float) -> Generator[Event, None, str]:
        group, clock = self.group, self.context.clock
        while group.lanes:
            if self.context.interrupted():
                raise CancelledError("The race was stopped.")
            yield from self._round()
            yield from self._check_limits()
            yield from self._put_out_losers()
            found = self.standings()
            yield self._progress(found)
            reason = self.decided(found)
            if reason:
                return reason
            here = sum(item.launch == group.launch for item in racing.used(self.rounds))
            settled = here >= LAUNCH_ROUNDS and group.launch + 1 >= MOST_LAUNCHES
            if settled:
                return "undecided"
            few = len(racing.used(self.rounds)) < LEAST_ROUNDS
            end_s = self.context.budget.races_end_s
            end_s = end_s if few else min(end_s, until_s)
            if clock() + self._round_s() > end_s:
                self._at_end = True
                yield from self._put_out_losers()
                return self.decided(self.standings()) or "time"
            again_s = group.launching_s + LEAST_ROUNDS * self._round_s()
            if here >= LAUNCH_ROUNDS and clock() + again_s <= end_s:
                yield from self._taken(group.launch_again())
        return "none left"

    def _put_out_losers(self) -> Iterator[Event]:
        found = self.standings()
        for standing in self.losers(found):
            text = "its interval lies above the leader's"
            yield from self._put_out(standing.label, ArmState.SLOWER, text, standing, found)

    def losers(self, found: Sequence[Standing]) -> list[Standing]:
        """Arms that leave now."""
        return racing.out(found)

    def decided(self, found: Sequence[Standing]) -> str:
        """Why the race is over, or ""."""
        return racing.decided(found)

    def _round(self) -> Iterator[Event]:
        index, plan = len(self.rounds), self.context.plan
        order = list(self.group.lanes.values())
        self.context.random.shuffle(order)
        for lane in order:
            count = lane.calls_in(plan.turn_ns)
            yield from self._taken(self.group.turn(lane, RoundKind.TIMED, index, count))
        turns = self.seen.latest(index)
        made = RaceRound(
            time_ns=time.time_ns(),
            race=self.number,
            index=index,
            launch=self.group.launch,
            medians_ns={turn.label: float(np.median(turn.latencies_ns)) for turn in turns},
            disturbed=racing.disturbed(turns, plan.noise),
        )
        self.rounds.append(made)
        yield made

    def standings(self) -> tuple[Standing, ...]:
        """Arms that are in, the leader first."""
        arms = list(self.group.lanes)
        count = len(self.arms) - 1
        return racing.standings(self.rounds, arms, comparisons=count, at_end=self._at_end)

    def _check_limits(self) -> Iterator[Event]:
        plan = self.context.plan
        for label in list(self.group.lanes):
            peak = self.seen.peak_bytes(label)
            if plan.max_memory_bytes is not None and peak > plan.max_memory_bytes:
                text = f"it took {peak / 2**20:.0f} MiB above its engine alone"
                yield from self._put_out(label, ArmState.OVER_MEMORY, text)
            elif plan.max_p99_ns is not None:
                calls = self.seen.latencies_ns(label, self.rounds)
                above = int((calls > plan.max_p99_ns).sum())
                if racing.surely_over(above, calls.size):
                    text = f"{above} of {calls.size} calls took longer than the limit"
                    yield from self._put_out(label, ArmState.OVER_P99, text)

    def _put_out(
        self,
        label: str,
        state: ArmState,
        reason: str,
        standing: Standing | None = None,
        found: Sequence[Standing] = (),
    ) -> Iterator[Event]:
        yield self._judge(label, state, reason, standing, found[0].label if found else "")
        self.group.drop(label)

    def _finish(self, reason: str) -> Iterator[Event]:
        """The winner, and what became of those that are left."""
        arms = [label for label in self.arms if label not in self._judged]
        count = len(self.arms) - 1
        # An arm that never had a turn has no common round with the others.
        raced = [label for label in arms if self.seen.turns[label]]
        found = racing.standings(self.rounds, raced, comparisons=count, at_end=True)
        changes = {label: arm.changes for label, arm in self.arms.items()}
        barred = {standing.label for standing in found if self._over_p99(standing.label)}
        winner = racing.chosen(found, changes, barred)
        few = not found or found[0].rounds < LEAST_ROUNDS
        if few and self.incumbent in arms and self.incumbent not in barred:
            # So few rounds put nothing in its place.
            winner = self.incumbent
        self.leader = self.arms.get(winner)
        if winner:
            found = racing.standings(
                self.rounds, raced, comparisons=count, leader=winner, at_end=True
            )
        for label in arms:
            standing = next((s for s in found if s.label == label), None)
            if label == winner:
                yield self._judge(label, ArmState.LEADER, "", standing)
            elif standing is None:
                text = LATE if label in self.group.late else f"the race ended first: {reason}"
                yield self._judge(label, ArmState.NOT_REACHED, text)
            elif label in barred:
                yield self._judge(label, ArmState.OVER_P99, "its p99 is above the limit", standing)
            else:
                text = "not told apart from the leader, or by less than 2 %"
                against = found[0].label
                yield self._judge(label, ArmState.NOT_FASTER, text, standing, against)
        yield RaceFinished(
            time_ns=time.time_ns(),
            race=self.number,
            family=self.family,
            leader=winner,
            reason=reason,
        )

    def _over_p99(self, label: str) -> bool:
        limit = self.context.plan.max_p99_ns
        calls = self.seen.latencies_ns(label, self.rounds, at_end=True)
        return limit is not None and calls.size > 0 and float(np.percentile(calls, 99)) > limit

    def _judge(
        self,
        label: str,
        state: ArmState,
        reason: str,
        standing: Standing | None = None,
        against: str = "",
    ) -> ArmJudged:
        self._judged.add(label)
        if state in (ArmState.FAILED, ArmState.OTHER_OUTPUTS):
            self.lost[label] = math.inf
        elif standing is not None and state is ArmState.SLOWER:
            self.lost[label] = standing.low
        return self.seen.judged(label, state, reason, self.rounds, standing, against)

    def _round_s(self) -> float:
        turn_ns = self.context.plan.turn_ns
        turns = (
            (lane.lead_in(LEAD_IN_NS) + lane.calls_in(turn_ns)) * lane.expected_ns()
            for lane in self.group.lanes.values()
        )
        return sum(turns) / 1e9

    def _progress(self, found: Sequence[Standing]) -> Progress:
        budget = self.context.budget
        elapsed_s = budget.total_s - budget.left_s()
        leader = f", {found[0].label} leads" if found else ""
        return Progress(
            time_ns=time.time_ns(),
            phase=Phase.MEASURING,
            detail=f"race {self.number + 1} ({self.axis}): {len(self.group.lanes)} left{leader}",
            fraction=elapsed_s / budget.total_s,
            round=len(self.rounds),
            time_left_s=budget.left_s(),
        )


def _run_plan(plan: SearchPlan, arms: Sequence[Configuration], left_s: float) -> RunPlan:
    """The part of a run plan that lanes need."""
    warmup_s = min(plan.warmup.time_limit_s, WARMUP_SHARE * left_s / len(arms))
    return RunPlan(
        model=plan.model,
        inputs=plan.inputs,
        engines=tuple(arm.spec for arm in arms),
        baseline=arms[0].label,
        warmup=msgspec.structs.replace(plan.warmup, time_limit_s=warmup_s),
        turn_ns=plan.turn_ns,
        seed=plan.seed,
        noise=plan.noise,
        lane_cpus=plan.lane_cpus,
        tolerance=plan.tolerance,
    )
