"""What a sweep shows: curves, winners and where they change, the Pareto front. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.compare import compare_rounds, lane_name, plain
from profiler.measured import over_launches, timed
from profiler.session import Session
from profiler.sweep.axes import axis_words, describe, is_number, unit_of, value_words, work_of
from profiler.sweep.state import PointResult, Sweep
from profiler.types import Comparison, Estimate, LatencyStats, Round, SweepAxis, Verdict

NOBODY = "No lane"


@dataclass(frozen=True)
class LanePoint:
    """A lane at a point. `latency_ns` is the median of a round, averaged over launches;
    `throughput` counts samples a second, of all callers: calls times the batch; or tokens that are
    generated, prefill included.
    """

    label: str
    index: int
    values: tuple[str, ...]
    latency_ns: Estimate
    throughput: Estimate
    stats: LatencyStats
    work: int


@dataclass(frozen=True)
class Crossing:
    """`after` is surely the fastest lane from `first` on, `before` was until `last`.

    `between`: values where no lane is surely faster than all others.
    """

    axis: str
    before: str
    after: str
    last: str
    first: str
    between: tuple[str, ...] = ()


def lane_point(result: PointResult, label: str) -> LanePoint | None:
    """The lane's figures at a point; None where it has none. Kept once the point is over."""
    if not result.over:
        return _lane_point(result, label)
    if ("figures", label) not in result.known:
        result.known["figures", label] = _lane_point(result, label)
    found: LanePoint | None = result.known["figures", label]
    return found


def _lane_point(result: PointResult, label: str) -> LanePoint | None:
    session = result.session
    if label not in session.labels():
        return None
    stats = session.latency_stats(label)
    if stats is None or session.plan is None:
        return None
    work = work_of(session.plan)
    return LanePoint(
        label=label,
        index=result.point.index,
        values=result.point.values,
        latency_ns=_estimate(session, label, _median),
        throughput=_estimate(session, label, lambda r: work * _rate(r)),
        stats=stats,
        work=work,
    )


def _rate(turn: Round) -> float:
    """Calls a second in one turn; those that overlap count by what the turn took."""
    if turn.duration_ns:
        return 1e9 * len(turn.latencies_ns) / turn.duration_ns
    return 1e9 / max(float(np.mean(turn.latencies_ns)), 1.0)


def _estimate(session: Session, label: str, value: Callable[[Round], float]) -> Estimate:
    return over_launches(session, {turn.index: value(turn) for turn in timed(session, label)})


def lane_points(sweep: Sweep) -> list[LanePoint]:
    """Every lane at every point that has figures, in the grid's order."""
    found = [lane_point(r, label) for r in sweep.done() for label in sweep.labels()]
    return [point for point in found if point is not None]


def comparison(result: PointResult, baseline: str, label: str) -> Comparison | None:
    """The lane's speedup over the baseline at a point."""
    for found in result.session.comparisons():
        if (found.baseline, found.candidate) == (baseline, label):
            return found
    return None


def fastest(result: PointResult) -> str | None:
    """The point's winner, kept once the point is over."""
    if not result.over:
        return winner(result.session)
    if ("fastest", "") not in result.known:
        result.known["fastest", ""] = winner(result.session)
    found: str | None = result.known["fastest", ""]
    return found


def winner(session: Session) -> str | None:
    """The lane that is surely faster than every other one; None where none is, or none was alone.

    The lane with the lowest latency is compared with each other one. It was chosen after the fact,
    so that the intervals hold together for all pairs of lanes (Bonferroni).
    """
    measured = [label for label in session.labels() if session.latency_stats(label)]
    if len(measured) < 2:
        return None
    p50 = {label: _estimate(session, label, _median).value for label in measured}
    best = min(measured, key=lambda label: p50[label])
    pairs = len(measured) * (len(measured) - 1) // 2
    for other in measured:
        if other == best:
            continue
        found = compare_rounds(
            (best, session.medians[best]),
            (other, session.medians[other]),
            set_aside=session.set_aside(),
            launches=session.launches,
            comparisons=pairs,
        )
        if found is None or found.verdict is not Verdict.SLOWER:
            return None
    return best


def _median(turn: Round) -> float:
    return float(np.median(turn.latencies_ns))


def slices(sweep: Sweep, axis: int) -> dict[tuple[str, ...], list[PointResult]]:
    """Points with figures along one axis, by the values of the other axes; in the axis's order."""
    found: dict[tuple[str, ...], list[PointResult]] = {}
    for result in sweep.done():
        others = tuple(v for i, v in enumerate(result.point.values) if i != axis)
        found.setdefault(others, []).append(result)
    if sweep.plan and is_number(sweep.plan.axes[axis].values):
        for results in found.values():
            results.sort(key=lambda r: float(r.point.values[axis]))
    return found


