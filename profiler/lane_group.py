"""The lanes of a run: started, warmed up, given turns, traced, launched again, taken out."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

from profiler.errors import CancelledError, EngineError, ProfilerError
from profiler.foreign_load import ForeignLoad
from profiler.lane import Lane
from profiler.model_forms import lane_models
from profiler.new_size import resized, takes_any_size
from profiler.outputs import compare_outputs, load_outputs, precision_tolerance, tolerance
from profiler.types import (
    EngineFailed,
    EngineReady,
    Event,
    Generated,
    GraphDescribed,
    LaneExamined,
    Latencies,
    LaunchedAgain,
    Load,
    Loaded,
    LogLine,
    NewSizeTried,
    OpTimings,
    OutputsCompared,
    OutputsSaved,
    Phase,
    Progress,
    Round,
    RoundKind,
    RunPlan,
    SaveOutputs,
    Trace,
    Traced,
    TryInputs,
)

LOAD_TIMEOUT_S = 900.0
CALL_TIMEOUT_S = 600.0
TRACE_TIMEOUT_S = 900.0
TRACE_LENGTH_S = 4.0
TRACE_WARMUP = 2
NEW_SIZE_CALLS = 4
# Of each lane, and of all lanes together as a share of the run's time limit.
NEW_SIZE_LIMIT_S, NEW_SIZE_SHARE = 5.0, 0.1


class LaneGroup:
    """Lanes that are left, by label. What happens to them is told as events.

    `launch` counts launches from 0; `launching_s` is how long the next one will take, warm-up
    included, `launched_s` when the last was over, and `traced_s` the time spent on traces. Every
    method raises
    CancelledError when the person stops the run.
    """

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
        self.output_names: dict[str, tuple[str, ...]] = {}
        self.launch = 0
        self.launching_s = 0.0
        self.launched_s = 0.0
        self.traced_s = 0.0
        # Lanes whose model's graph was told: once a run, however often they are launched.
        self.described: set[str] = set()

    def load(self) -> Iterator[Event]:
        """Bring the model into each lane's form, and start the lanes one after the other."""
        for item in lane_models(self.plan, self.cancelled):
            if isinstance(item, Event):
                yield item
                continue
            spec, model = item
            yield _progress(Phase.LOADING, spec.label)
            try:
                lane = Lane(spec, model, self.folder / str(len(self.lanes)), self.cancelled)
                # The operators of a generation's steps aren't told apart yet.
                lane.can_trace = self.plan.generation is None
                if self.plan.generation is not None:
                    own = spec.options.get("requests", self.plan.generation.requests)
                    lane.requests = int(own)
                self.lanes[spec.label] = lane
                started = self.clock()
                reply = lane.request(self._load_of(lane), LOAD_TIMEOUT_S)
                # Later launches load all lanes at once.
                self.launching_s = max(self.launching_s, self.clock() - started)
                yield self._ready(lane, reply)
                yield from lane.log_events()
            except CancelledError:
                raise
            except ProfilerError as error:
                yield from self.fail(spec.label, Phase.LOADING, error)

    def _load_of(self, lane: Lane) -> Load:
        return Load(
            spec=lane.spec,
            model=lane.model,
            inputs=self.plan.inputs,
            work_dir=str(lane.work_dir),
            cpus=self.plan.lane_cpus,
            generation=self.plan.generation,
            seed=self.plan.seed,
            launch=self.launch,
        )

    def _ready(self, lane: Lane, reply: object) -> EngineReady:
        if not isinstance(reply, Loaded):
            raise EngineError(f"{lane.label} answered {type(reply).__name__} to loading.")
        self.output_names[lane.label] = reply.output_names
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

    def warm_up(self) -> Iterator[Event]:
        """Each lane until it has settled."""
        for lane in list(self.lanes.values()):
            started = self.clock()
            yield from self._warm_up_one(lane)
            self.launching_s += min(self.clock() - started, self.plan.launches.warmup_s)

    def _warm_up_one(self, lane: Lane) -> Iterator[Event]:
        rule, started = self.plan.warmup, self.clock()
        limit_s = min(rule.time_limit_s, self.plan.launches.warmup_s if self.launch else math.inf)
        calls = index = 0
        while True:
            if not self.launch:
                share = (self.clock() - started) / limit_s
                yield _progress(Phase.WARMING_UP, lane.label, min(1.0, share))
            # Single calls at first, to learn how long one takes; then a median of several.
            count = 1 if index < 2 else max(3, lane.calls_in(self.plan.turn_ns // 4))
            event = yield from self.turn(lane, RoundKind.WARMUP, index, count)
            if event is None:
                return
            calls, index = calls + count, index + 1
            over = self.clock() - started > limit_s or index >= rule.max_calls
            if over or (calls >= rule.min_calls and lane.settled(rule)):
                return

    def compare_outputs(self) -> Iterator[Event]:
        """Every lane's outputs of one call against the baseline's."""
        saved: dict[str, Path] = {}
        for lane in list(self.lanes.values()):
            if lane.is_endpoint:
                # It gives text, and no logits.
                continue
            path = lane.work_dir / "outputs.npz"
            try:
                reply = lane.request(SaveOutputs(path=str(path)), CALL_TIMEOUT_S)
                if isinstance(reply, OutputsSaved):
                    saved[lane.label] = path
            except CancelledError:
                raise
            except ProfilerError as error:
                yield from self.fail(lane.label, Phase.WARMING_UP, error)
        if not saved:
            return
        baseline = self.plan.baseline if self.plan.baseline in saved else next(iter(saved))
        expected = load_outputs(saved.pop(baseline))
        names = self.output_names[baseline]
        for label, path in saved.items():
            actual = load_outputs(path)
            pair = (self.lanes[name].spec for name in (baseline, label))
            chosen = self.plan.tolerance or precision_tolerance(*pair)
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

    def launch_again(self) -> Iterator[Event]:
        """Every lane in a new process, warmed up."""
        started = self.clock()
        self.launch += 1
        for lane in list(self.lanes.values()):
            yield from lane.log_events()
            lane.launch_again()
        for lane in list(self.lanes.values()):
            yield from self._guarded(lane, partial(lane.process.send, self._load_of(lane)))
        for lane in list(self.lanes.values()):
            yield from self._guarded(lane, partial(lane.wait, LOAD_TIMEOUT_S))
        for lane in list(self.lanes.values()):
            yield from self._warm_up_one(lane)
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
            yield from self.fail(lane.label, Phase.MEASURING, error)

    def trace(self, *, only_untraced: bool) -> Iterator[Event]:
        """One traced round; a lane that can't be traced says so and is still timed."""
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
                    yield _warning(lane.label, f"Operators can't be traced: {error}")
                else:
                    yield from self.fail(lane.label, Phase.MEASURING, error)
                continue
            if isinstance(reply, Traced):
                if reply.graph is not None and lane.label not in self.described:
                    self.described.add(lane.label)
                    yield GraphDescribed(
                        time_ns=time.time_ns(),
                        label=lane.label,
                        sha256=lane.model.sha256,
                        graph=reply.graph,
                    )
                if reply.examined is not None:
                    self.described.add(lane.label)
                    yield LaneExamined(
                        time_ns=time.time_ns(), label=lane.label, found=reply.examined
                    )
                yield OpTimings(
                    time_ns=time.time_ns(),
                    label=lane.label,
                    round=lane.traces,
                    iterations=len(reply.latencies_ns),
                    traced_latencies_ns=reply.latencies_ns,
                    ops=reply.ops,
                    inner=reply.inner,
                    foreign_cpu_share=reply.foreign_cpu_share,
                    steal_share=reply.steal_share,
                )
                lane.traces += 1
        self.traced_s += self.clock() - started

    def _trace_of(self, lane: Lane) -> Trace:
        """Fewer iterations of a slow model: a trace should take seconds, not minutes."""
        fit = int(TRACE_LENGTH_S * 1e9 / max(lane.expected_ns(), 1.0))
        iterations = max(1, min(self.plan.traced_iterations, fit - TRACE_WARMUP))
        return Trace(
            iterations=iterations,
            warmup=TRACE_WARMUP if fit > TRACE_WARMUP else 0,
            describe=lane.label not in self.described,
        )

    def try_new_size(self) -> Iterator[Event]:
        """Call lanes with twice the first dynamic dimension, when nothing else is to be done.

        A lane that can't take that size, or takes too long, has no event, and says why in the log;
        it can't be used any more. Ends early when the person stops the run.
        """
        if not self.plan.new_size or self.plan.generation:
            return
        change = resized(self.plan.inputs)
        lanes = [lane for lane in self.lanes.values() if takes_any_size(lane.spec)]
        if change is None or not lanes:
            return
        share_s = NEW_SIZE_SHARE * self.plan.stopping.time_limit_s / len(lanes)
        limit_s = min(NEW_SIZE_LIMIT_S, share_s)
        command = TryInputs(inputs=change.inputs, iterations=NEW_SIZE_CALLS)
        for lane in lanes:
            if self.cancelled():
                return
            try:
                # Twice the size takes about twice as long.
                if 2 * NEW_SIZE_CALLS * lane.expected_ns() / 1e9 > limit_s:
                    raise EngineError(f"It would take more than {limit_s:.2g} s.")
                reply = lane.request(command, limit_s)
            except CancelledError:
                raise
            except ProfilerError as error:
                text = f"Not called with {change.dimension} = {change.new_size}: {error.message}"
                yield LogLine(time_ns=time.time_ns(), label=lane.label, level="info", text=text)
                continue
            if isinstance(reply, Latencies):
                first, *later = reply.latencies_ns
                yield NewSizeTried(
                    time_ns=time.time_ns(),
                    label=lane.label,
                    dimension=change.dimension,
                    size=change.size,
                    new_size=change.new_size,
                    first_ns=first,
                    later_ns=int(statistics.median(later)),
                )

    def turn(
        self, lane: Lane, kind: RoundKind, index: int, count: int
    ) -> Generator[Event, None, Round | None]:
        """One lane's block of iterations. Returns its event; None when the lane failed."""
        load = ForeignLoad()
        lead_in = lane.lead_in(self.plan.lead_in_ns) if kind is RoundKind.TIMED else 0
        timeout_s = CALL_TIMEOUT_S + 20 * (lead_in + count) * lane.expected_ns() / 1e9
        try:
            reply = lane.infer(count, timeout_s, lead_in)
        except CancelledError:
            raise
        except ProfilerError as error:
            phase = Phase.WARMING_UP if kind is RoundKind.WARMUP else Phase.MEASURING
            yield from self.fail(lane.label, phase, error)
            return None
        foreign_share, steal_share = load.shares(reply.cpu_time_ns)
        if lane.is_endpoint:
            # A server on this machine is no other process: it is what is measured.
            foreign_share = 0.0
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
            duration_ns=reply.duration_ns,
        )
        yield event
        if reply.generations is not None:
            yield Generated(
                time_ns=time.time_ns(),
                label=lane.label,
                index=index,
                kind=kind,
                launch=self.launch,
                generations=reply.generations,
            )
        yield from lane.log_events()
        return event

    def fail(self, label: str, phase: Phase, error: ProfilerError) -> Iterator[Event]:
        """Take the lane out, and tell why."""
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

    def close(self) -> None:
        """Reap every engine process."""
        for lane in self.lanes.values():
            lane.close()
        self.lanes.clear()


def _progress(phase: Phase, detail: str, fraction: float | None = None) -> Progress:
    return Progress(time_ns=time.time_ns(), phase=phase, detail=detail, fraction=fraction)


def _warning(label: str, text: str) -> LogLine:
    return LogLine(time_ns=time.time_ns(), label=label, level="warning", text=text)
