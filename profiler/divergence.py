"""The first layer whose values differ, from values of both lanes: pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiler.cut_points import Cut
from profiler.outputs import NUMBERS, Array, compare_outputs
from profiler.types import CutPoint, OutputDifference, Tolerance, ValuesCompared

# A single point of a model that has no value to compare.
NOT_READ = "a lane has no value here"
UNLIKE = "the lanes' values have other shapes or types"


# What can be drawn along the depth, by name; the first has a tolerance.
MEASURES: dict[str, Callable[[CutPoint], float | None]] = {
    "relative error": lambda point: point.relative,
    "max. difference": lambda point: point.difference.max_abs if point.difference else None,
    "1 − cosine": lambda point: 1 - point.difference.cosine if point.difference else None,
}


@dataclass(frozen=True)
class Divergence:
    """What the points say. `first`: the first that differs while what it is made from agrees.

    `unsure` are points before it which could not be compared, so that the fault may lie in them.
    `compared` and `differing` count points; `worst` is the largest relative error of all.
    """

    first: CutPoint | None
    unsure: tuple[CutPoint, ...]
    compared: int
    differing: int
    worst: CutPoint | None
    # The largest relative error of what the first is made from; None where nothing was compared.
    input_error: float | None = None


def compare_cut(
    cut: Cut,
    values: tuple[Mapping[str, Array], Mapping[str, Array]],
    tolerance: Tolerance | None,
) -> CutPoint:
    """The cut as a point: of the values that may be its result, those that are most alike.

    In lanes of one graph equal names are compared, and the one that differs most counts.
    """
    known = tuple([name for name in cut.values[k] if name in values[k]] for k in (0, 1))
    pairs = [(a, b) for a in known[0] for b in known[1] if not cut.same_names or a == b]
    found = []
    for left, right in pairs:
        arrays = _fitting(values[0][left], values[1][right])
        if arrays is not None:
            (difference,) = compare_outputs([left], [arrays[0]], [arrays[1]], tolerance)
            found.append((relative_error(*arrays), difference, (left, right)))
    if not found:
        note = UNLIKE if pairs else NOT_READ
        return _point(cut, (cut.values[0][0], cut.values[1][0]), note=note)
    choose = max if cut.same_names else min
    relative, difference, names = choose(
        found, key=lambda item: (not item[1].within_tolerance, item[0])
    )
    return _point(cut, names, relative=relative, difference=difference)


def _point(
    cut: Cut,
    names: tuple[str, str],
    *,
    relative: float | None = None,
    difference: OutputDifference | None = None,
    note: str = "",
) -> CutPoint:
    return CutPoint(
        region=cut.region,
        values=names,
        nodes=cut.nodes,
        inputs=cut.inputs,
        is_output=cut.is_output,
        relative=relative,
        difference=difference,
        note=note,
        has_bodies=cut.has_bodies,
    )


def relative_error(baseline: Array, candidate: Array) -> float:
    """The norm of the difference over the baseline's norm; infinite where one isn't finite."""
    is_complex = "c" in (baseline.dtype.kind, candidate.dtype.kind)
    wide = np.complex128 if is_complex else np.float64
    expected, actual = (a.astype(wide).ravel() for a in (baseline, candidate))
    alike = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    gap = np.where(alike, 0.0, actual - np.where(alike, 0.0, expected))
    size = float(np.linalg.norm(expected[np.isfinite(expected)]))
    error = float(np.linalg.norm(gap))
    if not np.isfinite(error):
        return float("inf")
    return error / size if size else (float("inf") if error else 0.0)


def _fitting(one: Array, other: Array) -> tuple[Array, Array] | None:
    """Both in one shape; None for other types, or another order of elements."""
    kinds = ["f" if a.dtype.kind in "fc" else "n" for a in (one, other)]
    if any(a.dtype.kind not in NUMBERS for a in (one, other)) or kinds[0] != kinds[1]:
        return None
    if one.shape == other.shape:
        return one, other
    # One splits or joins dimensions of the other: the elements are in the same order.
    steps = [set(np.cumprod(a.shape, dtype=np.int64).tolist()) for a in (one, other)]
    if one.size != other.size or not (steps[0] <= steps[1] | {1} or steps[1] <= steps[0] | {1}):
        return None
    return one.ravel(), other.ravel()


def differs(point: CutPoint) -> bool:
    """Whether the point was compared and lies past tolerance."""
    return point.difference is not None and not point.difference.within_tolerance


def locate(found: ValuesCompared) -> Divergence:
    """The first point that differs while its inputs agree, among those that lead to an output
    which differs; where no output does, nothing diverges, whatever is inside.
    """
    points = found.points
    compared = [point for point in points if point.difference is not None]
    differing = [point for point in points if differs(point)]
    leading = _leading_on(points)
    first: CutPoint | None = None
    unsure: tuple[CutPoint, ...] = ()
    error: float | None = None
    for index, point in enumerate(points):
        if index in leading and differs(point):
            before, skipped = _before(points, index)
            if not any(differs(other) for other in before):
                first, unsure = point, tuple(skipped)
                error = max((other.relative or 0.0 for other in before), default=None)
                break
    return Divergence(
        first=first,
        unsure=unsure,
        compared=len(compared),
        differing=len(differing),
        worst=max(compared, key=lambda point: point.relative or 0.0, default=None),
        input_error=error,
    )


def _before(points: Sequence[CutPoint], index: int) -> tuple[list[CutPoint], list[CutPoint]]:
    """The nearest points upstream that were compared, and those on the way that were not."""
    compared, skipped = [], []
    pending, seen = list(points[index].inputs), {index}
    while pending:
        number = pending.pop()
        if number in seen:
            continue
        seen.add(number)
        point = points[number]
        if point.difference is None:
            skipped.append(point)
            pending += point.inputs
        else:
            compared.append(point)
    return compared, skipped


def _leading_on(points: Sequence[CutPoint]) -> set[int]:
    """Points from which a chain of differing, or unknown, points leads to a differing output."""
    found: set[int] = set()
    pending = [i for i, point in enumerate(points) if point.is_output and differs(point)]
    while pending:
        index = pending.pop()
        if index in found:
            continue
        found.add(index)
        pending += [
            i for i in points[index].inputs if differs(points[i]) or points[i].difference is None
        ]
    return found


def sentence(found: ValuesCompared) -> str:
    """What came out, for a person, without a full stop at its end."""
    if not found.points:
        return found.note or "No values inside of the model could be compared"
    result = locate(found)
    if result.compared == 0:
        return "None of the values inside of the model could be compared"
    values = f"{result.compared} values"
    if result.first is None:
        worst = result.worst
        where = f" (at {worst.region})" if worst is not None and worst.relative else ""
        error = (worst.relative or 0.0) if worst is not None else 0.0
        if not result.differing:
            return (
                f"Nothing diverges: all {values} along the model agree within tolerance; "
                f"the largest relative error is {error:.1e}{where}"
            )
        return (
            f"The outputs agree; {result.differing} of {values} inside differ past tolerance on "
            f"the way, the most at {worst.region if worst else ''} ({error:.1e})"
        )
    text = (
        f"First differs at {result.first.region}: relative error {result.first.relative or 0.0:.1e}"
    )
    if result.input_error is not None:
        text += f", where what it is made from agrees ({result.input_error:.1e})"
    if result.first.has_bodies:
        text += "; values inside of its nodes (If, Loop, Scan, function) aren't compared"
    if result.unsure:
        names = ", ".join(point.region for point in result.unsure[:3])
        text += f"; {names} before it could not be compared"
    return f"{text}. {result.differing} of {values} differ past tolerance"
