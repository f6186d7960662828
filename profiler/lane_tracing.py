"""Traced rounds of a run's lanes: their operators, and once a run what is known of their inside."""

from __future__ import annotations

import time
from collections.abc import Iterator

from profiler.errors import CancelledError, ProfilerError
from profiler.lane import Lane
from profiler.lane_group import LaneGroup
from profiler.types import (
    Event,
    GraphDescribed,
    LaneExamined,
    LogLine,
    OpTimings,
    Phase,
    Trace,
    Traced,
)

TRACE_TIMEOUT_S = 900.0
TRACE_LENGTH_S = 4.0
TRACE_WARMUP = 2


class LaneTracing:
    """Traces the lanes of a group. `traced_s`: the time spent on it."""

    def __init__(self, group: LaneGroup) -> None:
        self._group = group
        self.traced_s = 0.0
        # Lanes whose model's graph was told: once a run, however often they are launched.
        self._described: set[str] = set()

    def trace(self, *, only_untraced: bool) -> Iterator[Event]:
        """One traced round; a lane that can't be traced says so and is still timed."""
        started = self._group.context.clock()
        for lane in list(self._group.lanes.values()):
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
                    yield from self._group.fail(lane.label, Phase.MEASURING, error)
                continue
            if isinstance(reply, Traced):
                yield from self._told(lane, reply)
        self.traced_s += self._group.context.clock() - started

    def _told(self, lane: Lane, reply: Traced) -> Iterator[Event]:
        if reply.graph is not None and lane.label not in self._described:
            self._described.add(lane.label)
            yield GraphDescribed(
                time_ns=time.time_ns(),
                label=lane.label,
                sha256=lane.model.sha256,
                graph=reply.graph,
            )
        if reply.examined is not None:
            self._described.add(lane.label)
            yield LaneExamined(time_ns=time.time_ns(), label=lane.label, found=reply.examined)
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

    def _trace_of(self, lane: Lane) -> Trace:
        """Fewer iterations of a slow model: a trace should take seconds, not minutes."""
        fit = int(TRACE_LENGTH_S * 1e9 / max(lane.expected_ns(), 1.0))
        iterations = max(1, min(self._group.plan.traced_iterations, fit - TRACE_WARMUP))
        return Trace(
            iterations=iterations,
            warmup=TRACE_WARMUP if fit > TRACE_WARMUP else 0,
            describe=lane.label not in self._described,
        )


def _warning(label: str, text: str) -> LogLine:
    return LogLine(time_ns=time.time_ns(), label=label, level="warning", text=text)
