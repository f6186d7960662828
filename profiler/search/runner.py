"""A search: for each family of engines race after race along its axes, then a confirmation."""

from __future__ import annotations

import functools
import queue
import random
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

import msgspec

from profiler import recorder, supervisor
from profiler.environment import describe_environment
from profiler.errors import CancelledError, PlanError
from profiler.model_forms import lane_models
from profiler.plan import default_baseline
from profiler.search.race import Context, Race
from profiler.search.space import TORCH, Configuration, Space, leader_label, spaces
from profiler.session_writer import SessionWriter
from profiler.telemetry import Telemetry
from profiler.types import (
    ArmJudged,
    ArmState,
    EngineFailed,
    EngineSpec,
    Event,
    LaunchRule,
    ModelSource,
    RaceFinished,
    RaceStarted,
    RunFinished,
    RunPlan,
    SearchPlan,
    SearchStarted,
    StoppingRule,
    TelemetrySample,
)
from profiler.version import VERSION

Gathered = Callable[[], Iterable[TelemetrySample]]
# A choice that lost by this factor isn't tried again beside other choices.
HOPELESS = 1.25
# PyTorch's lanes load and compile: of the time for races they get this many times the share.
TORCH_WEIGHT = 2.0
LEAST_CONFIRMATION_S = 10.0


def search(
    plan: SearchPlan,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    telemetry: Gathered = tuple,
) -> Iterator[Event]:
    """Find the fastest configuration of each family and confirm it; tell everything as events.

    Coordinate descent: along each axis the choices race against the best so far, again until no
    change of one axis helps or the time for races is up. Then the leaders are measured against the
    defaults as in any run, in new processes: the race's own figures of a winner are too good, since
    it was chosen by them. The last event is a RunFinished. Raises PlanError.
    """
    found = spaces(plan)
    check(plan, found)
    with tempfile.TemporaryDirectory(prefix="dualscope-", ignore_cleanup_errors=True) as folder:
        started_s = clock()
        context = Context(
            plan=plan,
            folder=Path(folder),
            cancelled=cancelled,
            clock=clock,
            random=random.Random(plan.seed),
            started_s=started_s,
            end_s=started_s + plan.budget_s * plan.race_share,
        )
        for event in _Search(context, found).events(telemetry):
            yield event
            yield from telemetry()


