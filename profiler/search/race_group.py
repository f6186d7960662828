"""The lanes of one race: loaded side by side, and never longer than there is time for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from profiler.errors import CancelledError, EngineError, ProfilerError
from profiler.lane import Lane
from profiler.lane_group import LaneGroup
from profiler.outputs import Array, compare_outputs, load_outputs
from profiler.run_context import RunContext
from profiler.types import (
    Event,
    ModelSource,
    OutputsSaved,
    Phase,
    Progress,
    RunPlan,
    SaveOutputs,
    Tolerance,
)

OUTPUTS_TIMEOUT_S = 120.0


class RaceGroup(LaneGroup):
    """Lanes by label. `folders` has a working folder for each, kept over races: what was compiled
    there is found again. `load_limit_s`: how long loading may take; `late` are those it was too
    short for.
    """

    def __init__(
        self,
        plan: RunPlan,
        model: ModelSource,
        folders: Mapping[str, Path],
        cancelled: Callable[[], bool],
        clock: Callable[[], float],
        load_limit_s: float,
    ) -> None:
        folder = next(iter(folders.values())).parent
        super().__init__(RunContext(plan, folder, cancelled, clock))
        self.late: set[str] = set()
        self._model = model
        self._folders = folders
        self._load_limit_s = load_limit_s

    def load(self) -> Iterator[Event]:
        """All at once: in a race it's the calls that count, not the time to load."""
        started = self.context.clock()
        deadline = started + self._load_limit_s
        yield Progress(
            time_ns=time.time_ns(), phase=Phase.LOADING, detail=f"{len(self.plan.engines)} lanes"
        )
        for spec in self.plan.engines:
            folder = self._folders[spec.label]
            self.lanes[spec.label] = Lane(
                spec, self._model, folder, self.context.cancelled, self.context.clock
            )
        for lane in list(self.lanes.values()):
            yield from self._guarded(lane, partial(lane.process.send, self._load_of(lane)))
        for lane in list(self.lanes.values()):
            left_s = deadline - self.context.clock()
            try:
                yield self._ready(lane, lane.wait(max(left_s, 0.1)))
                yield from lane.log_events()
            except CancelledError:
                raise
            except ProfilerError as error:
                if self.context.clock() >= deadline:
                    self.late.add(lane.label)
                yield from self.fail(lane.label, Phase.LOADING, error)
        self.launching_s = self.context.clock() - started

    def drop(self, label: str) -> None:
        """End the process of a lane that is out."""
        lane = self.lanes.pop(label, None)
        if lane is not None:
            lane.close()

    def outputs_of(self, label: str) -> list[Array]:
        """One call's outputs. Raises ProfilerError when the lane fails at it, CancelledError."""
        lane = self.lanes[label]
        path = lane.work_dir / "outputs.npz"
        reply = lane.request(SaveOutputs(path=str(path)), OUTPUTS_TIMEOUT_S)
        if not isinstance(reply, OutputsSaved):
            raise EngineError(f"{label} answered {type(reply).__name__} to saving its outputs.")
        return load_outputs(path)


def output_problem(
    names: tuple[str, ...],
    expected: list[Array],
    actual: list[Array],
    tolerance: Tolerance | None,
) -> str:
    """Which output is past tolerance, in words; "" when all agree."""
    for found in compare_outputs(names, expected, actual, tolerance):
        if not found.within_tolerance:
            return f"{found.name} differs by up to {found.max_abs:.3g} ({found.note})"
    return ""
