"""Runs a plan: starts lanes, hands out turns round by round, stops on precision or at the limit."""

from __future__ import annotations

import contextlib
import math
import os
import random
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

import msgspec

from profiler.compare import relative_width
from profiler.environment import describe_environment
from profiler.errors import CancelledError
from profiler.foreign_load import ProcessTable
from profiler.lane_group import LaneGroup
from profiler.lane_outputs import compare_lane_outputs
from profiler.lane_sizes import try_new_size
from profiler.lane_tracing import LaneTracing
from profiler.placement import kept_off
from profiler.plan import check_plan, default_plan
from profiler.run_context import RunContext
from profiler.session import Session
from profiler.stats import precision_of_one
from profiler.types import (
    Event,
    ForeignProcesses,
    Locate,
    OpTimings,
    Phase,
    Progress,
    RoundKind,
    RunFinished,
    RunPlan,
    RunStarted,
    TelemetrySample,
)
from profiler.value_walk import walk_values
from profiler.version import VERSION

__all__ = ["default_plan", "run"]

LOOK_INTERVAL_S = 2.0
# A launch waits for undisturbed rounds until it has so many times the rounds that it needs.
MOST_WAITING = 3
# Of the time limit: a first trace that takes no longer may come before a verdict's rounds.
FIRST_TRACE_SHARE = 0.25


def run(
    plan: RunPlan,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    telemetry: Callable[[], Iterable[TelemetrySample]] = tuple,
    end_s: float = math.inf,
) -> Iterator[Event]:
    """Measure the plan's lanes and tell everything as events; the last is a RunFinished.

    Failures of a lane become EngineFailed events and the other lanes go on. `cancelled` is polled;
    when it turns true the run ends with what was measured. `clock` gives seconds; limits refer to
    it. `telemetry` gives the samples since the last call; they take their place among the events.
    `end_s`: the clock's reading after which nothing is begun any more; latencies come first then.
    Raises PlanError for a plan that can't work. Engine processes are reaped when the generator
    ends or is closed.
    """
    check_plan(plan)
    with tempfile.TemporaryDirectory(prefix="dualscope-", ignore_cleanup_errors=True) as folder:
        runner = _Runner(RunContext(plan, Path(folder), cancelled, clock), end_s)
        try:
            yield from runner.events(telemetry)
        finally:
            runner.group.close()


