"""The suite in text: for a terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence

from profiler.compare import counted
from profiler.console import printable
from profiler.exporters.base import Exporter
from profiler.intervals import interval_text
from profiler.suite.records import LaneResult, Row
from profiler.suite.state import Suite
from profiler.types import Estimate, PointState

COLUMNS = ("model", "workload", "lane", "p50, ms [95 %]", "against eager [95 %]", "verdict")
NONE = "–"
WIDTH, INDENT = 100, " " * 12
# As shown of the machine, with the name in the environment.
MACHINE = (
    ("cpu", "CPU"),
    ("cores", "cores"),
    ("gpu", "GPU"),
    ("memory", "memory"),
    ("system", "system"),
    ("torch", "torch"),
    ("onnxruntime", "onnxruntime"),
    ("onnxruntime-gpu", "onnxruntime-gpu"),
    ("transformers", "transformers"),
    ("dualscope", "Dualscope"),
)


def cells(row: Row, lane: LaneResult) -> tuple[str, ...]:
    """A lane's line of the table, by COLUMNS."""
    is_baseline = lane.label == row.baseline
    verdict = "baseline" if is_baseline else (lane.verdict.value if lane.verdict else NONE)
    if lane.failure:
        verdict = f"failed: {lane.failure}"
    return (
        row.title if row.device == "cpu" else f"{row.title} ({row.device})",
        row.workload,
        lane.name,
        milliseconds(lane.latency_ns),
        NONE if is_baseline else times(lane.speedup),
        verdict,
    )


def lines(suite: Suite) -> list[tuple[str, ...]]:
    """Every row's lanes; then what has no figures, with its reason."""
    found = [cells(row, lane) for row in suite.rows() for lane in row.lanes]
    for entry in suite.entries():
        result = suite.results.get(entry.key)
        if result is not None and not result.rows:
            why = result.reason or result.state.value
            found.append((entry.model.title, entry.model.workload, NONE, NONE, NONE, why))
    return found


def milliseconds(found: Estimate | None) -> str:
    """`45.2 [44.9–45.8]`."""
    if found is None:
        return NONE
    if not found.known:
        return f"{found.value / 1e6:.4g} (no interval)"
    return interval_text(found.scaled(1e-6))


def times(found: Estimate | None) -> str:
    """`1.60× [1.55–1.66]`."""
    if found is None:
        return NONE
    written = interval_text(found, "×")
    return written if found.known else f"{written} (no interval)"


def text(suite: Suite) -> str:
    """For a terminal: the table in columns, then a claim a paragraph."""
    found = [COLUMNS, *lines(suite)]
    widths = [max(len(line[i]) for line in found) for i in range(len(COLUMNS) - 1)]
    parts, before = [], ("", "")
    for number, line in enumerate(found):
        shown = list(line)
        if number and line[:2] == before:
            shown[0] = shown[1] = ""
        before = (line[0], line[1])
        padded = [cell.ljust(width) for cell, width in zip(shown, widths, strict=False)]
        parts.append("  ".join([*padded, shown[-1]]).rstrip())
    parts += ["", *notes(suite), "", "The article's claims:"]
    for claim in suite.claims():
        figures = textwrap.wrap(claim.figures, WIDTH - len(INDENT))
        parts.append(f"{claim.verdict.value.upper():<{len(INDENT)}}{claim.text}")
        parts += [INDENT + line for line in figures]
    return "\n".join(printable(part) for part in parts)


def markdown(suite: Suite) -> str:
    """The machine, the table and the claims, as a document of its own."""
    parts = ["# Dualscope suite", "", *(f"- {line}" for line in machine(suite)), ""]
    parts += _table(COLUMNS, lines(suite))
    parts += ["", *(f"- {note}" for note in notes(suite)), "", "## The article's claims", ""]
    claims = [(c.text, f"**{c.verdict.value}**", c.figures) for c in suite.claims()]
    parts += _table(("claim", "verdict", "figures"), claims)
    return "\n".join(parts) + "\n"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for line in body:
        escaped = [printable(cell).replace("|", "\\|") for cell in line]
        yield f"| {' | '.join(escaped)} |"


def machine(suite: Suite) -> list[str]:
    """What was measured on."""
    known = [(title, suite.environment.get(name, "")) for name, title in MACHINE]
    return [f"{title}: {value}" for title, value in known if value]


def notes(suite: Suite) -> list[str]:
    """How long it took, what disturbed it, what was left out."""
    found = []
    if suite.plan is not None:
        quick = " (--quick)" if suite.plan.quick else ""
        wall_s, budget_s = suite.wall_s(), suite.plan.budget_s
        took = f"{wall_s:.0f} s of {budget_s:.0f} s{quick}"
        if wall_s > budget_s:
            took = f"{wall_s:.0f} s where {budget_s:.0f} s were planned{quick}"
        done = [r for r in suite.results.values() if r.state is PointState.DONE]
        found.append(f"{len(done)} of {counted(len(suite.entries()), 'run')} done, {took}")
        found += suite.plan.left_out
    busy = [row.title for row in suite.rows() if row.busy]
    if busy:
        whose = "every model" if len(busy) == len(suite.rows()) else ", ".join(busy)
        found.append(f"The machine was busy in most rounds of {whose}: under that load only")
    for row in suite.rows():
        if row.set_aside and not row.busy:
            found.append(f"{row.title}: {row.set_aside} of {row.rounds} rounds set aside")
    stopped = [r.key for r in suite.results.values() if r.state is PointState.STOPPED]
    found += [f"{key} was stopped: its figures are of what was measured" for key in stopped]
    return found


def csv_text(suite: Suite) -> str:
    """One line a lane, numbers in full; empty cells where something isn't known."""
    found = [_flat(row, lane) for row in suite.rows() for lane in row.lanes]
    file = io.StringIO()
    if found:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    return file.getvalue()


def _flat(row: Row, lane: LaneResult) -> dict[str, object]:
    return {
        "row": row.key,
        "model": row.title,
        "workload": row.workload,
        "device": row.device,
        "lane": lane.label,
        "engine": lane.engine.value,
        "provider": lane.provider,
        **_numbers("p50_ns", lane.latency_ns),
        **_numbers("speedup", lane.speedup),
        "verdict": lane.verdict.value if lane.verdict else None,
        "mean_ns": lane.mean_ns or None,
        "conversion_ns": row.conversion_ns or None,
        "rounds": row.rounds,
        "launches": row.launches,
        "failure": lane.failure,
    }


def _numbers(name: str, found: Estimate | None) -> dict[str, object]:
    ends = (found.low, found.high) if found and found.known else (None, None)
    values = (found.value if found else None, *ends)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


FORMATS = {
    exporter.name: exporter
    for exporter in (
        Exporter("markdown", ".md", "Markdown", markdown),
        Exporter("csv", ".csv", "CSV", csv_text),
    )
}
