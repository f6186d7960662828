"""Every configuration that a search for the fastest tried, as CSV."""

from __future__ import annotations

import csv
import io

from profiler.exporters.base import Exporter
from profiler.search.rows import FIGURES, row
from profiler.session import Session

HEADER = (
    *("configuration", "family", "axis", "state", "reason", "against", "ratio", "low", "high"),
    *FIGURES,
)


def render(session: Session) -> str:
    """A header alone for a session without a search."""
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row(tried) for tried in session.search.tried())
    return text.getvalue()


def _missing(session: Session) -> str:
    return "" if session.search.tried() else "not a search for the fastest"


EXPORTER = Exporter("csv-search", ".csv", "Configurations tried (CSV)", render, _missing)
