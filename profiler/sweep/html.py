"""A sweep as one HTML file that needs nothing else: findings, plots as SVG, the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from profiler.compare import lane_name, plain
from profiler.intervals import ends_text, value_text
from profiler.report.tables import table
from profiler.sweep.axes import is_number, unit_of
from profiler.sweep.results import (
    comparison,
    findings,
    lane_point,
    lane_points,
    pareto_front,
    slices,
)
from profiler.sweep.state import PointResult, Sweep
from profiler.sweep.table import progress_text, rows, speedup_text
from profiler.types import Comparison, Estimate, Verdict

TEMPLATE = Path(__file__).resolve().parents[2] / "resources" / "report" / "sweep.html"
# Okabe and Ito's palette: told apart with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 560, 260, 62, 40, 14, 16


@dataclass(frozen=True)
class Line:
    """A series of a plot: x, and y with its interval."""

    label: str
    xs: list[float]
    ys: list[Estimate]


def render_html(sweep: Sweep) -> str:
    """Every text from the model or the machine is escaped."""
    plan = sweep.plan
    name = Path(plan.plan.model.path).name if plan else "empty sweep"
    environment = next((r.session.environment for r in sweep.done()), {})
    parts = {
        "TITLE": escape(name),
        "FINDINGS": "".join(f"<p>{escape(text)}</p>" for text in findings(sweep)),
        "PROGRESS": escape(progress_text(sweep)) if plan else "",
        "PLOTS": _plots(sweep),
        "TABLE": _table(sweep),
        "ENVIRONMENT": table(
            ("", ""), [(escape(k), escape(v)) for k, v in environment.items()], numbers_from=9
        ),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for key, value in parts.items():
        text = text.replace(f"<!--{key}-->", value)
    return text


def _plots(sweep: Sweep) -> str:
    if sweep.plan is None:
        return ""
    axis, labels, baseline = sweep.plan.axes[0], sweep.labels(), sweep.plan.plan.baseline
    names = {spec.label: lane_name(spec) for spec in sweep.plan.plan.engines}
    found = []
    for others, results in slices(sweep, 0).items():
        rest = zip(sweep.plan.axes[1:], others, strict=True)
        title = ", ".join(f"{a.name} {value}" for a, value in rest)
        found.append(f"<h3>{escape(title)}</h3>" if title else "")
        drawn = [
            ("Latency, ms", _latencies(results, labels, axis.values)),
            (f"Throughput, {unit_of(sweep.plan.plan)}", _throughputs(results, labels, axis.values)),
            (
                f"Speedup over {names[baseline]}",
                _speedups(results, baseline, labels, axis.values),
            ),
        ]
        found += [
            _plot(title, axis.name, axis.values, lines, labels, names)
            for title, lines in drawn
            if lines
        ]
    found.append(_pareto(sweep, names))
    if len(sweep.plan.axes) > 1:
        found += [_heat(sweep, label, names) for label in labels if label != baseline]
    return "".join(found)


def _heat(sweep: Sweep, label: str, names: dict[str, str]) -> str:
    """Speedups over the first two axes, in the faster lane's colour; a third at its first value."""
    assert sweep.plan is not None
    (first, second, *more), baseline = sweep.plan.axes, sweep.plan.plan.baseline
    rest = tuple(axis.values[0] for axis in more)
    by_values = {r.point.values: r for r in sweep.done()}
    lines = []
    for down in first.values:
        cells = []
        for across in second.values:
            result = by_values.get((down, across, *rest))
            pair = comparison(result, baseline, label) if result else None
            cells.append(_heat_cell(pair, sweep.labels(), baseline))
        lines.append((escape(f"{first.name} {down}"), *cells))
    header = ("", *(f"{second.name} {value}" for value in second.values))
    title = escape(f"Speedup of {names[label]} over {names[baseline]}")
    return f"<figure><figcaption>{title}</figcaption>{table(header, lines)}</figure>"


