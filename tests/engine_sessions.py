"""Sessions of real engines, in this process, in which every operator takes one unit of time.

So what rules find depends on what the engines run, and not on how busy the machine is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from profiler.engines import create_engine
from profiler.model_file import identify
from profiler.module_graph import describe
from profiler.session import Session
from profiler.types import (
    Ceiling,
    EngineKind,
    EngineReady,
    EngineSpec,
    Event,
    GraphDescribed,
    InputSpec,
    LaneExamined,
    Load,
    OpTimings,
    Round,
    RoundKind,
    RunPlan,
    RunStarted,
)

UNIT_NS = 1000


def run_engines(
    path: Path,
    inputs: Sequence[InputSpec],
    lanes: dict[EngineKind, dict[str, Any]],
    folder: Path,
    *,
    slower: float = 1.0,
    cores: str = "2 physical, 2 logical",
    ceiling: Ceiling | None = None,
    change: Callable[[Any], None] = lambda _: None,
) -> Session:
    """One lane an engine, labelled by its name; the first is the baseline.

    `slower`: the timed latency over the operators' sum. `ceiling` in place of the measured ones.
    `change` is called with each loaded engine before its first call.
    """
    specs = [EngineSpec(label=kind, engine=kind, options=opts) for kind, opts in lanes.items()]
    model = identify(path)
    plan = RunPlan(model=model, inputs=tuple(inputs), engines=tuple(specs), baseline=specs[0].label)
    session = Session()
    started = RunStarted(time_ns=0, plan=plan, environment={"cores": cores}, dualscope_version="1")
    session.apply(started)
    for spec in specs:
        work_dir = folder / spec.label
        work_dir.mkdir()
        load = Load(spec=spec, model=model, inputs=plan.inputs, work_dir=str(work_dir))
        for event in _lane_events(load, slower, ceiling, change):
            session.apply(event)
    return session


def _lane_events(
    load: Load, slower: float, ceiling: Ceiling | None, change: Callable[[Any], None]
) -> list[Event]:
    label = load.spec.label
    engine = create_engine(load)
    engine.load()
    try:
        change(engine)
        engine.infer()
        engine.after_first_call()
        traced = engine.trace(1, 1)
        examined = engine.examine()
    finally:
        engine.close()
    if ceiling is not None:
        examined = msgspec.structs.replace(examined, ceiling=ceiling)
    ops = tuple(
        msgspec.structs.replace(op, start_ns=UNIT_NS * number, duration_ns=UNIT_NS)
        for number, op in enumerate(traced.ops)
    )
    whole = UNIT_NS * len(ops)
    graph = traced.graph or describe(load.model)
    events: list[Event] = [
        EngineReady(
            time_ns=0,
            label=label,
            pid=1,
            load_time_ns=1,
            first_iteration_ns=1,
            engine_version=engine.version,
            graph_note=engine.graph_note,
        ),
        *(
            Round(
                time_ns=0,
                label=label,
                index=index,
                kind=RoundKind.TIMED,
                started_ns=index,
                latencies_ns=(int(whole * slower),),
            )
            for index in range(3)
        ),
        OpTimings(
            time_ns=0,
            label=label,
            round=0,
            iterations=1,
            traced_latencies_ns=(int(whole * slower),),
            ops=ops,
        ),
        LaneExamined(time_ns=0, label=label, found=examined),
    ]
    if graph is not None:
        sha256 = load.model.sha256
        events.append(GraphDescribed(time_ns=0, label=label, sha256=sha256, graph=graph))
    return events
