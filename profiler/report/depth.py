"""The report's part on where two lanes' values part: a sentence and the error along the depth."""

from __future__ import annotations

import math
from html import escape

from profiler.divergence import differs, locate, sentence
from profiler.session import Session
from profiler.types import ValuesCompared

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 190, 60, 24, 12
AGREES, DIFFERS = "#0072B2", "#D55E00"
FLOOR = 1e-9


def render_depth(session: Session) -> str:
    """A part for each pair of lanes that was compared inside; every name is escaped."""
    return "".join(
        f"<h3>Inside: {escape(session.name(found.candidate))} against "
        f"{escape(session.name(found.baseline))}</h3><p>{escape(sentence(found))}.</p>"
        f"{_plot(found)}"
        for found in session.values.values()
    )


def _plot(found: ValuesCompared) -> str:
    """Relative error of each value, on a logarithmic axis; one dot a region."""
    points = [(i, p) for i, p in enumerate(found.points) if p.relative is not None]
    sizes = [p.relative for _, p in points if p.relative and math.isfinite(p.relative)]
    if not points:
        return ""
    low = math.floor(math.log10(max(min(sizes, default=FLOOR), FLOOR)))
    high = max(math.ceil(math.log10(max([*sizes, FLOOR]))), low + 1)
    inner = HEIGHT - BOTTOM - TOP
    last = max(len(found.points) - 1, 1)

    def x(index: int) -> float:
        return LEFT + 8 + (WIDTH - LEFT - 16) * index / last

    def y(value: float) -> float:
        place = (math.log10(min(max(value, 10.0**low), 10.0**high)) - low) / (high - low)
        return TOP + inner * (1 - place)

    step = max(1, (high - low) // 5)
    ticks = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y(10.0**e):.1f}" y2="{y(10.0**e):.1f}" '
        f'class="grid"/><text x="{LEFT - 8}" y="{y(10.0**e) + 4:.1f}" '
        f'text-anchor="end">1e{e}</text>'
        for e in range(low, high + 1, step)
    )
    first = locate(found).first
    dots = "".join(
        f'<circle cx="{x(i):.1f}" cy="{y(p.relative or 0.0):.1f}" '
        f'r="{5 if p is first else 2.5}" fill="{DIFFERS if differs(p) else AGREES}">'
        f"<title>{escape(p.region)}: {p.relative:.2e}</title></circle>"
        for i, p in points
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Relative error along the '
        f'depth">{ticks}{dots}<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">depth</text>'
        f'<text x="{LEFT + 4}" y="{TOP - 2}">relative error; orange: past tolerance</text></svg>'
    )
