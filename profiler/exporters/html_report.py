"""The session as one HTML file that needs nothing else."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from profiler.compare import lane_name, plain
from profiler.exporters.base import Exporter
from profiler.intervals import ends_text, value_text
from profiler.method import method_note
from profiler.report.decision import render_cost, render_recommendation
from profiler.report.depth import render_depth
from profiler.report.generation import render_generation
from profiler.report.search import render_search
from profiler.report.tables import ms, table
from profiler.report.why import render_why
from profiler.session import Session
from profiler.types import RoundKind

TEMPLATE = Path(__file__).resolve().parents[2] / "resources" / "report" / "report.html"
# Okabe and Ito's palette, told apart with any colour vision; in the order of the window.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
TOP_OPERATORS = 12
WIDTH, HEIGHT, LEFT, BOTTOM = 720, 220, 60, 24


def render(session: Session) -> str:
    """Every text from the model or the machine is escaped: names in a model file are foreign."""
    plan = session.plan or session.search.plan
    name = Path(plan.model.path).name if plan else "empty session"
    parts = {
        "TITLE": escape(name),
        "VERDICT": escape(session.verdict() or "Nothing was measured."),
        "DECISION": render_recommendation(session),
        "COST": render_cost(session),
        "SEARCH": render_search(session),
        "LATENCY": _latency_table(session),
        "COMPARISONS": _comparisons(session),
        "MEMORY": _memory(session),
        "ROUNDS": _rounds_plot(session),
        "GENERATION": render_generation(
            session, {label: _colour(session, label) for label in session.labels()}
        ),
        "WHY": render_why(session),
        "OPERATORS": _operators(session),
        "OUTPUTS": _outputs(session) + render_depth(session),
        "INPUTS": _inputs(session),
        "FAILURES": _failures(session),
        "ENVIRONMENT": _pairs(session.environment.items()),
        "METHOD": escape(method_note(session)),
        "MODEL": _model(session),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for key, value in parts.items():
        text = text.replace(f"<!--{key}-->", value)
    return text


def _colour(session: Session, label: str) -> str:
    return COLOURS[session.labels().index(label) % len(COLOURS)]


def _pairs(items: object) -> str:
    pairs = list(items)  # type: ignore[call-overload]
    return table(("", ""), [(escape(k), escape(str(v))) for k, v in pairs], numbers_from=9)


def _latency_table(session: Session) -> str:
    rows = []
    for label in session.labels():
        stats, ready = session.latency_stats(label), session.ready.get(label)
        if stats is None:
            continue
        swatch = f'<span class="swatch" style="background:{_colour(session, label)}"></span>'
        note = f' <span class="note">{escape(ready.graph_note)}</span>' if ready else ""
        rows.append(
            (
                f"{swatch}{escape(lane_name(session.spec(label)))}{note}",
                *(ms(v) for v in (stats.p50_ns, stats.p90_ns, stats.p99_ns, stats.min_ns)),
                ms(stats.mean_ns),
                plain(stats.throughput_per_s),
                ms(ready.first_iteration_ns) if ready else "",
                ms(ready.compile_time_ns) if ready and ready.compile_time_ns else "–",
                ms(ready.load_time_ns) if ready else "",
                f"{stats.iterations} in {stats.rounds}",
            )
        )
    header = (
        "Lane, ms",
        "p50",
        "p90",
        "p99",
        "min",
        "mean",
        "per second",
        "first",
        "compile",
        "load",
        "iterations, rounds",
    )
    return table(header, rows) if rows else "<p>No latency was measured.</p>"


def _memory(session: Session) -> str:
    rows = [
        (
            escape(session.name(label)),
            *(
                "–" if value is None else f"{value / 2**20:.1f}"
                for value in (
                    ready.weights_bytes,
                    session.peak_memory_bytes(label),
                    session.device_memory_bytes(label),
                )
            ),
        )
        for label, ready in session.ready.items()
    ]
    header = ("Lane, MiB", "weights", "peak above the engine alone", "GPU memory")
    return table(header, rows) if rows else ""


def _comparisons(session: Session) -> str:
    rows = [
        (
            escape(f"{session.name(c.candidate)} against {session.name(c.baseline)}"),
            value_text(c.estimate),
            ends_text(c.estimate),
            escape(c.verdict.value),
            str(c.rounds),
            str(c.set_aside),
        )
        for c in session.comparisons()
    ]
    header = ("Comparison", "speedup", "95 % interval", "verdict", "rounds", "set aside")
    return table(header, rows) if rows else ""


def _rounds_plot(session: Session) -> str:
    """Median latency of each timed round, one dot a round."""
    series = {
        label: [
            (r.index, float(np.median(r.latencies_ns)) / 1e6)
            for r in session.rounds.get(label, ())
            if r.kind is RoundKind.TIMED
        ]
        for label in session.labels()
    }
    points = [point for values in series.values() for point in values]
    if not points:
        return ""
    last = max(x for x, _ in points) or 1
    set_aside = session.set_aside()
    top = max(y for _, y in points) * 1.08
    dots = "".join(
        f'<circle cx="{LEFT + (WIDTH - LEFT - 8) * x / last:.1f}" '
        f'cy="{(HEIGHT - BOTTOM) * (1 - y / top) + 4:.1f}" r="2.5" '
        f'fill="{_colour(session, label)}"{_faint(x in set_aside)}/>'
        for label, values in series.items()
        for x, y in values
    )
    ticks = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{(HEIGHT - BOTTOM) * (1 - f) + 4:.1f}" '
        f'y2="{(HEIGHT - BOTTOM) * (1 - f) + 4:.1f}" class="grid"/>'
        f'<text x="{LEFT - 8}" y="{(HEIGHT - BOTTOM) * (1 - f) + 8:.1f}" '
        f'text-anchor="end">{top * f:.3g}</text>'
        for f in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Latency per round">'
        f'{ticks}{dots}<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">round</text>'
        f'<text x="4" y="14">ms</text></svg>'
    )


def _faint(faint: bool) -> str:
    """A round that was set aside."""
    return ' fill-opacity="0.25"' if faint else ""


def _operators(session: Session) -> str:
    parts = []
    for label in session.labels():
        rows = session.operators(label)
        if not rows:
            continue
        colour = _colour(session, label)
        largest = rows[0].share or 1.0
        bars = [
            (
                escape(row.name),
                escape(row.op_type),
                f'<span class="bar" style="width:{140 * row.share / largest:.0f}px;'
                f'background:{colour}"></span>{row.share:.1%}',
                f"{row.traced_ns / 1e3:.1f}",
            )
            for row in rows[:TOP_OPERATORS]
        ]
        found = table(("Operator", "op type", "share", "µs, traced"), bars, numbers_from=3)
        more = f"<p class='note'>{len(rows) - len(bars)} more</p>" if len(rows) > len(bars) else ""
        parts.append(f"<h3>{escape(session.name(label))}</h3>{found}{more}")
    return "".join(parts) or "<p>No operators were traced.</p>"


def _outputs(session: Session) -> str:
    rows = [
        (
            escape(d.name),
            escape(session.name(o.candidate)),
            f"{d.max_abs:.3g}",
            f"{d.max_rel:.3g}",
            f"{d.cosine:.6f}",
            "" if d.argmax_agreement is None else f"{d.argmax_agreement:.1%}",
            "yes" if d.within_tolerance else "NO",
            escape(d.note),
        )
        for o in session.outputs
        for d in o.differences
    ]
    header = ("Output", "lane", "max abs", "max rel", "cosine", "argmax", "within tolerance", "")
    if not rows:
        return "<p>Outputs were not compared.</p>"
    return table(header, rows, numbers_from=2, numbers_until=6)


def _inputs(session: Session) -> str:
    specs = session.plan.inputs if session.plan else ()
    rows = [
        (escape(s.name), escape(s.dtype), escape(str(list(s.shape))), escape(s.fill.value))
        for s in specs
    ]
    return table(("Input", "dtype", "shape", "fill"), rows, numbers_from=9) if rows else ""


def _failures(session: Session) -> str:
    return "".join(
        f'<p class="failure">{escape(session.name(label))} failed while {escape(f.phase.value)}: '
        f"{escape(f.message)} {escape(f.hint)}</p>"
        for label, f in session.failures.items()
    )


def _model(session: Session) -> str:
    model = session.plan.model if session.plan else None
    if model is None:
        return ""
    return _pairs(
        {
            "file": Path(model.path).name,
            "kind": model.kind.value,
            "sha256": model.sha256,
            "size": f"{model.size_bytes / 2**20:.2f} MiB",
            "opset": model.opset or "–",
            "producer": model.producer or "–",
        }.items()
    )


EXPORTER = Exporter("html", ".html", "Report (HTML)", render)
