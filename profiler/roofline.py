"""An operator against its engine's ceilings: pure functions.

After Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
multicore architectures", CACM 52(4), 2009.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from msgspec import Struct

from profiler.types import Ceiling, OperatorRow
from profiler.work import parse_shapes

# Below this share of both ceilings neither arithmetic nor memory explains the time.
EXPLAINED_FROM = 0.2
SINGLE = "float"


class Bound(enum.StrEnum):
    """What an operator's time goes to, as far as shapes tell."""

    COMPUTE = "compute-bound"
    MEMORY = "memory-bound"
    OVERHEAD = "overhead-bound"


class Roofline(Struct, frozen=True, kw_only=True):
    """Of one operator in traced time. `intensity` is in FLOPs a byte; None: not known.

    `ceiling_share`: how near it comes to the nearer measured ceiling. Over 1 where data lies in
    caches, or where other processes slowed that measurement.
    """

    intensity: float | None = None
    flops_per_s: float | None = None
    bytes_per_s: float | None = None
    ceiling_share: float | None = None
    bound: Bound | None = None


def highest(found: Sequence[Ceiling]) -> Ceiling | None:
    """The best of each figure; None where there is none."""
    if not found:
        return None
    return Ceiling(
        flops_per_s=max(one.flops_per_s for one in found),
        bytes_per_s=max(one.bytes_per_s for one in found),
        how="; ".join(dict.fromkeys(one.how for one in found)),
    )


def roofline(row: OperatorRow, ceiling: Ceiling | None, *, slowed: bool = False) -> Roofline:
    """`bound` is told of operators on float32, the dtype of the ceilings, alone.

    `slowed`: tracing slows the lane a lot. What neither ceiling explains may be its cost, then.
    """
    flops, moved, seconds = row.flops, row.moved_bytes, row.traced_ns / 1e9
    intensity = flops / moved if flops is not None and moved else None
    if seconds <= 0:
        return Roofline(intensity=intensity)
    share, bound = _bound(row, ceiling, seconds)
    if slowed and bound is Bound.OVERHEAD:
        bound = None
    return Roofline(
        intensity=intensity,
        flops_per_s=None if flops is None else flops / seconds,
        bytes_per_s=None if moved is None else moved / seconds,
        ceiling_share=share,
        bound=bound,
    )


def _bound(
    row: OperatorRow, ceiling: Ceiling | None, seconds: float
) -> tuple[float | None, Bound | None]:
    operands = parse_shapes(row.shapes).inputs
    known = row.flops is not None and row.moved_bytes is not None
    if ceiling is None or not known or not operands or operands[0].dtype != SINGLE:
        return None, None
    computing = (row.flops or 0.0) / ceiling.flops_per_s / seconds
    moving = (row.moved_bytes or 0.0) / ceiling.bytes_per_s / seconds
    share = max(computing, moving)
    if share < EXPLAINED_FROM:
        return share, Bound.OVERHEAD
    return share, Bound.COMPUTE if computing >= moving else Bound.MEMORY
