"""Operators against ceilings, by table."""

from __future__ import annotations

import msgspec
import pytest

from profiler.roofline import Bound, highest, roofline
from profiler.types import Ceiling, OperatorRow

# 100 GFLOP/s and 10 GB/s: ten FLOPs a byte are worth as much as a byte.
CEILING = Ceiling(flops_per_s=1e11, bytes_per_s=1e10, how="by hand")


def row(flops: float | None, moved: float | None, ms: float, dtype: str = "float") -> OperatorRow:
    return OperatorRow(
        label="a",
        name="op",
        op_type="Conv",
        calls=1,
        traced_ns=ms * 1e6,
        share=1.0,
        flops=flops,
        moved_bytes=moved,
        shapes=f"{dtype}[8] -> {dtype}[8]",
    )


@pytest.mark.parametrize(
    ("flops", "moved", "ms", "bound", "share"),
    [
        (8e7, 1e6, 1.0, Bound.COMPUTE, 0.8),
        (1e6, 5e6, 1.0, Bound.MEMORY, 0.5),
        (0.0, 2e7, 1.0, Bound.MEMORY, 2.0),
        (1e6, 1e5, 1.0, Bound.OVERHEAD, 0.01),
    ],
)
def test_the_nearer_ceiling_is_the_limit(
    flops: float, moved: float, ms: float, bound: Bound, share: float
) -> None:
    found = roofline(row(flops, moved, ms), CEILING)
    assert found.bound is bound
    assert found.ceiling_share == pytest.approx(share)
    assert found.intensity == pytest.approx(flops / moved)
    assert found.flops_per_s == pytest.approx(flops * 1000)
    assert found.bytes_per_s == pytest.approx(moved * 1000)


def test_what_is_not_known_has_no_limit() -> None:
    assert roofline(row(None, 1e6, 1.0), CEILING).bound is None
    assert roofline(row(None, 1e6, 1.0), CEILING).bytes_per_s == pytest.approx(1e9)
    assert roofline(row(1e6, None, 1.0), CEILING).intensity is None
    assert roofline(row(1e6, 1e6, 1.0), None).bound is None
    assert roofline(row(1e6, 1e6, 0.0), CEILING).flops_per_s is None
    # Ceilings are of float32.
    assert roofline(row(8e7, 1e6, 1.0, "double"), CEILING).bound is None


def test_what_tracing_itself_may_explain_is_not_called_overhead() -> None:
    small, large = row(1e6, 1e5, 1.0), row(8e7, 1e6, 1.0)
    assert roofline(small, CEILING, slowed=True).bound is None
    assert roofline(small, CEILING, slowed=True).ceiling_share == pytest.approx(0.01)
    assert roofline(large, CEILING, slowed=True).bound is Bound.COMPUTE


def test_the_best_of_each_figure_counts() -> None:
    other = msgspec.structs.replace(CEILING, flops_per_s=2e11, bytes_per_s=1e9, how="again")
    found = highest([CEILING, other])
    assert found == Ceiling(flops_per_s=2e11, bytes_per_s=1e10, how="by hand; again")
    assert highest([]) is None
