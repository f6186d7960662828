"""Compares what a run's lanes give for the same inputs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from profiler.errors import CancelledError, ProfilerError
from profiler.lane_group import CALL_TIMEOUT_S, LaneGroup
from profiler.outputs import compare_outputs, load_outputs, precision_tolerance, tolerance
from profiler.types import Event, OutputsCompared, OutputsSaved, Phase, SaveOutputs


def compare_lane_outputs(group: LaneGroup) -> Iterator[Event]:
    """Every lane's outputs of one call against the baseline's."""
    saved: dict[str, Path] = {}
    for lane in list(group.lanes.values()):
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
            yield from group.fail(lane.label, Phase.WARMING_UP, error)
    if not saved:
        return
    baseline = group.plan.baseline if group.plan.baseline in saved else next(iter(saved))
    expected = load_outputs(saved.pop(baseline))
    names = group.output_names[baseline]
    for label, path in saved.items():
        actual = load_outputs(path)
        pair = (group.lanes[name].spec for name in (baseline, label))
        chosen = group.plan.tolerance or precision_tolerance(*pair)
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
