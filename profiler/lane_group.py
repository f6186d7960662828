"""The lanes of a run: started, warmed up, given turns, launched again, taken out."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial

from profiler.engine_process import REAP_S
from profiler.errors import CancelledError, EngineError, ProfilerError
from profiler.foreign_load import ForeignLoad
from profiler.lane import Lane
from profiler.model_forms import lane_models
from profiler.run_context import RunContext
from profiler.types import (
    EngineFailed,
    EngineReady,
    Event,
    Generated,
    LaunchedAgain,
    Load,
    Loaded,
    Phase,
    Progress,
    Round,
    RoundKind,
)

LOAD_TIMEOUT_S = 900.0
CALL_TIMEOUT_S = 600.0


class LaneGroup:
    """Lanes that are left, by label. What happens to them is told as events.

    `launch` counts launches from 0; `launching_s` is how long the next one will take, warm-up
    included, and `launched_s` when the last was over. Every method raises CancelledError when the
    person stops the run.
    """

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.plan = context.plan
        self.lanes: dict[str, Lane] = {}
        self.output_names: dict[str, tuple[str, ...]] = {}
        self.launch = 0
        self.launching_s = 0.0
        self.launched_s = 0.0

    def load(self) -> Iterator[Event]:
        """Bring the model into each lane's form, and start the lanes one after the other."""
        for item in lane_models(self.plan, self.context.cancelled):
            if isinstance(item, Event):
                yield item
                continue
            spec, model = item
            yield _progress(Phase.LOADING, spec.label)
            try:
                folder = self.context.folder / str(len(self.lanes))
                lane = Lane(spec, model, folder, self.context.cancelled, self.context.clock)
                # The operators of a generation's steps aren't told apart yet.
                lane.can_trace = self.plan.generation is None
                if self.plan.generation is not None:
                    own = spec.options.get("requests", self.plan.generation.requests)
                    lane.requests = int(own)
                self.lanes[spec.label] = lane
                started = self.context.clock()
                reply = lane.request(self._load_of(lane), LOAD_TIMEOUT_S)
                # Later launches load all lanes at once.
                self.launching_s = max(self.launching_s, self.context.clock() - started)
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
            started = self.context.clock()
            yield from self._warm_up_one(lane)
            self.launching_s += min(self.context.clock() - started, self.plan.launches.warmup_s)

    def _warm_up_one(self, lane: Lane) -> Iterator[Event]:
        rule, started = self.plan.warmup, self.context.clock()
        limit_s = min(rule.time_limit_s, self.plan.launches.warmup_s if self.launch else math.inf)
        calls = index = 0
        while True:
            if not self.launch:
                share = (self.context.clock() - started) / limit_s
                yield _progress(Phase.WARMING_UP, lane.label, min(1.0, share))
            # Single calls at first, to learn how long one takes; then a median of several.
            count = 1 if index < 2 else max(3, lane.calls_in(self.plan.turn_ns // 4))
            event = yield from self.turn(lane, RoundKind.WARMUP, index, count)
            if event is None:
                return
            calls, index = calls + count, index + 1
            over = self.context.clock() - started > limit_s or index >= rule.max_calls
            if over or (calls >= rule.min_calls and lane.settled(rule)):
                return

    def launch_again(self) -> Iterator[Event]:
        """Every lane in a new process, warmed up."""
        started = self.context.clock()
        self.launch += 1
        # Which comes first takes the memory that the last launch's processes left.
        order = list(self.lanes.values())
        random.Random(f"{self.plan.seed} {self.launch}").shuffle(order)
        # All are asked to leave before the first is waited for.
        for lane in order:
            lane.process.ask_to_leave()
        for lane in order:
            yield from lane.log_events()
            lane.launch_again()
        for lane in order:
            yield from self._guarded(lane, partial(lane.process.send, self._load_of(lane)))
        for lane in list(self.lanes.values()):
            yield from self._guarded(lane, partial(lane.wait, LOAD_TIMEOUT_S))
        for lane in list(self.lanes.values()):
            yield from self._warm_up_one(lane)
        pids = {label: lane.process.pid or 0 for label, lane in self.lanes.items()}
        yield LaunchedAgain(time_ns=time.time_ns(), launch=self.launch, pids=pids)
        self.launched_s = self.context.clock()
        self.launching_s = self.launched_s - started

    def _guarded(self, lane: Lane, step: Callable[[], object]) -> Iterator[Event]:
        """A step of a launch; the lane that fails in it is left out from then on."""
        try:
            step()
        except CancelledError:
            raise
        except ProfilerError as error:
            yield from self.fail(lane.label, Phase.MEASURING, error)

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
        """Reap every engine process; all are asked to leave before the first is waited for."""
        deadline = time.monotonic() + REAP_S
        for lane in self.lanes.values():
            lane.process.ask_to_leave()
        for lane in self.lanes.values():
            lane.process.close(max(0.0, deadline - time.monotonic()))
        self.lanes.clear()


def _progress(phase: Phase, detail: str, fraction: float | None = None) -> Progress:
    return Progress(time_ns=time.time_ns(), phase=phase, detail=detail, fraction=fraction)
