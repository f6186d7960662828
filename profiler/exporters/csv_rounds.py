"""Every iteration of every round as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from profiler.exporters.base import Exporter, csv_text
from profiler.session import Session
from profiler.types import RoundKind

HEADER = ("lane", "round", "kind", "iteration", "latency_ns", "foreign_cpu_share", "set_aside")


def render(session: Session) -> str:
    return csv_text(HEADER, _rows(session))


def _rows(session: Session) -> Iterator[Sequence[object]]:
    set_aside = session.set_aside()
    for label in session.labels():
        for item in session.rounds.get(label, ()):
            aside = int(item.kind is RoundKind.TIMED and item.index in set_aside)
            share = f"{item.foreign_cpu_share:.4f}"
            for number, latency_ns in enumerate(item.latencies_ns):
                yield label, item.index, item.kind.value, number, latency_ns, share, aside


def _missing(session: Session) -> str:
    return "" if any(session.rounds.values()) else "nothing was measured"


EXPORTER = Exporter("csv-rounds", ".csv", "Rounds and latencies (CSV)", render, _missing)
