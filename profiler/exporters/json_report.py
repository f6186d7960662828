"""Everything derived from a session as JSON, for programs."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import msgspec

from profiler.cost_report import cost_report
from profiler.divergence import locate, sentence
from profiler.explanation import Explanation
from profiler.exporters.base import Exporter
from profiler.generation.metrics import METRICS, by_position, comparisons, generation_stats
from profiler.insights import find_insights
from profiler.method import method_note
from profiler.noise import busiest
from profiler.recommendation import recommend
from profiler.regions import Region
from profiler.search.rows import search_report
from profiler.session import Session
from profiler.types import Comparison, RoundKind

FORMAT = 1


def render(session: Session) -> str:
    """Strict JSON, in ASCII: a pipe may have any encoding."""
    return json.dumps(finite(report(session)), indent=2, allow_nan=False)


def report(session: Session) -> dict[str, Any]:
    """Plain dicts; times in ns unless the key says otherwise."""
    plan = session.plan
    return {
        "format": FORMAT,
        "dualscope": session.version,
        "verdict": session.verdict(),
        "model": msgspec.to_builtins(plan.model) if plan else None,
        "inputs": msgspec.to_builtins(plan.inputs) if plan else [],
        "baseline": plan.baseline if plan else None,
        "lanes": [_lane(session, label) for label in session.labels()],
        **render_decision(session),
        "comparisons": [_comparison(session, c) for c in session.comparisons()],
        "generation": _generation(session),
        "noise": _noise(session),
        "method": method_note(session),
        "search": search_report(session),
        "insights": [msgspec.to_builtins(insight) for insight in find_insights(session)],
        "environment": session.environment,
        "finished": session.finished.reason if session.finished else None,
        "started_ns": session.started_ns,
    }


def render_decision(session: Session) -> dict[str, Any]:
    """The recommendation for the session's question, and every lane's costs."""
    found = recommend(session)
    costs = cost_report(session, session.question.cost) if session.plan else None
    return {
        "question": msgspec.to_builtins(session.question),
        "recommendation": msgspec.to_builtins(found) if found else None,
        "cost": msgspec.to_builtins(costs) if costs else None,
    }


def _lane(session: Session, label: str) -> dict[str, Any]:
    spec, stats = session.spec(label), session.latency_stats(label)
    ready, failure = session.ready.get(label), session.failures.get(label)
    set_aside = session.set_aside()
    return {
        "label": label,
        "name": session.name(label),
        "engine": spec.engine.value,
        "device": spec.device,
        "options": spec.options,
        "model": msgspec.to_builtins(spec.model) if spec.model else None,
        "engine_version": ready.engine_version if ready else None,
        "graph_note": ready.graph_note if ready else "",
        "load_time_ns": ready.load_time_ns if ready else None,
        "input_note": ready.input_note if ready else "",
        "compile_time_ns": ready.compile_time_ns if ready else None,
        "first_iteration_ns": ready.first_iteration_ns if ready else None,
        "weights_bytes": ready.weights_bytes if ready else None,
        "peak_memory_bytes": session.peak_memory_bytes(label),
        "device_memory_bytes": session.device_memory_bytes(label),
        "latency_ns": stats
        and {
            "p50": stats.p50_ns,
            "p90": stats.p90_ns,
            "p99": stats.p99_ns,
            "min": stats.min_ns,
            "mean": stats.mean_ns,
            "stdev": stats.stdev_ns,
        },
        "iterations": stats.iterations if stats else 0,
        "throughput_per_s": stats.throughput_per_s if stats else None,
        "rounds": [
            {
                "index": r.index,
                "launch": r.launch,
                "latencies_ns": list(r.latencies_ns),
                "foreign_cpu_share": r.foreign_cpu_share,
                "steal_share": r.steal_share,
                "minor_page_faults": r.minor_page_faults,
                "major_page_faults": r.major_page_faults,
                "set_aside": r.index in set_aside,
                **msgspec.to_builtins(session.conditions(r)),
            }
            for r in session.rounds.get(label, ())
            if r.kind is RoundKind.TIMED
        ],
        "trace": _trace(session, label),
        "ceiling": msgspec.to_builtins(session.ceiling(label)),
        "examined": msgspec.to_builtins(session.examined.get(label)),
        "new_size": msgspec.to_builtins(session.new_sizes.get(label)),
        "operators": [
            msgspec.to_builtins(row) | {"roofline": msgspec.to_builtins(session.roofline(row))}
            for row in session.operators(label)
        ],
        "inner_operators": [msgspec.to_builtins(row) for row in session.inner_operators(label)],
        "failure": msgspec.to_builtins(failure) if failure else None,
    }


def _trace(session: Session, label: str) -> dict[str, Any] | None:
    """With each traced round's load, and whether its operators count."""
    figures, unused = session.trace_figures(label), session.unused_traces(label)
    if figures is None:
        return None
    rounds = [
        {
            "index": trace.round,
            "latencies_ns": list(trace.traced_latencies_ns),
            "foreign_cpu_share": trace.foreign_cpu_share,
            "steal_share": trace.steal_share,
            "set_aside": trace.round in unused,
            "reason": unused.get(trace.round, ""),
        }
        for trace in session.traces[label]
    ]
    return {**msgspec.to_builtins(figures), "doubt": figures.doubt, "traced_rounds": rounds}