def record(plan: SearchPlan, path: Path, *, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Search, and write the session file meanwhile; yields every event.

    Raises PlanError, SessionFileError.
    """
    check(plan, spaces(plan))
    samples: queue.SimpleQueue[TelemetrySample] = queue.SimpleQueue()
    with SessionWriter(path) as writer, Telemetry(samples.put):
        telemetry = functools.partial(recorder.drained, samples)
        for event in search(plan, cancelled=cancelled, telemetry=telemetry):
            writer.append(event)
            yield event


def check(plan: SearchPlan, found: list[Space]) -> None:
    """Refuse what can't work. Raises PlanError."""
    if not found:
        raise PlanError(
            f"None of these engines can run a file of kind {plan.model.kind.value}.",
            "Name others, or leave --engines out.",
        )
    if plan.budget_s <= 0 or plan.at_once < 2:
        raise PlanError(
            "A search needs time, and at least two processes at once.", "For example 120 s and 4."
        )


class _Search:
    """State of one search."""

    def __init__(self, context: Context, found: list[Space]) -> None:
        self.context = context
        self.plan = context.plan
        self.spaces = found
        self.leaders: dict[str, Configuration] = {}

    def events(self, telemetry: Gathered) -> Iterator[Event]:
        yield SearchStarted(
            time_ns=time.time_ns(),
            plan=self.plan,
            environment=describe_environment(),
            dualscope_version=VERSION,
        )
        try:
            yield from self._races()
        except CancelledError:
            yield RunFinished(time_ns=time.time_ns(), reason="stopped")
            return
        run = self._confirmation()
        if run is None:
            yield RunFinished(time_ns=time.time_ns(), reason="all lanes failed")
            return
        yield from supervisor.run(
            run, cancelled=self.context.cancelled, clock=self.context.clock, telemetry=telemetry
        )

    def _races(self) -> Iterator[Event]:
        clock, left = self.context.clock, [_weight(space) for space in self.spaces]
        for space in self.spaces:
            until_s = clock() + (self.context.end_s - clock()) * left[0] / sum(left)
            left.pop(0)
            model = yield from self._model(space)
            if model is not None:
                yield from Descent(self.context, space, model).events(until_s, self.leaders)

    def _model(self, space: Space) -> Generator[Event, None, ModelSource | None]:
        """The model in the family's form."""
        run = RunPlan(
            model=self.plan.model,
            inputs=self.plan.inputs,
            engines=(space.start,),
            baseline=space.start.label,
        )
        for item in lane_models(run, self.context.cancelled):
            if isinstance(item, EngineFailed):
                yield from self._without(space, f"{item.message} {item.hint}".strip())
            elif isinstance(item, Event):
                yield item
            else:
                return item[1]
        return None

    def _without(self, space: Space, reason: str) -> Iterator[Event]:
        """A family that the model can't be brought into the form of, told as a race of its own."""
        race, now_ns = self.context.races, time.time_ns()
        self.context.races += 1
        spec = space.default().spec
        yield RaceStarted(
            time_ns=now_ns,
            race=race,
            family=space.family,
            axis="default",
            incumbent="",
            arms=(spec,),
        )
        yield ArmJudged(
            time_ns=now_ns, race=race, label=spec.label, state=ArmState.FAILED, reason=reason
        )
        yield RaceFinished(
            time_ns=now_ns, race=race, family=space.family, leader="", reason="none left"
        )

    def _confirmation(self) -> RunPlan | None:
        """Each family's default and, where it is another, its leader; None without any leader."""
        engines: list[EngineSpec] = []
        for space in self.spaces:
            leader = self.leaders.get(space.family)
            if leader is None:
                continue
            engines.append(space.start)
            if leader.changes:
                label = leader_label(space.family)
                engines.append(msgspec.structs.replace(leader.spec, label=label))
        if not engines:
            return None
        starting_s = self.context.starting_s * len(engines)
        end_s = self.context.started_s + self.plan.budget_s
        left_s = end_s - self.context.clock() - starting_s
        return RunPlan(
            model=self.plan.model,
            inputs=self.plan.inputs,
            engines=tuple(engines),
            baseline=default_baseline(engines),
            stopping=StoppingRule(time_limit_s=max(LEAST_CONFIRMATION_S, left_s)),
            launches=LaunchRule(),
            seed=self.plan.seed,
            noise=self.plan.noise,
            lane_cpus=self.plan.lane_cpus,
            tolerance=self.plan.tolerance,
        )


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
        while clock() < until_s:
            steps = [(axis, arms) for axis in self._axes() if (arms := self._untried(axis))]
            if not steps:
                break
            for place, (axis, _) in enumerate(steps):
                arms = self._untried(axis)
                for number, batch in enumerate(self._batches(arms)):
                    if clock() >= until_s:
                        break
                    ahead = len(self._batches(arms)) - number + len(steps) - place - 1
                    share_s = (until_s - clock()) / ahead
                    yield from self._race(axis, batch, clock() + share_s, leaders)
        # With nothing to vary, or no time for it.
        if self.stands and self.space.family not in leaders:
            leaders[self.space.family] = self.best

    def _axes(self) -> range:
        return range(len(self.space.axes))

    def _untried(self, axis: int) -> list[Configuration]:
        """What may still be better along an axis."""
        return [
            arm
            for arm in self.space.others(self.best, axis)
            if arm.label not in self._tried and (axis, arm.picks[axis]) not in self._hopeless
        ]

    def _batches(self, arms: list[Configuration]) -> list[list[Configuration]]:
        """As many as may be alive at once, beside the best so far."""
        size = self.context.plan.at_once - 1
        return [arms[start : start + size] for start in range(0, len(arms), size)]

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


def _weight(space: Space) -> float:
    """Of a family, for its share of the time: configurations of one pass."""
    count = 1 + sum(len(axis.choices) - 1 for axis in space.axes)
    return count * (TORCH_WEIGHT if space.family == TORCH else 1.0)
