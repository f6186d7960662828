"""Every token of every generation as CSV."""

from __future__ import annotations

import csv
import io

from profiler.exporters.base import Exporter
from profiler.session import Session
from profiler.types import RoundKind

HEADER = ("lane", "round", "kind", "generation", "start_ns", "token", "time_ns", "set_aside")


def render(session: Session) -> str:
    """`token` 1 has the time to the first token, the others that from the one before."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    set_aside = session.set_aside()
    for label in session.labels():
        for turn in session.generated.get(label, ()):
            aside = int(turn.kind is RoundKind.TIMED and turn.index in set_aside)
            starts = turn.generations.starts_ns or (0,) * len(turn.generations.steps_ns)
            for number, steps in enumerate(turn.generations.steps_ns):
                for token, time_ns in enumerate(steps, start=1):
                    row = (label, turn.index, turn.kind.value, number, starts[number])
                    writer.writerow((*row, token, time_ns, aside))
    return text.getvalue()


def _missing(session: Session) -> str:
    return "" if any(session.generated.values()) else "no text was generated"


EXPORTER = Exporter("csv-tokens", ".csv", "Generated tokens (CSV)", render, _missing)
