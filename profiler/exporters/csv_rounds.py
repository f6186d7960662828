"""Every iteration of every round as CSV."""

from __future__ import annotations

import csv
import io

from profiler.exporters.base import Exporter
from profiler.session import Session
from profiler.types import RoundKind

HEADER = ("lane", "round", "kind", "iteration", "latency_ns", "foreign_cpu_share", "set_aside")


def render(session: Session) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    set_aside = session.set_aside()
    for label in session.labels():
        for item in session.rounds.get(label, ()):
            timed = item.kind is RoundKind.TIMED
            for number, latency_ns in enumerate(item.latencies_ns):
                share = f"{item.foreign_cpu_share:.4f}"
                row = (label, item.index, item.kind.value, number, latency_ns, share)
                writer.writerow((*row, int(timed and item.index in set_aside)))
    return text.getvalue()


def _missing(session: Session) -> str:
    return "" if any(session.rounds.values()) else "nothing was measured"


EXPORTER = Exporter("csv-rounds", ".csv", "Rounds and latencies (CSV)", render, _missing)
