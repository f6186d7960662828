"""Operators of every lane as CSV, one row an operator."""

from __future__ import annotations

import csv
import io

from profiler.exporters.base import Exporter
from profiler.session import Session

HEADER = (
    "lane",
    "operator",
    "op_type",
    "calls",
    "mean_us",
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
)


def render(session: Session) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for label in session.labels():
        for row in session.operators(label):
            writer.writerow(
                (
                    label,
                    row.name,
                    row.op_type,
                    row.calls,
                    f"{row.mean_ns / 1e3:.3f}",
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
                )
            )
    return text.getvalue()


EXPORTER = Exporter("csv-operators", ".csv", "Operators (CSV)", render)
