"""Rows from sessions whose figures are worked out by hand."""

from __future__ import annotations

import msgspec

from profiler.session import Session
from profiler.suite.catalogue import chosen
from profiler.suite.records import Entry, Step
from profiler.suite.results import FIXED, rows, stored
from profiler.types import (
    EngineKind,
    EngineSpec,
    Estimate,
    Generated,
    GenerationPlan,
    Generations,
    ModelConverted,
    OutputsCompared,
    Round,
    RoundKind,
    RunStarted,
    Verdict,
)
from tests.sample_session import MODEL, sample_events, sample_plan

MS = 1_000_000


def test_a_row_of_single_calls() -> None:
    (model,) = chosen(["resnet-50"])
    session = Session()
    for event in sample_events():
        session.apply(event)
    notes = (f"Dynamic: none. {FIXED}batch, sequence.",)
    session.apply(
        ModelConverted(time_ns=9, model=MODEL, labels=("fast",), notes=notes, duration_ns=7)
    )
    (row,) = rows(Entry(key=model.key, model=model), session)
    base, fast, dead = row.lanes
    assert (row.step, row.baseline, row.conversion_ns) == (Step.ENCODER, "base", 7)
    assert row.fixed == "batch, sequence"
    assert fast.speedup is not None
    assert (fast.speedup.value, fast.verdict) == (2.0, Verdict.FASTER)
    assert fast.machine_time is not None
    assert fast.machine_time.value == 2.0
    assert base.latency_ns is not None
    assert round(base.mean_ns) == round(base.latency_ns.value)
    assert base.speedup is None
    assert dead.latency_ns is None
    assert dead.failure == session.failures["dead"].message
    compared = [event for event in session.outputs if isinstance(event, OutputsCompared)]
    assert fast.largest_difference == max(d.max_abs for d in compared[0].differences)


def test_generated_text_has_a_row_for_prefill_and_one_for_decode() -> None:
    (model,) = chosen(["gpt-2"])
    session = Session()
    engines = (
        EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER),
        EngineSpec(label="ort", engine=EngineKind.ORT),
    )
    plan = msgspec.structs.replace(
        sample_plan(),
        engines=engines,
        baseline="eager",
        generation=GenerationPlan(prompt_tokens=10, new_tokens=3),
    )
    session.apply(RunStarted(time_ns=0, plan=plan, environment={}, dualscope_version=""))
    for index in range(20):
        for label, first, step in (("eager", 8, 4), ("ort", 2, 5)):
            steps = (first * MS, step * MS, step * MS)
            session.apply(_round(label, index, sum(steps)))
            session.apply(
                Generated(
                    time_ns=0,
                    label=label,
                    index=index,
                    kind=RoundKind.TIMED,
                    launch=index // 10,
                    generations=Generations(steps_ns=(steps,), starts_ns=(0,), span_ns=sum(steps)),
                )
            )
    prefill, decode = rows(Entry(key=model.key, model=model), session)
    assert (prefill.key, decode.key) == ("gpt-2-prefill", "gpt-2-decode")
    assert "prompt of 10," in prefill.workload
    assert "3 after 10" in decode.workload
    for row, eager_ms, ratio in ((prefill, 8, 4.0), (decode, 4, 0.8)):
        eager, ort = row.lanes
        assert eager.latency_ns is not None
        assert ort.speedup is not None
        assert round(eager.latency_ns.value) == eager_ms * MS
        assert round(ort.speedup.value, 9) == ratio
        assert row.launches == 2


def test_before_the_run_and_without_an_interval() -> None:
    (model,) = chosen(["gpt-2"])
    assert rows(Entry(key=model.key, model=model), Session()) == ()
    unsure = Estimate(2.0, 0.0, float("inf"))
    held = msgspec.json.encode(stored(unsure))
    assert msgspec.json.decode(held, type=Estimate) == unsure


def _round(label: str, index: int, latency_ns: int) -> Round:
    return Round(
        time_ns=0,
        label=label,
        index=index,
        kind=RoundKind.TIMED,
        started_ns=index,
        latencies_ns=(latency_ns,),
        launch=index // 10,
    )
