"""Every token of every generation as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from profiler.exporters.base import Exporter, csv_text
from profiler.session import Session
from profiler.types import RoundKind

HEADER = ("lane", "round", "kind", "generation", "start_ns", "token", "time_ns", "set_aside")


def render(session: Session) -> str:
    """`token` 1 has the time to the first token, the others that from the one before."""
    return csv_text(HEADER, _rows(session))


def _rows(session: Session) -> Iterator[Sequence[object]]:
    set_aside = session.set_aside()
    for label in session.labels():
        for turn in session.generated.get(label, ()):
            aside = int(turn.kind is RoundKind.TIMED and turn.index in set_aside)
            starts = turn.generations.starts_ns or (0,) * len(turn.generations.steps_ns)
            for number, steps in enumerate(turn.generations.steps_ns):
                row = (label, turn.index, turn.kind.value, number, starts[number])
                for token, time_ns in enumerate(steps, start=1):
                    yield *row, token, time_ns, aside


def _missing(session: Session) -> str:
    return "" if any(session.generated.values()) else "no text was generated"


EXPORTER = Exporter("csv-tokens", ".csv", "Generated tokens (CSV)", render, _missing)