class _Runner:
    """State of one run."""

    def __init__(self, context: RunContext, end_s: float) -> None:
        self.end_s = end_s
        self.plan = context.plan
        self.cancelled = context.cancelled
        self.clock = context.clock
        self.group = LaneGroup(context)
        self.tracing = LaneTracing(self.group)
        # The supervisor reads its own session for the stopping rule: one way to count, not two.
        self.session = Session()
        self.random = random.Random(self.plan.seed)
        self.timed_round = 0
        self.measuring_since = 0.0
        # Of the time spent on tracing: what lies before this launch.
        self.traced_before_s = 0.0
        self.processes: ProcessTable | None = None
        self.looked_s = 0.0

    def events(self, telemetry: Callable[[], Iterable[TelemetrySample]]) -> Iterator[Event]:
        for event in self._phases():
            # Whoever draws samples against the run's start has to know it before the first one.
            if not isinstance(event, RunStarted):
                for sample in telemetry():
                    self.session.apply(sample)
                    yield sample
            # Of a lane's traces the first: it tells which operators there are.
            if not isinstance(event, OpTimings) or event.label not in self.session.traces:
                self.session.apply(event)
            yield event

    def _phases(self) -> Iterator[Event]:
        yield RunStarted(
            time_ns=time.time_ns(),
            plan=self.plan,
            environment=describe_environment(),
            dualscope_version=VERSION,
        )
        try:
            yield from self.group.load()
            # From here on: a child started before would have inherited this.
            with kept_off(self.plan.lane_cpus):
                yield from self.group.warm_up()
                yield from compare_lane_outputs(self.group)
                reason = yield from self._measure()
                # All is measured by now: a stop here leaves out these looks only.
                with contextlib.suppress(CancelledError):
                    if self.clock() < self.end_s:
                        yield from self._look_inside()
                    if self.clock() < self.end_s:
                        yield from try_new_size(self.group)
        except CancelledError:
            reason = "stopped"
        for lane in self.group.lanes.values():
            yield from lane.log_events()
        self.group.close()
        yield self._progress(Phase.FINISHED, fraction=1.0)
        yield RunFinished(time_ns=time.time_ns(), reason=reason)

    def _look_inside(self) -> Iterator[Event]:
        """Where the outputs differ, or always: the values inside of the model, lane by lane."""
        for found in self.session.outputs:
            wanted = self.plan.locate is Locate.ALWAYS or not found.agree
            labels = (found.baseline, found.candidate)
            traced = all(label in self.session.traces for label in labels)
            if self.plan.locate is Locate.NEVER or not wanted or not traced:
                continue
            lanes = tuple(self.group.lanes[n] for n in labels if n in self.group.lanes)
            if len(lanes) == 2:
                operators = tuple(self.session.lane_operators(label) for label in labels)
                yield from walk_values(
                    (lanes[0], lanes[1]), (operators[0], operators[1]), self.plan.tolerance
                )

    def _measure(self) -> Generator[Event, None, str]:
        """Timed rounds with traced rounds between them. Returns the reason for its end."""
        group = self.group
        self.measuring_since = group.launched_s = self.looked_s = self.clock()
        self.processes = ProcessTable()
        while group.lanes:
            if self.cancelled():
                return "stopped"
            order = list(group.lanes.values())
            self.random.shuffle(order)
            for lane in order:
                count = lane.calls_of_turn(self.plan.turn_ns)
                yield from group.turn(lane, RoundKind.TIMED, self.timed_round, count)
            yield from self._look_for_others()
            self.timed_round += 1
            width = self._width()
            yield self._measuring_progress(width)
            reason = self._reason_to_stop(width)
            if self._trace_is_due(reason):
                yield from self.tracing.trace(only_untraced=bool(reason))
            if reason:
                return reason
            if self._launch_is_due():
                yield self._measuring_progress(width, launch=group.launch + 1)
                yield from group.launch_again()
                self.traced_before_s = self.tracing.traced_s
        return "all lanes failed"

    def _launch_is_due(self) -> bool:
        """When this launch had its rounds and its share of the time, and another one still fits."""
        rule, group, now = self.plan.launches, self.group, self.clock()
        aside = self.session.set_aside()
        of_this = [i for i, launch in self.session.launches.items() if launch == group.launch]
        enough = (
            sum(index not in aside for index in of_this) >= rule.min_rounds
            or len(of_this) >= MOST_WAITING * rule.min_rounds
        )
        least_s = group.launching_s * (1 - rule.most_share) / rule.most_share
        if not enough or now - group.launched_s < least_s:
            return False
        # A round takes longer than its calls: threads come to rest after each turn.
        rounds_s = now - group.launched_s - (self.tracing.traced_s - self.traced_before_s)
        round_s = max(self._round_s(), rounds_s / len(of_this))
        end_s = now - self.measuring_since + group.launching_s + rule.min_rounds * round_s
        return len(group.lanes) > 1 and end_s <= self._time_limit_s()

    def _look_for_others(self) -> Iterator[Event]:
        """Who else was busy, when the round just timed was disturbed."""
        due = self.clock() - self.looked_s >= LOOK_INTERVAL_S
        if self.processes is None or not due or self.timed_round not in self.session.disturbed:
            return
        lanes = {lane.process.pid or 0 for lane in self.group.lanes.values()}
        found = [
            msgspec.structs.replace(p, name="Dualscope itself") if p.pid == os.getpid() else p
            for p in self.processes.look(own=lanes)
        ]
        self.looked_s = self.clock()
        yield ForeignProcesses(
            time_ns=time.time_ns(), round=self.timed_round, processes=tuple(found)
        )

    def _width(self) -> float | None:
        """The widest interval of all pairs, over its ratio; with one lane, of its latency."""
        if self.timed_round < 2:
            return None
        alive = set(self.group.lanes)
        pairs = [c for c in self.session.comparisons() if {c.baseline, c.candidate} <= alive]
        if pairs:
            return max(relative_width(c) for c in pairs)
        left_out = self.session.set_aside()
        widths = [precision_of_one(self.session.medians[n], left_out) for n in self.group.lanes]
        return max(widths, default=None)

    def _reason_to_stop(self, width: float | None) -> str:
        rule = self.plan.stopping
        enough = self.timed_round - len(self.session.set_aside()) >= rule.min_rounds
        if enough and width is not None and width <= rule.target_width:
            return "precision"
        # A round that would end past the limit isn't begun.
        end_s = self.clock() - self.measuring_since + self._round_s()
        late = end_s > self._time_limit_s()
        return "time limit" if late or self.timed_round >= rule.max_rounds else ""

    def _time_limit_s(self) -> float:
        """For timed rounds, from the first one on."""
        return min(self.plan.stopping.time_limit_s, self.end_s - self.measuring_since)

    def _round_s(self) -> float:
        """How long the next round will take."""
        plan = self.plan
        return sum(lane.turn_s(plan.turn_ns, plan.lead_in_ns) for lane in self.group.lanes.values())

    def _trace_is_due(self, reason: str) -> bool:
        """The first trace after one timed round, then as long as tracing keeps to its share; at the
        end, for whatever `reason`, of lanes that have none. None where tracing has no share.

        It takes about as long as starting the lanes. Where that is much of the time limit, or the
        run has to end at some time, the rounds that a verdict needs come before the first; where it
        has to end, there has to be time for it, too.
        """
        traced_s, now, group = self.tracing.traced_s, self.clock(), self.group
        if not self.plan.traced_share or now + group.launching_s > self.end_s:
            return False
        if traced_s == 0 and self.timed_round < self.plan.stopping.min_rounds:
            early = group.launching_s <= FIRST_TRACE_SHARE * self._time_limit_s()
            return bool(reason) or (early and math.isinf(self.end_s))
        return bool(reason) or traced_s <= self.plan.traced_share * (now - self.measuring_since)

    def _measuring_progress(self, width: float | None, launch: int | None = None) -> Progress:
        """With the launch that goes on, or the one that begins."""
        rule = self.plan.stopping
        elapsed_s = self.clock() - self.measuring_since
        left_s = max(0.0, self._time_limit_s() - elapsed_s)
        if width is not None and width < 1e6:
            # An interval narrows with the square root of the number of rounds.
            left_s = min(left_s, max(0.0, elapsed_s * ((width / rule.target_width) ** 2 - 1)))
        return self._progress(
            Phase.MEASURING,
            f"launch {(self.group.launch if launch is None else launch) + 1}",
            fraction=min(1.0, elapsed_s / (elapsed_s + left_s)) if elapsed_s else 0.0,
            interval_width=width,
            time_left_s=left_s,
        )

    def _progress(
        self,
        phase: Phase,
        detail: str = "",
        *,
        fraction: float | None = None,
        interval_width: float | None = None,
        time_left_s: float | None = None,
    ) -> Progress:
        return Progress(
            time_ns=time.time_ns(),
            phase=phase,
            detail=detail,
            fraction=fraction,
            round=self.timed_round,
            interval_width=interval_width,
            time_left_s=time_left_s,
        )
