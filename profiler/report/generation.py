"""The report's part on generated text: figures, comparisons, latency against position."""

from __future__ import annotations

from html import escape

from profiler.generation.metrics import METRICS, by_position, comparisons, generation_stats
from profiler.generation.summary import rate, size
from profiler.intervals import ends_text, value_text
from profiler.report.tables import ms, table
from profiler.session import Session

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 220, 60, 24


def render_generation(session: Session, colours: dict[str, str]) -> str:
    """Empty for a run of single calls. Every name is escaped."""
    found = generation_tables(session, colours)
    return (
        f"<section><h2>Generation</h2>{found}{_plot(session, colours)}</section>" if found else ""
    )


def generation_tables(session: Session, colours: dict[str, str]) -> str:
    """Without the plot and the section: what a text browser can show as well."""
    plan = session.plan.generation if session.plan else None
    if plan is None:
        return ""
    return (
        f"<p>Prompt of {plan.prompt_tokens} tokens, {plan.new_tokens} new ones, greedy; every lane "
        f"is fed the same tokens. Rates are in tokens.</p>{_figures(session, colours)}"
        f"{_comparisons(session)}"
    )


def _figures(session: Session, colours: dict[str, str]) -> str:
    rows, notes = [], []
    for label in session.labels():
        found = generation_stats(session, label)
        if found is None:
            continue
        swatch = f'<span class="swatch" style="background:{colours[label]}"></span>'
        times = (found.ttft.p50, found.ttft.p99, found.itl.p50, found.itl.p99)
        rows.append(
            (
                f"{swatch}{escape(session.name(label))}",
                *(ms(value) for value in times),
                rate(found.prefill_tokens_per_s),
                rate(found.decode_tokens_per_s),
                rate(found.throughput_tokens_per_s),
                size(found.cache_bytes),
                size(found.cache_used_bytes),
                f"{found.generations} of {found.requests}",
            )
        )
        notes += [
            f"<p class='failure'>{escape(session.name(label))}: {count} failed: {escape(text)}</p>"
            for text, count in found.errors.items()
        ]
    header = (
        *("Lane, ms", "TTFT p50", "TTFT p99", "ITL p50", "ITL p99"),
        *("prefill/s", "decode/s", "all/s", "cache", "in use", "done"),
    )
    return (table(header, rows) if rows else "<p>Nothing was generated.</p>") + "".join(notes)


def _comparisons(session: Session) -> str:
    rows = [
        (
            escape(name),
            escape(f"{session.name(c.candidate)} against {session.name(c.baseline)}"),
            value_text(c.estimate),
            ends_text(c.estimate),
            escape(c.verdict.value),
        )
        for key, (name, _) in METRICS.items()
        for c in comparisons(session, key)
    ]
    header = ("Metric", "Comparison", "speedup", "95 % interval", "verdict")
    return table(header, rows, numbers_from=2) if rows else ""


def _plot(session: Session, colours: dict[str, str]) -> str:
    """Median inter-token latency at each position, one line a lane."""
    series = {label: by_position(session, label) for label in session.labels()}
    points = [row for rows in series.values() for row in rows]
    if not points:
        return ""
    last = max(row[0] for row in points)
    top = max(row[1] for row in points) * 1.15 / 1e6 or 1.0
    lines = "".join(
        f'<polyline fill="none" stroke="{colours[label]}" stroke-width="1.6" points="'
        + " ".join(
            f"{LEFT + (WIDTH - LEFT - 8) * place / last:.1f},"
            f"{(HEIGHT - BOTTOM) * (1 - middle / 1e6 / top) + 4:.1f}"
            for place, middle, _, _ in rows
        )
        + '"/>'
        for label, rows in series.items()
        if rows
    )
    ticks = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{(HEIGHT - BOTTOM) * (1 - f) + 4:.1f}" '
        f'y2="{(HEIGHT - BOTTOM) * (1 - f) + 4:.1f}" class="grid"/>'
        f'<text x="{LEFT - 8}" y="{(HEIGHT - BOTTOM) * (1 - f) + 8:.1f}" '
        f'text-anchor="end">{top * f:.3g}</text>'
        for f in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        "<h3>Inter-token latency against position</h3>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Latency of each token">'
        f'{ticks}{lines}<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">new token, up to '
        f'{last}</text><text x="4" y="14">ms</text></svg>'
    )
