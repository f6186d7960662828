"""The report's part on why one lane is faster: the gap, the regions, how far traces can be read."""

from __future__ import annotations

from html import escape

from profiler.explanation import Explanation
from profiler.insights import find_insights
from profiler.report.tables import ms, table
from profiler.session import Session
from profiler.untraced import why_untraced
from profiler.waterfall import Bar

TOP_BARS = 12
TOP_REGIONS = 20
BAR_PX = 140
# The candidate loses, or gains, time: told apart with any colour vision.
SLOWER, FASTER = "#D55E00", "#0072B2"


def render_why(session: Session) -> str:
    """A part for each comparison; every name is escaped."""
    parts = []
    for comparison in session.comparisons():
        found = session.explanation(comparison.baseline, comparison.candidate)
        if found is not None:
            parts.append(_one(session, found))
    if not parts:
        reason = why_untraced(session)
        return f"<p>No two lanes were traced{f': {escape(reason)}' if reason else ''}.</p>"
    return "".join(parts) + _insights(session) + trace_table(session)


def _insights(session: Session) -> str:
    items = "".join(
        f"<li>{escape(found.sentence)}. <span class='note'>{escape(found.evidence)}. "
        f"{escape(found.remedy)}</span></li>"
        for found in find_insights(session)
    )
    return f"<h3>What costs time</h3><ul>{items}</ul>" if items else ""


def trace_table(session: Session) -> str:
    """How well each lane's operators explain its latency."""
    rows = []
    for label in session.labels():
        figures = session.trace_figures(label)
        if figures is not None:
            rows.append(
                (
                    escape(session.name(label)),
                    f"{figures.coverage:.1%}",
                    f"{figures.tracing_cost:.2f}",
                    ms(figures.overhead_ns),
                    figures.outside(),
                )
            )
    header = (
        "Trace",
        "operators / traced latency",
        "traced / timed latency",
        "overhead, ms",
        "it lies",
    )
    note = (
        "<p class='note'>Traced times are scaled to each lane's p50; the overhead is the "
        "time in which no operator ran.</p>"
    )
    doubts = "".join(f"<p class='note'>{escape(doubt)}.</p>" for doubt in session.trace_doubts())
    return table(header, rows, numbers_until=4) + doubts + note if rows else ""


def _one(session: Session, found: Explanation) -> str:
    names = (session.name(found.baseline), session.name(found.candidate))
    title = f"{escape(names[1])} against {escape(names[0])}"
    gap = f"p50 differs by {ms(abs(found.gap_ns))} ms"
    reason = f": {escape(found.sentence())}" if found.sentence() else ""
    covered = ", ".join(
        f"{share:.1%} of {escape(name)}" for name, share in zip(names, found.coverage, strict=True)
    )
    return (
        f"<h3>{title}</h3><p>{gap}{reason}.</p>"
        f"{_bars(found.grouped_bars())}{_regions(found, names)}"
        f"<p class='note'>Operator time in regions that both lanes run: {covered}.</p>"
    )


def _bars(bars: list[Bar]) -> str:
    shown = bars[: TOP_BARS - 1]
    rest = bars[TOP_BARS - 1 : -1]
    if rest:
        shown = [
            *shown,
            Bar(
                name=f"{len(rest)} more",
                difference_ns=sum(bar.difference_ns for bar in rest),
                share=sum(bar.share for bar in rest),
            ),
        ]
    if len(bars) >= TOP_BARS:
        shown = [*shown, bars[-1]]
    largest = max((abs(bar.difference_ns) for bar in shown), default=0.0) or 1.0
    rows = [
        (
            escape(bar.name),
            f'<span class="bar" style="width:{BAR_PX * abs(bar.difference_ns) / largest:.0f}px;'
            f'background:{SLOWER if bar.difference_ns > 0 else FASTER}"></span>'
            f"{bar.difference_ns / 1e6:+.4g}",
            f"{round(bar.share * 100)} %",
        )
        for bar in shown
    ]
    return table(("Where the difference is", "ms, p50", "share of the gap"), rows)


def _regions(found: Explanation, names: tuple[str, str]) -> str:
    largest = sorted(found.regions, key=lambda region: -abs(region.difference_ns))[:TOP_REGIONS]
    rows = [
        (
            escape(region.name),
            escape(region.signature),
            *(
                ms(value) if ops else "–"
                for value, ops in zip(region.timed_ns, region.operators, strict=True)
            ),
            f"{region.difference_ns / 1e6:+.4g}",
            f"{found.share(region) * 100:.1f} %",
        )
        for region in largest
    ]
    header = ("Region", "does", f"{names[0]}, ms", f"{names[1]}, ms", "difference", "share")
    more = len(found.regions) - len(rows)
    return table(header, rows, numbers_from=2) + (
        f"<p class='note'>{more} more</p>" if more else ""
    )
