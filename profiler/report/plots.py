"""Plots of the HTML report, as SVG: latencies in ms upwards, from 0."""

from __future__ import annotations

from html import escape

from msgspec import Struct

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 220, 60, 8, 4, 24
GRID = (0, 0.25, 0.5, 0.75, 1)


class Axes(Struct, frozen=True):
    """The values at the right end and at the top; both axes start at 0."""

    last: float
    top_ms: float

    def x(self, value: float) -> str:
        """Where the value lies, in the plot's units."""
        return f"{LEFT + (WIDTH - LEFT - RIGHT) * value / self.last:.1f}"

    def y(self, value_ms: float) -> str:
        """Where the latency lies, in the plot's units."""
        return f"{self._height(value_ms):.1f}"

    def plot(self, marks: str, *, title: str, below: str) -> str:
        """`marks` is SVG already; `below` names the horizontal axis."""
        ticks = "".join(
            f'<line x1="{LEFT}" x2="{WIDTH}" y1="{self.y(value)}" y2="{self.y(value)}" '
            f'class="grid"/><text x="{LEFT - 8}" y="{self._height(value) + 4:.1f}" '
            f'text-anchor="end">{value:.3g}</text>'
            for value in (self.top_ms * share for share in GRID)
        )
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
            f'{ticks}{marks}<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">{escape(below)}'
            '</text><text x="4" y="14">ms</text></svg>'
        )

    def _height(self, value_ms: float) -> float:
        return (HEIGHT - BOTTOM) * (1 - value_ms / self.top_ms) + TOP
