"""A search: for each family of engines race after race along its axes, then a confirmation."""

from __future__ import annotations

import functools
import queue
import random
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from profiler import recorder, supervisor
from profiler.environment import describe_environment
from profiler.errors import CancelledError, PlanError
from profiler.model_forms import lane_models
from profiler.plan import default_baseline
from profiler.search.budget import WARMUP_SHARE, Budget, turn_s
from profiler.search.descent import UNTRIED, Descent, not_raced
from profiler.search.race import Context
from profiler.search.space import TORCH, Configuration, Space, leader_label, spaces
from profiler.session_writer import SessionWriter
from profiler.telemetry import Telemetry
from profiler.types import (
    ArmState,
    EngineFailed,
    EngineSpec,
    Event,
    LaunchRule,
    ModelSource,
    RunFinished,
    RunPlan,
    SearchPlan,
    SearchStarted,
    StoppingRule,
    TelemetrySample,
    WarmupRule,
)
from profiler.version import VERSION

Gathered = Callable[[], Iterable[TelemetrySample]]
TIME_LIMIT = "time limit"
# PyTorch's lanes load and compile: of the time for races they get this many times the share.
TORCH_WEIGHT = 2.0
# In the confirmation a family has its default and, where it is another, its leader.
MOST_LANES = 2


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
    it was chosen by them. The last event is a RunFinished; it comes within the plan's budget, or
    seconds later. Raises PlanError.
    """
    found = spaces(plan)
    check(plan, found)
    with tempfile.TemporaryDirectory(prefix="dualscope-", ignore_cleanup_errors=True) as folder:
        context = new_context(plan, found, Path(folder), cancelled=cancelled, clock=clock)
        for event in _Search(context, found).events(telemetry):
            yield event
            yield from telemetry()


def new_context(
    plan: SearchPlan,
    found: Sequence[Space],
    folder: Path,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Context:
    """Of a search in these spaces whose time begins now."""
    budget = Budget(
        clock=clock,
        total_s=plan.budget_s,
        race_share=plan.race_share,
        turn_s=turn_s(plan.turn_ns),
        cores=plan.cores,
        lanes={space.family: MOST_LANES for space in found},
    )
    return Context(
        plan=plan,
        folder=folder,
        cancelled=cancelled,
        clock=clock,
        random=random.Random(plan.seed),
        budget=budget,
    )


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
        elif self.context.budget.left_s() <= 0:
            yield RunFinished(time_ns=time.time_ns(), reason=TIME_LIMIT)
        else:
            yield from self._confirm(run, telemetry)

    def _races(self) -> Iterator[Event]:
        budget, clock = self.context.budget, self.context.clock
        left = [_weight(space) for space in self.spaces]
        for space in self.spaces:
            until_s = clock() + (budget.races_end_s - clock()) * left[0] / sum(left)
            left.pop(0)
            model = yield from self._model(space)
            if model is not None:
                yield from Descent(self.context, space, model).events(until_s, self.leaders)
            leader = self.leaders.get(space.family)
            budget.lanes[space.family] = 0 if leader is None else 1 + (leader.changes > 0)

    def _confirm(self, run: RunPlan, telemetry: Gathered) -> Iterator[Event]:
        """As any run, but cut off where it goes on past the budget."""
        cancelled, budget = self.context.cancelled, self.context.budget
        for event in supervisor.run(
            run,
            cancelled=lambda: cancelled() or budget.is_over(),
            clock=self.context.clock,
            telemetry=telemetry,
            end_s=budget.end_s,
        ):
            stopped = isinstance(event, RunFinished) and event.reason == "stopped"
            if stopped and not cancelled():
                yield msgspec.structs.replace(event, reason=TIME_LIMIT)
            else:
                yield event

    def _model(self, space: Space) -> Generator[Event, None, ModelSource | None]:
        """The model in the family's form."""
        run = RunPlan(
            model=self.plan.model,
            inputs=self.plan.inputs,
            engines=(space.start,),
            baseline=space.start.label,
        )
        default = space.default().spec
        without = functools.partial(not_raced, self.context, space, "default", (default,))
        try:
            for item in lane_models(run, self.context.interrupted):
                if isinstance(item, EngineFailed):
                    yield from without(ArmState.FAILED, f"{item.message} {item.hint}".strip())
                elif isinstance(item, Event):
                    yield item
                else:
                    return item[1]
        except CancelledError:
            if self.context.cancelled():
                raise
            yield from without(ArmState.NOT_REACHED, UNTRIED)
        return None

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
        left_s = self.context.budget.left_s()
        longest_s = min(WarmupRule().time_limit_s, WARMUP_SHARE * left_s / len(engines))
        return RunPlan(
            model=self.plan.model,
            inputs=self.plan.inputs,
            engines=tuple(engines),
            baseline=default_baseline(engines),
            warmup=WarmupRule(time_limit_s=longest_s),
            stopping=StoppingRule(time_limit_s=left_s),
            launches=LaunchRule(),
            seed=self.plan.seed,
            noise=self.plan.noise,
            lane_cpus=self.plan.lane_cpus,
            tolerance=self.plan.tolerance,
        )


def _weight(space: Space) -> float:
    """Of a family, for its share of the time: configurations of one pass."""
    count = 1 + sum(len(axis.choices) - 1 for axis in space.axes)
    return count * (TORCH_WEIGHT if space.family == TORCH else 1.0)
