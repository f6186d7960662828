"""Runs a plan: starts lanes, hands out turns round by round, stops on precision or at the limit."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from pathlib import Path

from profiler.compare import relative_width
from profiler.environment import describe_environment
from profiler.errors import CancelledError, EngineError, ProfilerError
from profiler.foreign_load import ForeignLoad, ProcessTable
from profiler.lane import Lane
from profiler.model_forms import lane_models
from profiler.outputs import compare_outputs, load_outputs, tolerance
from profiler.placement import kept_off
from profiler.plan import check_plan, default_plan
from profiler.session import Session
from profiler.stats import precision_of_one
from profiler.types import (
    EngineFailed,
    EngineReady,
    Event,
    ForeignProcesses,
    LaunchedAgain,
    Load,
    Loaded,
    LogLine,
    OpTimings,
    OutputsCompared,
    OutputsSaved,
    Phase,
    Progress,
    Round,
    RoundKind,
    RunFinished,
    RunPlan,
    RunStarted,
    SaveOutputs,
    TelemetrySample,
    Trace,
    Traced,
)
from profiler.version import VERSION

__all__ = ["default_plan", "run"]

LOAD_TIMEOUT_S = 900.0
CALL_TIMEOUT_S = 600.0
TRACE_TIMEOUT_S = 900.0
TRACE_LENGTH_S = 4.0
TRACE_WARMUP = 2
LOOK_INTERVAL_S = 2.0


def run(
    plan: RunPlan,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
    telemetry: Callable[[], Iterable[TelemetrySample]] = tuple,
) -> Iterator[Event]:
    """Measure the plan's lanes and tell everything as events; the last is a RunFinished.

    Failures of a lane become EngineFailed events and the other lanes go on. `cancelled` is polled;
    when it turns true the run ends with what was measured. `clock` gives seconds; limits refer to
    it. `telemetry` gives the samples since the last call; they take their place among the events.
    Raises PlanError for a plan that can't work. Engine processes are reaped when the generator
    ends or is closed.
    """
    check_plan(plan)
    with tempfile.TemporaryDirectory(prefix="dualscope-", ignore_cleanup_errors=True) as folder:
        runner = _Runner(plan, Path(folder), cancelled, clock)
        try:
            yield from runner.events(telemetry)
        finally:
            runner.close()


class _Runner:
    """State of one run."""

    def __init__(
        self,
        plan: RunPlan,
        folder: Path,
        cancelled: Callable[[], bool],
        clock: Callable[[], float],
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.cancelled = cancelled
        self.clock = clock
        self.lanes: dict[str, Lane] = {}
        # The supervisor reads its own session for the stopping rule: one way to count, not two.
        self.session = Session()
        self.random = random.Random(plan.seed)
        self.timed_round = 0
        self.traced_s = 0.0
        self.measuring_since = 0.0
        # Launches so far but the first, how long the last one took, and when it was over.
        self.launch = 0
        self.launching_s = 0.0
        self.launched_s = 0.0
        self.processes: ProcessTable | None = None
        self.looked_s = 0.0

    def events(self, telemetry: Callable[[], Iterable[TelemetrySample]]) -> Iterator[Event]:
        for event in self._phases():
            for sample in telemetry():
                self.session.apply(sample)
                yield sample
            if not isinstance(event, OpTimings):
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
            yield from self._load()
            # From here on: a child started before would have inherited this.
            with kept_off(self.plan.lane_cpus):
                yield from self._warm_up()
                yield from self._compare_outputs()
                reason = yield from self._measure()
        except CancelledError:
            reason = "stopped"
        for lane in self.lanes.values():
            yield from lane.log_events()
        self.close()
        yield self._progress(Phase.FINISHED, fraction=1.0)
        yield RunFinished(time_ns=time.time_ns(), reason=reason)

    # --- phases ---------------------------------------------------------------------------

    def _load(self) -> Iterator[Event]:
        for item in lane_models(self.plan, self.cancelled):
            if isinstance(item, Event):
                yield item
                continue
            spec, model = item
            yield self._progress(Phase.LOADING, spec.label)
            try:
                lane = Lane(spec, model, self.folder / str(len(self.lanes)), self.cancelled)
                self.lanes[spec.label] = lane
                started = self.clock()
                reply = lane.request(self._load_of(lane), LOAD_TIMEOUT_S)
                self.launching_s += self.clock() - started
                yield self._ready(lane, reply)
                yield from lane.log_events()
            except CancelledError:
                raise
            except ProfilerError as error:
                yield from self._fail(spec.label, Phase.LOADING, error)

    def _load_of(self, lane: Lane) -> Load:
        return Load(
            spec=lane.spec,
            model=lane.model,
            inputs=self.plan.inputs,
            work_dir=str(lane.work_dir),
            cpus=self.plan.lane_cpus,
        )

    def _ready(self, lane: Lane, reply: object) -> EngineReady:
        if not isinstance(reply, Loaded):
            raise EngineError(f"{lane.label} answered {type(reply).__name__} to loading.")
        return EngineReady(
            time_ns=time.time_ns(),
            label=lane.label,
            pid=lane.process.pid or 0,
            load_time_ns=reply.load_time_ns,
            first_iteration_ns=reply.first_iteration_ns,
            engine_version=reply.engine_version,
            compile_time_ns=reply.compile_time_ns,
            input_note=reply.input_note,
            graph_note=reply.graph_note,
            baseline_rss_bytes=reply.baseline_rss_bytes,
            rss_bytes=reply.rss_bytes,
            weights_bytes=reply.weights_bytes,
            output_names=reply.output_names,
        )

    def _warm_up(self) -> Iterator[Event]:
        started = self.clock()
        for lane in list(self.lanes.values()):
            yield from self._warm_up_lane(lane)
        self.launching_s += self.clock() - started

    def _warm_up_lane(self, lane: Lane) -> Iterator[Event]:
        rule, started = self.plan.warmup, self.clock()
        calls = index = 0
        while True:
            if not self.launch:
                share = (self.clock() - started) / rule.time_limit_s
                yield self._progress(Phase.WARMING_UP, lane.label, fraction=min(1.0, share))
            # Single calls at first, to learn how long one takes; then a median of several.
            count = 1 if index < 2 else max(3, lane.calls_in(self.plan.turn_ns // 4))
            event = yield from self._turn(lane, RoundKind.WARMUP, index, count)
            if event is None:
                return
            calls, index = calls + count, index + 1
            over = self.clock() - started > rule.time_limit_s or index >= rule.max_calls
            if over or (calls >= rule.min_calls and lane.settled(rule)):
                return

    def _compare_outputs(self) -> Iterator[Event]:
        saved: dict[str, Path] = {}
        for lane in list(self.lanes.values()):
            path = lane.work_dir / "outputs.npz"
            try:
                reply = lane.request(SaveOutputs(path=str(path)), CALL_TIMEOUT_S)
                if isinstance(reply, OutputsSaved):
                    saved[lane.label] = path
            except CancelledError:
                raise
            except ProfilerError as error:
                yield from self._fail(lane.label, Phase.WARMING_UP, error)
        if not saved:
            return
        baseline = self.plan.baseline if self.plan.baseline in saved else next(iter(saved))
        expected = load_outputs(saved.pop(baseline))
        names = self.session.ready[baseline].output_names
        for label, path in saved.items():
            actual = load_outputs(path)
            chosen = self.plan.tolerance
            differences = compare_outputs(names, expected, actual, chosen)
            bounds = [tolerance(e, a, chosen) for e, a in zip(expected, actual, strict=False)]
            rtol, atol = max(bounds, default=(0.0, 0.0))
            yield OutputsCompared(
                time_ns=time.time_ns(),
                baseline=baseline,
                candidate=label,
                rtol=rtol,
                atol=atol,
                agree=all(d.within_tolerance for d in differences),
                differences=differences,
            )

    def _measure(self) -> Generator[Event, None, str]:
        """Timed rounds with traced rounds between them. Returns the reason for its end."""
        self.measuring_since = self.launched_s = self.looked_s = self.clock()
        self.processes = ProcessTable()
        while self.lanes:
            if self.cancelled():
                return "stopped"
            order = list(self.lanes.values())
            self.random.shuffle(order)
            for lane in order:
                count = lane.calls_in(self.plan.turn_ns)
                yield from self._turn(lane, RoundKind.TIMED, self.timed_round, count)
            yield from self._look_for_others()
            self.timed_round += 1
            width = self._width()
            yield self._measuring_progress(width)
            reason = self._reason_to_stop(width)
            if self._trace_is_due() or reason:
                yield from self._traced_round(only_untraced=bool(reason))
            if reason:
                return reason
            if self._launch_is_due():
                yield from self._launch_again()
        return "all lanes failed"

    def _launch_is_due(self) -> bool:
        """When this launch had its rounds and its share of the time, and another one still fits."""
        rule, now = self.plan.launches, self.clock()
        aside = self.session.set_aside()
        rounds = sum(
            launch == self.launch and index not in aside
            for index, launch in self.session.launches.items()
        )
        least_s = self.launching_s * (1 - rule.most_share) / rule.most_share
        if rounds < rule.min_rounds or now - self.launched_s < least_s:
            return False
        end_s = now - self.measuring_since + self.launching_s + rule.min_rounds * self._round_s()
        return len(self.lanes) > 1 and end_s <= self.plan.stopping.time_limit_s

    def _launch_again(self) -> Iterator[Event]:
        """Every lane in a new process, warmed up."""
        started = self.clock()
        self.launch += 1
        yield self._measuring_progress(self._width(), f"launch {self.launch + 1}")
        for lane in list(self.lanes.values()):
            yield from lane.log_events()
            lane.launch_again()
        for lane in list(self.lanes.values()):
            yield from self._guarded(lane, partial(lane.process.send, self._load_of(lane)))
        for lane in list(self.lanes.values()):
            yield from self._guarded(lane, partial(lane.wait, LOAD_TIMEOUT_S))
        for lane in list(self.lanes.values()):
            yield from self._warm_up_lane(lane)
        pids = {label: lane.process.pid or 0 for label, lane in self.lanes.items()}
        yield LaunchedAgain(time_ns=time.time_ns(), launch=self.launch, pids=pids)
        self.launched_s = self.clock()
        self.launching_s = self.launched_s - started

    def _guarded(self, lane: Lane, step: Callable[[], object]) -> Iterator[Event]:
        """A step of a launch; the lane that fails in it is left out from then on."""
        try:
            step()
        except CancelledError:
            raise
        except ProfilerError as error:
            yield from self._fail(lane.label, Phase.MEASURING, error)

    def _look_for_others(self) -> Iterator[Event]:
        """Who else was busy, when the round just timed was disturbed."""
        due = self.clock() - self.looked_s >= LOOK_INTERVAL_S
        if self.processes is None or not due or self.timed_round not in self.session.disturbed:
            return
        lanes = {lane.process.pid or 0 for lane in self.lanes.values()}
        found = self.processes.look(own=lanes)
        self.looked_s = self.clock()
        yield ForeignProcesses(time_ns=time.time_ns(), round=self.timed_round, processes=found)

    def _traced_round(self, *, only_untraced: bool) -> Iterator[Event]:
        started = self.clock()
        for lane in list(self.lanes.values()):
            if not lane.can_trace or (only_untraced and lane.traces):
                continue
            try:
                reply = lane.request(self._trace_of(lane), TRACE_TIMEOUT_S)
            except CancelledError:
                raise
            except ProfilerError as error:
                lane.can_trace = False
                if lane.process.alive:
                    yield self._log(lane.label, f"Operators can't be traced: {error}")
                else:
                    yield from self._fail(lane.label, Phase.MEASURING, error)
                continue
            if isinstance(reply, Traced):
                yield OpTimings(
                    time_ns=time.time_ns(),
                    label=lane.label,
                    round=lane.traces,
                    iterations=len(reply.latencies_ns),
                    traced_latencies_ns=reply.latencies_ns,
                    ops=reply.ops,
                )
                lane.traces += 1
        self.traced_s += self.clock() - started

    def _trace_of(self, lane: Lane) -> Trace:
        """Fewer iterations of a slow model: a trace should take seconds, not minutes."""
        fit = int(TRACE_LENGTH_S * 1e9 / max(lane.expected_ns(), 1.0))
        iterations = max(1, min(self.plan.traced_iterations, fit - TRACE_WARMUP))
        return Trace(iterations=iterations, warmup=TRACE_WARMUP if fit > TRACE_WARMUP else 0)

    # --- parts ----------------------------------------------------------------------------

    def _turn(
        self, lane: Lane, kind: RoundKind, index: int, count: int
    ) -> Generator[Event, None, Round | None]:
        """One lane's block of iterations. Returns its event; None when the lane failed."""
        load = ForeignLoad()
        timeout_s = CALL_TIMEOUT_S + 20 * count * lane.expected_ns() / 1e9
        try:
            reply = lane.infer(count, timeout_s)
        except CancelledError:
            raise
        except ProfilerError as error:
            phase = Phase.WARMING_UP if kind is RoundKind.WARMUP else Phase.MEASURING
            yield from self._fail(lane.label, phase, error)
            return None
        foreign_share, steal_share = load.shares(reply.cpu_time_ns)
        event = Round(
            time_ns=time.time_ns(),
            label=lane.label,
            index=index,
            kind=kind,
            started_ns=reply.started_ns,
            latencies_ns=reply.latencies_ns,
            launch=self.launch,
            foreign_cpu_share=foreign_share,
            steal_share=steal_share,
            minor_page_faults=reply.minor_page_faults,
            major_page_faults=reply.major_page_faults,
            peak_rss_bytes=reply.peak_rss_bytes,
        )
        yield event
        yield from lane.log_events()
        return event

    def _fail(self, label: str, phase: Phase, error: ProfilerError) -> Iterator[Event]:
        lane = self.lanes.pop(label, None)
        tail: tuple[str, ...] = ()
        if lane is not None:
            yield from lane.log_events()
            tail = lane.process.log_tail()
            lane.close()
        yield EngineFailed(
            time_ns=time.time_ns(),
            label=label,
            phase=phase,
            message=error.message,
            hint=error.hint,
            log_tail=tail,
        )

    def _width(self) -> float | None:
        """The widest interval of all pairs, over its ratio; with one lane, of its latency."""
        if self.timed_round < 2:
            return None
        alive = set(self.lanes)
        pairs = [c for c in self.session.comparisons() if {c.baseline, c.candidate} <= alive]
        if pairs:
            return max(relative_width(c) for c in pairs)
        left_out = self.session.set_aside()
        widths = [precision_of_one(self.session.medians[n], left_out) for n in self.lanes]
        return max(widths, default=None)

    def _reason_to_stop(self, width: float | None) -> str:
        rule = self.plan.stopping
        enough = self.timed_round - len(self.session.set_aside()) >= rule.min_rounds
        if enough and width is not None and width <= rule.target_width:
            return "precision"
        # A round that would end past the limit isn't begun.
        end_s = self.clock() - self.measuring_since + self._round_s()
        late = end_s > rule.time_limit_s
        return "time limit" if late or self.timed_round >= rule.max_rounds else ""

    def _round_s(self) -> float:
        """How long the next round will take."""
        turns = (n.calls_in(self.plan.turn_ns) * n.expected_ns() for n in self.lanes.values())
        return sum(turns) / 1e9

    def _trace_is_due(self) -> bool:
        """The first trace after one timed round, then as long as tracing keeps to its share."""
        elapsed_s = self.clock() - self.measuring_since
        return self.traced_s <= self.plan.traced_share * elapsed_s or self.traced_s == 0

    def _measuring_progress(self, width: float | None, detail: str = "") -> Progress:
        rule = self.plan.stopping
        elapsed_s = self.clock() - self.measuring_since
        left_s = max(0.0, rule.time_limit_s - elapsed_s)
        if width is not None and width < 1e6:
            # An interval narrows with the square root of the number of rounds.
            left_s = min(left_s, max(0.0, elapsed_s * ((width / rule.target_width) ** 2 - 1)))
        return self._progress(
            Phase.MEASURING,
            detail,
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

    def _log(self, label: str, text: str) -> LogLine:
        return LogLine(time_ns=time.time_ns(), label=label, level="warning", text=text)

    def close(self) -> None:
        """Reap every engine process."""
        for lane in self.lanes.values():
            lane.close()
        self.lanes.clear()
