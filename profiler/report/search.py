"""The search for the fastest configuration, in the HTML report."""

from __future__ import annotations

from html import escape

from profiler.report.tables import ms, table
from profiler.search.result import sentences
from profiler.search.rows import ratio_text
from profiler.session import Session


def render_search(session: Session) -> str:
    """A section of its own; empty for a session without a search."""
    found = search_tables(session)
    return f"<section><h2>Find the fastest</h2>{found}</section>" if found else ""


def search_tables(session: Session) -> str:
    """What came out, and a row a configuration, without the section."""
    tried = session.search.tried()
    if not tried:
        return ""
    rows = []
    for item in tried:
        judged = item.judged
        ran = judged is not None and judged.calls > 0
        memory = judged.peak_memory_bytes / 2**20 if judged and ran else None
        rows.append(
            (
                escape(item.label),
                escape(item.state.value),
                escape(item.reason),
                escape(item.against),
                ms(judged.p50_ns) if judged and ran else "–",
                ms(judged.p99_ns) if judged and ran else "–",
                ratio_text(item) or "–",
                f"{memory:.0f}" if memory is not None else "–",
                f"{judged.rounds} in {judged.launches}" if judged and ran else "–",
            )
        )
    header = (
        "Configuration",
        "state",
        "",
        "against",
        "p50, ms",
        "p99, ms",
        "latency over it, interval",
        "MiB",
        "rounds, launches",
    )
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences(session))
    return f"<ul>{told}</ul>{table(header, rows, numbers_from=4)}"
