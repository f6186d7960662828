"""Lanes of the aligner from real engines, in this process: what they run, not how long it takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from profiler.alignment import LaneOperators, Part
from profiler.engines import create_engine
from profiler.explanation import Explainer, Explanation, LaneTrace
from profiler.inspection import inspect
from profiler.model_file import identify
from profiler.module_graph import describe
from profiler.operators import OperatorTotals
from profiler.trace_figures import trace_figures
from profiler.types import (
    EngineKind,
    EngineSpec,
    GraphNode,
    InputSpec,
    Load,
    ModelGraph,
    OperatorRow,
    OpTiming,
    OpTimings,
)

UNIT_NS = 1000


def traced(
    path: Path,
    engine: EngineKind,
    inputs: Sequence[InputSpec],
    work_dir: Path,
    **options: str | int | float | bool,
) -> LaneTrace:
    """The lane after one traced call in which every operator takes one unit of time."""
    work_dir.mkdir(parents=True, exist_ok=True)
    spec = EngineSpec(label=work_dir.name, engine=engine, options=options)
    model = identify(path)
    one = create_engine(Load(spec=spec, model=model, inputs=tuple(inputs), work_dir=str(work_dir)))
    one.load()
    try:
        found = one.trace(1, 1)
    finally:
        one.close()
    ops = [msgspec.structs.replace(op, duration_ns=UNIT_NS) for op in found.ops]
    return lane_trace(work_dir.name, ops, found.graph or describe(model))


def lane_trace(label: str, ops: Sequence[OpTiming], graph: ModelGraph | None) -> LaneTrace:
    """A lane with these operators and no overhead."""
    whole = sum(op.duration_ns for op in ops)
    trace = OpTimings(
        time_ns=0,
        label=label,
        round=0,
        iterations=1,
        traced_latencies_ns=(whole,),
        ops=tuple(ops),
    )
    totals = OperatorTotals()
    totals.add(trace)
    rows = sorted(totals.rows(label), key=lambda row: (row.start_ns, row.name))
    figures = trace_figures([trace], rows, None)
    assert figures is not None
    operators = LaneOperators(rows=rows, graph=graph or ModelGraph(nodes=()))
    return LaneTrace(label=label, operators=operators, figures=figures)


def explain(baseline: LaneTrace, candidate: LaneTrace) -> Explanation:
    """Both side by side."""
    return Explainer().explain(baseline, candidate)


def inputs_of(path: Path) -> tuple[InputSpec, ...]:
    """As an inspection proposes them."""
    return inspect(identify(path)).inputs


def row(
    name: str,
    op_type: str,
    start: int,
    *,
    nodes: tuple[str, ...] = (),
    scope: str = "",
    traced_ns: float = UNIT_NS,
) -> OperatorRow:
    """One operator of a lane."""
    return OperatorRow(
        label="lane",
        name=name,
        op_type=op_type,
        calls=1,
        traced_ns=traced_ns,
        share=0.0,
        source_nodes=nodes,
        scope=scope,
        start_ns=start,
    )


def node(name: str, op_type: str, *inputs: str, scope: str = "") -> GraphNode:
    """One node with one output."""
    return GraphNode(name=name, op_type=op_type, inputs=inputs, outputs=(name,), scope=scope)


def names(parts: Sequence[Part], lanes: Sequence[LaneOperators]) -> list[tuple[set[str], set[str]]]:
    """The operators of each part, by name."""
    return [
        (
            {lanes[0].rows[index].name for index in part.rows[0]},
            {lanes[1].rows[index].name for index in part.rows[1]},
        )
        for part in parts
    ]