def _comparison(session: Session, comparison: Comparison) -> dict[str, Any]:
    outputs = next((o for o in session.outputs if o.candidate == comparison.candidate), None)
    return {
        "baseline": comparison.baseline,
        "candidate": comparison.candidate,
        "speedup": comparison.speedup,
        "low": comparison.low,
        "high": comparison.high,
        "verdict": comparison.verdict.value,
        "rounds": comparison.rounds,
        "launches": comparison.launches,
        "set_aside": comparison.set_aside,
        **_explanation(session, comparison),
        "outputs_agree": outputs.agree if outputs else None,
        "tolerance": {"rtol": outputs.rtol, "atol": outputs.atol} if outputs else None,
        "output_differences": msgspec.to_builtins(outputs.differences) if outputs else [],
        "first_difference": _first_difference(session, comparison.baseline, comparison.candidate),
    }


def comparison_of_values(session: Session, baseline: str, candidate: str) -> dict[str, Any]:
    """What a look inside of the model gave, for `dualscope locate`; strict JSON."""
    found = _first_difference(session, baseline, candidate)
    plain: dict[str, Any] = finite(
        {"baseline": baseline, "candidate": candidate, "first_difference": found}
    )
    return plain


def _first_difference(session: Session, baseline: str, candidate: str) -> dict[str, Any] | None:
    """None where nobody looked inside of the model."""
    found = session.values.get((baseline, candidate))
    if found is None:
        return None
    result = locate(found)
    return {
        "sentence": sentence(found),
        "region": result.first.region if result.first else None,
        "nodes": list(result.first.nodes) if result.first else [],
        "unsure": [point.region for point in result.unsure],
        "compared": result.compared,
        "differing": result.differing,
        "points": msgspec.to_builtins(found.points),
    }


def _generation(session: Session) -> dict[str, Any] | None:
    """Of text, token by token: each lane's figures, and its comparison by each metric."""
    if session.plan is None or session.plan.generation is None:
        return None
    lanes = {}
    for label in session.labels():
        found = generation_stats(session, label)
        if found is not None:
            by_token = by_position(session, label)
            lanes[label] = dataclasses.asdict(found) | {
                "itl_by_position": [
                    dict(zip(("token", "p50", "p10", "p90"), row, strict=True)) for row in by_token
                ]
            }
    return {
        "plan": msgspec.to_builtins(session.plan.generation),
        "lanes": lanes,
        "comparisons": {
            metric: [msgspec.to_builtins(c) for c in comparisons(session, metric)]
            for metric in METRICS
        },
    }


def _noise(session: Session) -> dict[str, Any]:
    return {
        "rule": msgspec.to_builtins(session.plan.noise) if session.plan else None,
        "rounds": session.timed_rounds(),
        "disturbed": [
            {"index": index, "reason": reason}
            for index, reason in sorted(session.disturbances().items())
        ],
        "mostly_disturbed": session.mostly_disturbed(),
        "busiest_process": busiest(session.foreign) or None,
    }


def _explanation(session: Session, comparison: Comparison) -> dict[str, Any]:
    """Regions in the order of execution, and the waterfall whose bars add up to the gap."""
    found = session.explanation(comparison.baseline, comparison.candidate)
    if found is None:
        return {"gap_ns": None, "reason": "", "coverage": None, "regions": [], "waterfall": []}
    return {
        "gap_ns": found.gap_ns,
        "reason": found.sentence(),
        "coverage": dict(zip(("baseline", "candidate"), found.coverage, strict=True)),
        "regions": [_region(found, region) for region in found.regions],
        "waterfall": [msgspec.to_builtins(bar) for bar in found.grouped_bars()],
    }


def _region(found: Explanation, region: Region) -> dict[str, Any]:
    lanes = {
        side: {
            "timed_ns": region.timed_ns[lane],
            "traced_ns": region.traced_ns[lane],
            "operators": [f"{row.name} ({row.op_type})" for row in region.operators[lane]],
        }
        for lane, side in enumerate(("baseline", "candidate"))
    }
    return {
        "name": region.name,
        "path": list(region.path),
        "label": region.label,
        "signature": region.signature,
        "shared": region.shared,
        "nodes": list(region.nodes),
        **lanes,
        "difference_ns": region.difference_ns,
        "share_of_gap": found.share(region),
    }


def finite(value: Any) -> Any:
    """JSON has no infinity and no NaN: they become null (an interval without an upper end)."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: finite(item) for key, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
        case _:
            return value


EXPORTER = Exporter("json", ".json", "Everything (JSON)", render)
