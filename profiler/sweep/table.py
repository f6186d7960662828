"""A sweep as a table, one row a lane and point: pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from profiler.compare import counted, lane_name, plain
from profiler.console import printable
from profiler.intervals import ends_text, interval_text, value_text
from profiler.sweep.axes import describe
from profiler.sweep.results import LanePoint, comparison, findings, lane_point
from profiler.sweep.state import PointResult, Sweep
from profiler.types import Comparison, PointState


@dataclass(frozen=True)
class Row:
    """A lane at a point; `figures` is None where it has none, and `reason` says why.

    `speedup` is over the plan's baseline lane; None for that lane itself. `agree`: whether its
    outputs are the baseline's, within tolerance; None where they weren't compared.
    """

    index: int
    values: tuple[str, ...]
    label: str
    name: str
    state: str
    reason: str
    figures: LanePoint | None
    speedup: Comparison | None
    agree: bool | None


def rows(sweep: Sweep) -> list[Row]:
    """Every lane at every point, also those not measured yet, in the grid's order."""
    if sweep.plan is None:
        return []
    specs = sweep.plan.plan.engines
    baseline = sweep.plan.plan.baseline
    found = []
    for point in sweep.points():
        result = sweep.results.get(point.index) or PointResult(point)
        reasons = result.reasons()
        for spec in specs:
            figures = lane_point(result, spec.label)
            outputs = result.session.outputs
            agree = next((o.agree for o in outputs if o.candidate == spec.label), None)
            found.append(
                Row(
                    index=point.index,
                    values=point.values,
                    label=spec.label,
                    name=lane_name(spec),
                    state=_state(sweep, result),
                    reason=reasons.get(spec.label, "") or _why(result, has_figures=bool(figures)),
                    figures=figures,
                    speedup=comparison(result, baseline, spec.label),
                    agree=agree,
                )
            )
    return found


def _why(result: PointResult, *, has_figures: bool) -> str:
    """Why a lane has no figures, or not those of a whole point."""
    if not has_figures:
        return result.reason
    return "stopped before its end" if result.state is PointState.STOPPED else ""


def _state(sweep: Sweep, result: PointResult) -> str:
    if result.state is not None:
        return result.state.value
    return "not finished" if sweep.current == result.point.index else "to do"


def progress_text(sweep: Sweep) -> str:
    """`7 of 10 points: 6 done, 1 failed`."""
    over = [result for result in sweep.results.values() if result.over]
    failed = sum(result.state is PointState.FAILED for result in over)
    text = f"{len(over)} of {counted(len(sweep.points()), 'point')}"
    return f"{text}: {len(over) - failed} done, {failed} failed" if failed else f"{text} done"


def summary(sweep: Sweep) -> str:
    """Findings and the table as text."""
    if sweep.plan is None:
        return "The sweep holds no plan."
    axes = sweep.plan.axes
    lines = [*findings(sweep), f"{progress_text(sweep)}.", ""]
    head = "".join(f"{axis.name:>12}" for axis in axes)
    titles = f"{'p50 ms':>10}{'95 %':>20}{'p99 ms':>10}{'per s':>10}  speedup"
    lines.append(f"{head}  {'lane':<26}{titles}")
    for row in rows(sweep):
        values = "".join(f"{value:>12}" for value in row.values)
        lines.append(f"{values}  {row.name:<26}{_figures(row)}".rstrip())
    return "\n".join(printable(line) for line in lines)


def _figures(row: Row) -> str:
    if row.figures is None:
        return f"  {row.reason or row.state}"
    stats, latency = row.figures.stats, row.figures.latency_ns
    interval = ends_text(latency.scaled(1e-6))
    text = f"{stats.p50_ns / 1e6:>10.4g}{interval:>20}{stats.p99_ns / 1e6:>10.4g}"
    text += f"{plain(row.figures.throughput.value):>10}"
    if row.speedup is not None:
        text += f"  {speedup_text(row.speedup):<26}"
    return text + ("  other outputs" if row.agree is False else "")


def speedup_text(found: Comparison) -> str:
    """`1.52 [1.48–1.55] faster`."""
    if not found.estimate.known:
        return f"{value_text(found.estimate)} unresolved"
    return f"{interval_text(found.estimate)} {found.verdict.value}"


def duration_text(seconds: float) -> str:
    """`35 s`, `12 min`."""
    if seconds < 90:
        return f"{math.ceil(seconds / 5) * 5} s"
    return f"{seconds / 60:.0f} min"


def remaining_text(sweep: Sweep, index: int) -> str:
    """`point 3 of 10: batch 4, threads 2`."""
    if sweep.plan is None:
        return ""
    over = sum(result.over for result in sweep.results.values())
    point = next(p for p in sweep.points() if p.index == index)
    return f"point {over + 1} of {len(sweep.points())}: {describe(sweep.plan.axes, point.values)}"