def _heat_cell(pair: Comparison | None, labels: Sequence[str], baseline: str) -> str:
    if pair is None:
        return "–"
    sure = pair.verdict in (Verdict.FASTER, Verdict.SLOWER)
    ahead = pair.candidate if pair.speedup > 1 else baseline
    colour = COLOURS[labels.index(ahead) % len(COLOURS)]
    text = value_text(pair.estimate) if sure else f"{value_text(pair.estimate)} ?"
    return f'<span class="swatch" style="background:{colour if sure else "none"}"></span>{text}'


def _x(values: Sequence[str], value: str) -> float:
    return float(value) if is_number(values) else float(values.index(value))


def _latencies(
    results: Sequence[PointResult], labels: Sequence[str], values: Sequence[str]
) -> list[Line]:
    return _lines(results, labels, values, lambda p: p.latency_ns.scaled(1e-6))


def _throughputs(
    results: Sequence[PointResult], labels: Sequence[str], values: Sequence[str]
) -> list[Line]:
    return _lines(results, labels, values, lambda p: p.throughput)


def _lines(
    results: Sequence[PointResult], labels: Sequence[str], values: Sequence[str], of: object
) -> list[Line]:
    assert callable(of)
    found = []
    for label in labels:
        points = [p for r in results if (p := lane_point(r, label)) is not None]
        xs = [_x(values, p.values[0]) for p in points]
        if points:
            found.append(Line(label, xs, [of(p) for p in points]))
    return found


def _speedups(
    results: Sequence[PointResult], baseline: str, labels: Sequence[str], values: Sequence[str]
) -> list[Line]:
    found = []
    for label in labels:
        pairs = [(r, c) for r in results if (c := comparison(r, baseline, label)) is not None]
        xs = [_x(values, r.point.values[0]) for r, _ in pairs]
        if pairs:
            found.append(Line(label, xs, [c.estimate for _, c in pairs]))
    return found


def _plot(
    title: str,
    axis: str,
    values: Sequence[str],
    lines: Sequence[Line],
    labels: Sequence[str],
    names: dict[str, str],
) -> str:
    """Lines with bands; the axis is logarithmic where its values are powers apart."""
    xs = [x for line in lines for x in line.xs]
    tops = [y.high if y.known else y.value for line in lines for y in line.ys]
    top = max(tops) * 1.06 or 1.0
    logarithmic = is_number(values) and min(xs) > 0 and max(xs) / min(xs) >= 8

    def px(x: float) -> float:
        low, high = (math.log(min(xs)), math.log(max(xs))) if logarithmic else (min(xs), max(xs))
        at = math.log(x) if logarithmic else x
        share = (at - low) / (high - low) if high > low else 0.5
        return LEFT + 12 + share * (WIDTH - LEFT - RIGHT - 24)

    def py(y: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(y, top) / top)

    parts = [_ticks(top, py)]
    for value in values:
        x = _x(values, value)
        if min(xs) <= x <= max(xs):
            parts.append(
                f'<text x="{px(x):.1f}" y="{HEIGHT - BOTTOM + 16}" '
                f'text-anchor="middle">{escape(value)}</text>'
            )
    for line in lines:
        colour = COLOURS[labels.index(line.label) % len(COLOURS)]
        sure = [(x, y) for x, y in zip(line.xs, line.ys, strict=True) if y.known]
        upper = [f"{px(x):.1f},{py(y.high):.1f}" for x, y in sure]
        lower = [f"{px(x):.1f},{py(y.low):.1f}" for x, y in reversed(sure)]
        if len(sure) > 1:
            band = " ".join(upper + lower)
            parts.append(f'<polygon points="{band}" fill="{colour}" fill-opacity="0.18"/>')
        middle = " ".join(
            f"{px(x):.1f},{py(y.value):.1f}" for x, y in zip(line.xs, line.ys, strict=True)
        )
        parts.append(
            f'<polyline points="{middle}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts += [
            f'<circle cx="{px(x):.1f}" cy="{py(y.value):.1f}" r="3" fill="{colour}"/>'
            for x, y in zip(line.xs, line.ys, strict=True)
        ]
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{escape(axis)}</text>'
    )
    return _figure(title, parts, [line.label for line in lines], labels, names)


