"""Walks two lanes' values from the model's start to its end, in batches that fit the memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from profiler.alignment import LaneOperators
from profiler.cut_points import Cut, cut_points
from profiler.divergence import compare_cut
from profiler.errors import CancelledError, EngineError, ProfilerError
from profiler.lane import Lane
from profiler.outputs import Array, load_outputs, precision_tolerance
from profiler.types import (
    CutPoint,
    Event,
    Phase,
    Progress,
    SaveValues,
    Tolerance,
    ValuesCompared,
    ValuesSaved,
)

FIRST_BATCH = 16
# Values of one batch, of one lane.
BATCH_BYTES = 256 * 2**20
TIMEOUT_S = 900.0


def walk_values(
    lanes: tuple[Lane, Lane],
    operators: tuple[LaneOperators, LaneOperators],
    tolerance: Tolerance | None,
) -> Iterator[Event]:
    """Progress, and one ValuesCompared at the end; an engine that fails is told in its note.

    Both lanes must have loaded the model. Raises CancelledError.
    """
    tolerance = tolerance or precision_tolerance(*(lane.spec for lane in lanes))
    cuts = cut_points(operators)
    points: list[CutPoint] = []
    note = "" if cuts else "The lanes have no region in common"
    size = FIRST_BATCH
    try:
        while len(points) < len(cuts):
            yield Progress(
                time_ns=time.time_ns(),
                phase=Phase.COMPARING,
                detail=f"{len(points)} of {len(cuts)} values",
                fraction=len(points) / len(cuts),
            )
            batch = cuts[len(points) : len(points) + size]
            found, largest = _values(lanes, batch)
            points += [compare_cut(cut, found, tolerance) for cut in batch]
            size = max(1, min(2 * size, int(BATCH_BYTES * len(batch) / max(largest, 1))))
    except CancelledError:
        raise
    except ProfilerError as error:
        points, note = [], f"{error.message} {error.hint}".strip()
    yield ValuesCompared(
        time_ns=time.time_ns(),
        baseline=lanes[0].label,
        candidate=lanes[1].label,
        points=tuple(points),
        note=note.rstrip("."),
    )


def _values(
    lanes: tuple[Lane, Lane], batch: Sequence[Cut]
) -> tuple[tuple[dict[str, Array], dict[str, Array]], int]:
    """Both lanes' values by name, and the size of the larger file."""
    found: list[dict[str, Array]] = []
    largest = 0
    for number, lane in enumerate(lanes):
        names = tuple(dict.fromkeys(name for cut in batch for name in cut.values[number]))
        path = lane.work_dir / "values.npz"
        reply = lane.request(SaveValues(path=str(path), names=names), TIMEOUT_S)
        if not isinstance(reply, ValuesSaved):
            raise EngineError(f"{lane.label} answered {type(reply).__name__} to a look inside.")
        found.append(dict(zip(reply.names, load_outputs(path), strict=True)))
        path.unlink()
        largest = max(largest, reply.size_bytes)
    return (found[0], found[1]), largest
