"""Operators of every lane as CSV, one row an operator."""

from __future__ import annotations

from collections.abc import Sequence

from profiler.exporters.base import Exporter, csv_text
from profiler.session import Session
from profiler.types import OperatorRow
from profiler.untraced import why_untraced

HEADER = (
    "lane",
    "operator",
    "op_type",
    "calls",
    "traced_us",
    "share",
    "provider",
    "scope",
    "source_nodes",
    "shapes",
    "input_bytes",
    "weights_bytes",
    "output_bytes",
    "threads",
    "wait_us",
    "flops",
    "moved_bytes",
    "flops_per_byte",
    "gflops_per_s",
    "gbytes_per_s",
    "ceiling_share",
    "bound",
)


def render(session: Session) -> str:
    rows = (_cells(session, row) for label in session.labels() for row in session.operators(label))
    return csv_text(HEADER, rows)


def _cells(session: Session, row: OperatorRow) -> Sequence[object]:
    return (
        row.label,
        row.name,
        row.op_type,
        row.calls,
        f"{row.traced_ns / 1e3:.3f}",
        f"{row.share:.6f}",
        row.provider,
        row.scope,
        " ".join(row.source_nodes),
        row.shapes,
        row.input_bytes,
        row.weights_bytes,
        row.output_bytes,
        row.threads,
        f"{row.wait_ns / 1e3:.3f}",
        *_roofline(session, row),
    )


def _roofline(session: Session, row: OperatorRow) -> tuple[str, ...]:
    """Empty where it isn't known."""
    found = session.roofline(row)
    return (
        _number(row.flops, "{:.0f}"),
        _number(row.moved_bytes, "{:.0f}"),
        _number(found.intensity, "{:.4g}"),
        _number(found.flops_per_s, "{:.4g}", 1e9),
        _number(found.bytes_per_s, "{:.4g}", 1e9),
        _number(found.ceiling_share, "{:.4f}"),
        found.bound.value if found.bound else "",
    )


def _number(value: float | None, form: str, unit: float = 1.0) -> str:
    return "" if value is None else form.format(value / unit)


EXPORTER = Exporter("csv-operators", ".csv", "Operators (CSV)", render, why_untraced)
