"""Traced operators as a Chrome trace, which Perfetto opens: one process a lane.

Format: "Trace Event Format", Google; complete events ("X") with times in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from profiler.exporters.base import Exporter
from profiler.session import Session
from profiler.untraced import why_untraced

# Between two traced iterations, so that they can be told apart on the axis.
GAP_NS = 100_000


def render(session: Session) -> str:
    events = [
        event
        for process, label in enumerate(session.labels(), start=1)
        for event in _lane_events(session, process, label)
    ]
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})


def _lane_events(session: Session, process: int, label: str) -> Iterator[dict[str, Any]]:
    yield {
        "ph": "M",
        "name": "process_name",
        "pid": process,
        "args": {"name": f"{session.name(label)} [{label}]"},
    }
    offset_ns = 0
    for trace in session.traces.get(label, ()):
        starts_ns = []
        for latency_ns in trace.traced_latencies_ns:
            starts_ns.append(offset_ns)
            offset_ns += latency_ns + GAP_NS
        for op in trace.ops:
            yield {
                "ph": "X",
                "name": op.name,
                "cat": op.op_type,
                "pid": process,
                "tid": op.thread,
                "ts": (starts_ns[op.iteration] + op.start_ns) / 1e3,
                "dur": op.duration_ns / 1e3,
                "args": {
                    "op_type": op.op_type,
                    "source_nodes": list(op.source_nodes),
                    "scope": op.scope,
                    "shapes": op.shapes,
                    "provider": op.provider,
                    "traced_round": trace.round,
                    "iteration": op.iteration,
                },
            }


EXPORTER = Exporter(
    "chrome-trace", ".json", "Timeline (Chrome trace, Perfetto)", render, why_untraced
)