def crossings(axis: SweepAxis, winners: Sequence[tuple[str, str | None]]) -> list[Crossing]:
    """Where the surely fastest lane changes along an axis; `winners` by value, in its order."""
    found: list[Crossing] = []
    known, last, between = "", "", list[str]()
    for value, label in winners:
        if label is None:
            between.append(value)
            continue
        if known and label != known:
            found.append(Crossing(axis.name, known, label, last, value, tuple(between)))
        known, last, between = label, value, []
    return found


def findings(sweep: Sweep) -> list[str]:
    """What the sweep comes to, in sentences: winners along each axis, the highest throughput."""
    if sweep.plan is None:
        return []
    names = {spec.label: lane_name(spec) for spec in sweep.plan.plan.engines}
    sentences = []
    if len(sweep.labels()) > 1:
        sentences += _winners(sweep, names)
    best = max(lane_points(sweep), key=lambda p: p.throughput.value, default=None)
    if best is not None:
        sentences.append(
            f"Highest throughput: {names[best.label]} at {describe(sweep.plan.axes, best.values)}, "
            f"{plain(best.throughput.value)} {unit_of(sweep.plan.plan)}."
        )
    failed = sum(1 for r in sweep.results.values() if r.over and not r.session.timed_rounds())
    if failed:
        sentences.append(f"{failed} of {len(sweep.points())} points could not run.")
    return sentences


def axis_winners(results: Sequence[PointResult], axis: int) -> list[tuple[str, str | None]]:
    """The surely fastest lane at each value of the axis, of points where lanes were compared."""
    return [(r.point.values[axis], fastest(r)) for r in results if _compared(r)]


def _winners(sweep: Sweep, names: dict[str, str]) -> list[str]:
    """Along the first axis; what is the same at several values of the others is said once."""
    assert sweep.plan is not None
    axis, *rest = sweep.plan.axes
    said: dict[str, list[str]] = {}
    for others, results in slices(sweep, 0).items():
        found = axis_winners(results, 0)
        if found:
            said.setdefault(_along(axis, found, names), []).append(describe(rest, others))
    if len(said) == 1:
        return [f"{text}." for text in said]
    return [
        f"At {'; '.join(where)}: {text.replace(NOBODY, NOBODY.lower(), 1)}."
        for text, where in said.items()
    ]


def _compared(result: PointResult) -> bool:
    session = result.session
    return sum(session.latency_stats(label) is not None for label in session.labels()) > 1


def _along(axis: SweepAxis, found: Sequence[tuple[str, str | None]], names: dict[str, str]) -> str:
    """Winners along an axis in words."""
    known = [(value, label) for value, label in found if label is not None]
    alone = value_words(axis.name, found[0][0]) if len(found) == 1 else ""
    if not known:
        where = alone or f"any {axis_words(axis.name)} measured"
        return f"{NOBODY} is surely the fastest at {where}"
    if alone or not is_number(axis.values):
        return "; ".join(
            f"{names[label]} is fastest at {value_words(axis.name, value)}"
            for value, label in known
        )
    changes = crossings(axis, found)
    if not changes:
        label = known[0][1]
        undecided = [value for value, winner_there in found if winner_there is None]
        if not undecided:
            return f"{names[label]} wins at every {axis_words(axis.name)} measured"
        where = value_words(axis.name, _listed([value for value, _ in known]))
        return (
            f"{names[label]} wins at {where}; at {_listed(undecided)} no lane is surely the fastest"
        )
    parts = []
    for change in changes:
        text = (
            f"{names[change.after]} wins from {value_words(axis.name, change.first)}, "
            f"{names[change.before]} up to {change.last}"
        )
        if change.between:
            text += f" (undecided at {_listed(change.between)})"
        parts.append(text)
    return "; ".join(parts)


def _listed(values: Iterable[str]) -> str:
    return ", ".join(values)


def pareto_front(found: Sequence[LanePoint]) -> list[LanePoint]:
    """Points that no other one beats in both throughput and p99 latency; by throughput."""
    front: list[LanePoint] = []
    for point in sorted(found, key=lambda p: (-p.throughput.value, p.stats.p99_ns)):
        if not front or point.stats.p99_ns < front[-1].stats.p99_ns:
            front.append(point)
    return front[::-1]
