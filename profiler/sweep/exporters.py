"""A sweep as CSV, JSON and HTML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from profiler.errors import SessionFileError
from profiler.exporters.base import Exporter, csv_text
from profiler.sweep.html import render_html
from profiler.sweep.results import (
    axis_winners,
    crossings,
    fastest,
    findings,
    pareto_front,
    slices,
)
from profiler.sweep.results import lane_points as all_lane_points
from profiler.sweep.state import Sweep
from profiler.sweep.table import Row, rows
from profiler.types import Estimate

FORMAT = 1
COLUMNS = (
    "lane",
    "state",
    "p50_ns",
    "p90_ns",
    "p99_ns",
    "latency_ns",
    "latency_low_ns",
    "latency_high_ns",
    "work",
    "throughput_per_s",
    "throughput_low_per_s",
    "throughput_high_per_s",
    "iterations",
    "speedup",
    "speedup_low",
    "speedup_high",
    "verdict",
    "outputs_agree",
    "reason",
)


def render_csv(sweep: Sweep) -> str:
    """One row a lane and point; what isn't known is empty."""
    names = [axis.name for axis in sweep.plan.axes] if sweep.plan else []
    lines = [(*row.values, *_cells(row).values()) for row in rows(sweep)]
    return csv_text((*names, *COLUMNS), lines)


def _cells(row: Row) -> dict[str, Any]:
    found, speedup = row.figures, row.speedup
    values: dict[str, Any] = dict.fromkeys(COLUMNS)
    values |= {"lane": row.label, "state": row.state, "reason": row.reason}
    if found is not None:
        stats = found.stats
        values |= {"p50_ns": stats.p50_ns, "p90_ns": stats.p90_ns, "p99_ns": stats.p99_ns}
        values |= _estimate("latency{}_ns", found.latency_ns)
        values |= _estimate("throughput{}_per_s", found.throughput)
        values |= {"work": found.work, "iterations": stats.iterations}
    if speedup is not None:
        values |= {**_estimate("speedup{}", speedup.estimate), "verdict": speedup.verdict.value}
    return values | {"outputs_agree": row.agree}


def _estimate(name: str, found: Estimate) -> dict[str, float | None]:
    return {
        name.format(""): found.value,
        name.format("_low"): found.low,
        name.format("_high"): found.high if found.known else None,
    }


def render_json(sweep: Sweep) -> str:
    """Strict JSON, in ASCII; times in nanoseconds."""
    plan = sweep.plan
    points: dict[int, dict[str, Any]] = {}
    for row in rows(sweep):
        names = [axis.name for axis in plan.axes] if plan else []
        point = points.setdefault(
            row.index,
            {
                "index": row.index,
                "values": dict(zip(names, row.values, strict=True)),
                "state": row.state,
                "lanes": [],
            },
        )
        cells = _cells(row)
        del cells["state"]
        point["lanes"].append(cells)
    for result in sweep.done():
        points[result.point.index]["fastest"] = fastest(result)
    environment = next((r.session.environment for r in sweep.done()), {})
    found = {
        "format": FORMAT,
        "kind": "sweep",
        "dualscope": sweep.version,
        "findings": findings(sweep),
        "model": msgspec.to_builtins(plan.plan.model) if plan else None,
        "baseline": plan.plan.baseline if plan else None,
        "axes": msgspec.to_builtins(plan.axes) if plan else [],
        "lanes": msgspec.to_builtins(plan.plan.engines) if plan else [],
        "points": list(points.values()),
        "crossings": _crossings(sweep),
        "pareto_front": [
            {"lane": p.label, "index": p.index} for p in pareto_front(all_lane_points(sweep))
        ],
        "environment": environment,
        "finished": sweep.finished.reason if sweep.finished else None,
        "started_ns": sweep.started_ns,
    }
    return json.dumps(found, indent=2, allow_nan=False)


def _crossings(sweep: Sweep) -> list[dict[str, Any]]:
    found = []
    for number, axis in enumerate(sweep.plan.axes if sweep.plan else ()):
        for others, results in slices(sweep, number).items():
            for crossing in crossings(axis, axis_winners(results, number)):
                found.append({"at": list(others), **vars(crossing)})
    return found


FORMATS = {
    exporter.name: exporter
    for exporter in (
        Exporter("csv", ".csv", "Table (CSV)", render_csv),
        Exporter("html", ".html", "Report (HTML)", render_html),
        Exporter("json", ".json", "Everything (JSON)", render_json),
    )
}


def export_sweep(sweep: Sweep, name: str, path: Path) -> None:
    """Write the sweep in a format. Raises SessionFileError."""
    if name not in FORMATS:
        raise SessionFileError(
            f"A sweep can't be written as {name!r}.", f"Use one of: {', '.join(FORMATS)}."
        )
    FORMATS[name].write(sweep, path)
