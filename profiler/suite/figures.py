"""Figures that the claims are judged by, from one row of the suite's table: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from profiler.intervals import interval_text
from profiler.suite.records import LaneResult, Row
from profiler.types import EngineKind, Estimate


def against_eager(row: Row) -> Row:
    """The row; where PyTorch eager failed, without what compares its lanes with another one."""
    eager = eager_lane(row)
    if eager is not None and row.baseline == eager.label:
        return row
    lanes = [
        msgspec.structs.replace(
            lane,
            speedup=None,
            machine_time=None,
            outputs_agree=None,
            largest_difference=None,
        )
        for lane in row.lanes
    ]
    return msgspec.structs.replace(row, lanes=tuple(lanes))


def saved(ratio: Estimate | None) -> Estimate | None:
    """Share of the baseline's time that a lane saves which is so many times faster."""
    if ratio is None:
        return None
    if not ratio.known:
        return Estimate(1 - 1 / ratio.value)
    return Estimate(1 - 1 / ratio.value, 1 - 1 / ratio.low, 1 - 1 / ratio.high)


def over_torch(row: Row, torch: LaneResult) -> Estimate | None:
    """Speedup of ONNX Runtime's fastest lane over that PyTorch lane.

    Of two speedups over the baseline, whose intervals hold together, so that the quotient of their
    ends holds as well.
    """
    ort = fastest(row, EngineKind.ORT)
    if ort is None:
        return None
    if torch.label == row.baseline:
        return ort.speedup
    one, other = ort.speedup, torch.speedup
    if one is None or other is None:
        return None
    ratio = one.value / other.value
    if not (one.known and other.known):
        return Estimate(ratio)
    return Estimate(ratio, one.low / other.high, one.high / other.low)


def fastest(row: Row, engine: EngineKind) -> LaneResult | None:
    lanes = [lane for lane in row.lanes if lane.engine is engine and lane.label != row.baseline]
    return best(lanes) if lanes else None


def best(lanes: Sequence[LaneResult]) -> LaneResult:
    """The one with the lowest latency; the first where none was measured."""
    measured = [lane for lane in lanes if lane.latency_ns]
    return min(measured or lanes[:1], key=lambda n: n.latency_ns.value if n.latency_ns else 0.0)


def eager_lane(row: Row) -> LaneResult | None:
    return next((n for n in row.lanes if n.engine is EngineKind.TORCH_EAGER), None)


def is_torch(lane: LaneResult) -> bool:
    return lane.engine is not EngineKind.ORT


def missing(row: Row) -> str:
    """Why there is no interval."""
    failures = [lane.failure for lane in row.lanes if lane.failure]
    if failures:
        return failures[0].rstrip(".")
    measured = any(lane.latency_ns for lane in row.lanes)
    return "too few rounds for an interval" if measured else "not measured"


def percent(found: Estimate) -> str:
    return f"{found.value:.0%} [{found.low:.0%} to {found.high:.0%}]"


def times(found: Estimate) -> str:
    written = interval_text(found, "x", "-")
    return written if found.known else f"{written} (no interval)"
