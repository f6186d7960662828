"""The points of a sweep, their order, and the run plan of each: pure functions."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from profiler.errors import PlanError
from profiler.plan import check_capabilities, check_plan, default_baseline
from profiler.sweep.axes import apply_value, check_axis, labelled
from profiler.types import Capabilities, RunPlan, SweepAxis, SweepPlan

MOST_POINTS = 400


@dataclass(frozen=True)
class Point:
    """One combination of values, in the axes' order; `index` counts the grid, last axis first."""

    index: int
    values: tuple[str, ...]


def points(axes: Sequence[SweepAxis]) -> list[Point]:
    """Every combination, in the grid's order."""
    combinations = itertools.product(*(axis.values for axis in axes))
    return [Point(index, values) for index, values in enumerate(combinations)]


def order(sweep: SweepPlan) -> list[Point]:
    """In random order by the sweep's seed, so that drift of the machine is no trend of an axis."""
    found = points(sweep.axes)
    random.Random(sweep.seed).shuffle(found)
    return found


def check_sweep(sweep: SweepPlan) -> None:
    """Refuse what can't work at any point. Raises PlanError, InputError."""
    check_plan(sweep.plan)
    names = [axis.name for axis in sweep.axes]
    if not names:
        raise PlanError("The sweep has no axis.", "Choose what to vary, such as batch=1,2,4,8.")
    if len(set(names)) < len(names):
        raise PlanError("An axis stands there twice.", "Give all its values at once: batch=1,2,4.")
    for axis in sweep.axes:
        check_axis(axis, sweep.plan)
    count = len(points(sweep.axes))
    if count > MOST_POINTS:
        raise PlanError(f"These are {count} points.", f"Take at most {MOST_POINTS}.")


def point_plan(
    sweep: SweepPlan, point: Point, here: Capabilities | None = None
) -> tuple[RunPlan, dict[str, str]]:
    """The run at a point, and why lanes have no part in it, by label.

    `here`: what this machine has; None where no lane asks for more than every machine has.
    Raises PlanError or InputError when nothing can run there.
    """
    plan, refused = sweep.plan, dict[str, str]()
    for axis, value in zip(sweep.axes, point.values, strict=True):
        plan, reasons = apply_value(plan, axis.name, value)
        refused |= reasons
    for spec in plan.engines:
        alone = msgspec.structs.replace(plan, engines=(spec,), baseline=spec.label)
        try:
            check_plan(alone)
            if here is not None:
                check_capabilities(alone, here)
        except PlanError as error:
            refused.setdefault(spec.label, str(error))
    left = tuple(spec for spec in plan.engines if spec.label not in refused)
    if not left:
        raise PlanError(labelled(refused))
    baseline = plan.baseline if plan.baseline not in refused else default_baseline(left)
    # The points themselves are of other sizes.
    made = msgspec.structs.replace(
        plan, engines=left, baseline=baseline, seed=plan.seed + point.index, new_size=False
    )
    check_plan(made)
    return made, refused
