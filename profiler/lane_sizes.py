"""Calls a run's lanes with another size than the one that was measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from profiler.errors import CancelledError, EngineError, ProfilerError
from profiler.lane_group import LaneGroup
from profiler.new_size import resized, takes_any_size
from profiler.types import Event, Latencies, LogLine, NewSizeTried, TryInputs

NEW_SIZE_CALLS = 4
# Of each lane, and of all lanes together as a share of the run's time limit.
NEW_SIZE_LIMIT_S, NEW_SIZE_SHARE = 5.0, 0.1


def try_new_size(group: LaneGroup) -> Iterator[Event]:
    """Call lanes with twice the first dynamic dimension, when nothing else is to be done.

    A lane that can't take that size, or takes too long, has no event, and says why in the log;
    it can't be used any more. Ends early when the person stops the run.
    """
    if not group.plan.new_size or group.plan.generation:
        return
    change = resized(group.plan.inputs)
    lanes = [lane for lane in group.lanes.values() if takes_any_size(lane.spec)]
    if change is None or not lanes:
        return
    share_s = NEW_SIZE_SHARE * group.plan.stopping.time_limit_s / len(lanes)
    limit_s = min(NEW_SIZE_LIMIT_S, share_s)
    command = TryInputs(inputs=change.inputs, iterations=NEW_SIZE_CALLS)
    for lane in lanes:
        if group.context.cancelled():
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