def _ticks(top: float, py: object) -> str:
    assert callable(py)
    return "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{py(top * f):.1f}" y2="{py(top * f):.1f}" '
        f'class="grid"/><text x="{LEFT - 8}" y="{py(top * f) + 4:.1f}" '
        f'text-anchor="end">{_tick(top * f)}</text>'
        for f in (0, 0.25, 0.5, 0.75, 1)
    )


def _tick(value: float) -> str:
    return plain(value) if value >= 1000 else f"{value:.3g}"


def _figure(
    title: str,
    parts: Sequence[str],
    shown: Sequence[str],
    labels: Sequence[str],
    names: dict[str, str],
) -> str:
    legend = "".join(
        f'<span class="key"><span class="swatch" style="background:'
        f'{COLOURS[labels.index(label) % len(COLOURS)]}"></span>{escape(names[label])}</span>'
        for label in shown
    )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'{"".join(parts)}</svg><div class="legend">{legend}</div></figure>'
    )


def _pareto(sweep: Sweep, names: dict[str, str]) -> str:
    """Throughput against p99 latency; a ring marks points that no other one beats in both."""
    found, labels = lane_points(sweep), sweep.labels()
    if not found or sweep.plan is None:
        return ""
    front = {(p.label, p.index) for p in pareto_front(found)}
    right = max(p.throughput.value for p in found) * 1.06
    top = max(p.stats.p99_ns for p in found) / 1e6 * 1.06

    def py(y: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - y / top)

    parts = [_ticks(top, py)]
    for point in found:
        x = LEFT + (WIDTH - LEFT - RIGHT) * point.throughput.value / right
        colour = COLOURS[labels.index(point.label) % len(COLOURS)]
        ring = ' stroke="currentColor" stroke-width="1.5"' if _key(point) in front else ""
        parts.append(
            f'<circle cx="{x:.1f}" cy="{py(point.stats.p99_ns / 1e6):.1f}" r="5" '
            f'fill="{colour}"{ring}><title>{escape(names[point.label])} '
            f"{escape(', '.join(point.values))}</title></circle>"
        )
    parts += [
        f'<text x="{LEFT + (WIDTH - LEFT - RIGHT) * f:.1f}" y="{HEIGHT - BOTTOM + 16}" '
        f'text-anchor="{"end" if f == 1 else "middle"}">{_tick(right * f)}</text>'
        for f in (0, 0.25, 0.5, 0.75, 1)
    ]
    unit = unit_of(sweep.plan.plan)
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">{unit}</text>')
    shown = [label for label in labels if any(p.label == label for p in found)]
    return _figure(
        "p99 latency, ms, against throughput (rings: nothing is better in both)",
        parts,
        shown,
        labels,
        names,
    )


def _key(point: object) -> tuple[str, int]:
    return (getattr(point, "label", ""), getattr(point, "index", -1))


def _table(sweep: Sweep) -> str:
    if sweep.plan is None:
        return ""
    names = [axis.name for axis in sweep.plan.axes]
    cells = []
    for row in rows(sweep):
        head = (*map(escape, row.values), escape(row.name))
        if row.figures is None:
            cells.append((*head, "–", "", "", "", "", escape(row.reason or row.state)))
            continue
        stats, latency = row.figures.stats, row.figures.latency_ns
        cells.append(
            (
                *head,
                f"{stats.p50_ns / 1e6:.4g}",
                ends_text(latency.scaled(1e-6)),
                f"{stats.p99_ns / 1e6:.4g}",
                plain(row.figures.throughput.value),
                escape(speedup_text(row.speedup)) if row.speedup else "",
                "outputs differ" if row.agree is False else escape(row.reason),
            )
        )
    unit = unit_of(sweep.plan.plan)
    header = (*names, "lane", "p50 ms", "95 %", "p99 ms", unit, "speedup", "")
    return table(header, cells, numbers_from=len(names) + 1, numbers_until=len(names) + 6)
