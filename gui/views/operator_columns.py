"""Columns of the operators' table, as data: each with its title, text and number to sort by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from profiler.roofline import Roofline
from profiler.types import OperatorRow

UNKNOWN = "–"


@dataclass(frozen=True)
class Cells:
    """What a row's texts are made of."""

    lane: str
    row: OperatorRow
    roofline: Roofline


@dataclass(frozen=True)
class Column:
    """`number` is what the column sorts by, right-aligned; without it, by its text."""

    title: str
    text: Callable[[Cells], str]
    number: Callable[[Cells], float] | None = None
    tip: str = ""
    width: int = 90
    at_first: bool = True


def measured(
    title: str,
    value: Callable[[Cells], float | None],
    form: str,
    unit: float,
    tip: str,
    *,
    at_first: bool = False,
) -> Column:
    """A number that isn't known of every operator; those without come last, largest first."""

    def text(cells: Cells) -> str:
        known = value(cells)
        return UNKNOWN if known is None else form.format(known / unit)

    def number(cells: Cells) -> float:
        known = value(cells)
        return -1.0 if known is None else known

    return Column(title, text, number, tip, at_first=at_first)


COLUMNS = (
    Column("Lane", lambda c: c.lane, width=172),
    Column("Operator", lambda c: c.row.name, width=180),
    Column("Op type", lambda c: c.row.op_type, width=120),
    Column("Calls", lambda c: str(c.row.calls), lambda c: c.row.calls, width=56),
    Column(
        "µs, traced",
        lambda c: f"{c.row.traced_ns / 1e3:.1f}",
        lambda c: c.row.traced_ns,
        "In one traced iteration, the median",
        width=108,
    ),
    Column("Share", lambda c: f"{c.row.share:.1%}", lambda c: c.row.share, width=76),
    Column(
        "Limit",
        lambda c: c.roofline.bound.value if c.roofline.bound else UNKNOWN,
        tip="What its time goes to: arithmetic, memory, or neither (float32 on the CPU)",
        width=120,
    ),
    measured(
        "of limit",
        lambda c: c.roofline.ceiling_share,
        "{:.0%}",
        1.0,
        "How near it comes to the measured ceiling, the best rate of any lane with as many "
        "threads; over 100 % in caches, or where others had the CPU while that was measured",
        at_first=True,
    ),
    measured(
        "GFLOP/s", lambda c: c.roofline.flops_per_s, "{:.1f}", 1e9, "In traced time", at_first=True
    ),
    measured(
        "GB/s", lambda c: c.roofline.bytes_per_s, "{:.1f}", 1e9, "Inputs and outputs, once each"
    ),
    measured("FLOPs/byte", lambda c: c.roofline.intensity, "{:.2f}", 1.0, "Arithmetic intensity"),
    measured("MFLOP", lambda c: c.row.flops, "{:.2f}", 1e6, "Of its calls in one iteration"),
    measured(
        "MB moved", lambda c: c.row.moved_bytes, "{:.2f}", 1e6, "Inputs and outputs, once each"
    ),
    Column("Shapes", lambda c: c.row.shapes, width=260, at_first=False),
    Column("Provider", lambda c: c.row.provider, width=140, at_first=False),
    Column("Graph nodes", lambda c: ", ".join(c.row.source_nodes), width=160),
    Column("Module", lambda c: c.row.scope),
)
