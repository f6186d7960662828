"""Figures of generated text against numbers worked out by hand."""

from __future__ import annotations

import pytest

from profiler.generation.metrics import (
    METRICS,
    by_position,
    comparisons,
    decoded_tokens,
    generation_stats,
)
from profiler.generation.plan import endpoint_source
from profiler.session import Session
from profiler.types import (
    EngineKind,
    EngineSpec,
    Generated,
    GenerationPlan,
    Generations,
    Round,
    RoundKind,
    RunPlan,
    RunStarted,
    Verdict,
)

MS = 1_000_000


def session(*labels: str) -> Session:
    """With a plan of 10 prompt tokens and 3 new ones."""
    found = Session()
    engines = tuple(EngineSpec(label=label, engine=EngineKind.ENDPOINT) for label in labels)
    plan = RunPlan(
        model=endpoint_source(),
        inputs=(),
        engines=engines,
        baseline=labels[0],
        generation=GenerationPlan(prompt_tokens=10, new_tokens=3),
    )
    found.apply(RunStarted(time_ns=0, plan=plan, environment={}, dualscope_version=""))
    return found


def turn(
    found: Session,
    label: str,
    index: int,
    generations: Generations,
    kind: RoundKind = RoundKind.TIMED,
    launch: int = 0,
) -> None:
    """A round and what it generated."""
    latencies = tuple(sum(steps) for steps in generations.steps_ns)
    found.apply(
        Round(
            time_ns=0,
            label=label,
            index=index,
            kind=kind,
            started_ns=0,
            latencies_ns=latencies,
            launch=launch,
        )
    )
    found.apply(
        Generated(
            time_ns=0,
            label=label,
            index=index,
            kind=kind,
            launch=launch,
            generations=generations,
        )
    )


def test_figures_of_a_lane() -> None:
    found = session("a")
    turn(found, "a", 0, Generations(steps_ns=((9 * MS,) * 3,), span_ns=1), RoundKind.WARMUP)
    steps = ((20 * MS, 4 * MS, 6 * MS), (30 * MS, 5 * MS, 5 * MS))
    done = Generations(steps_ns=steps, span_ns=70 * MS, cache_bytes=640, cache_used_bytes=480)
    turn(found, "a", 0, done)
    stats = generation_stats(found, "a")
    assert stats is not None
    assert stats.ttft.p50 == 25 * MS and stats.itl.p50 == 5 * MS
    assert stats.end_to_end.p50 == 35 * MS
    # 20 prompt tokens in 50 ms; 4 tokens in 20 ms; 6 tokens in 70 ms.
    assert stats.prefill_tokens_per_s == pytest.approx(400)
    assert stats.decode_tokens_per_s == pytest.approx(200)
    assert stats.throughput_tokens_per_s == pytest.approx(6 / 0.070)
    assert (stats.cache_bytes, stats.cache_used_bytes) == (640, 480)
    assert (stats.generations, stats.requests, stats.failed) == (2, 2, 0)
    assert by_position(found, "a") == [
        pytest.approx((2, 4.5 * MS, 4.1 * MS, 4.9 * MS)),
        pytest.approx((3, 5.5 * MS, 5.1 * MS, 5.9 * MS)),
    ]


def test_a_servers_own_counts_and_failures() -> None:
    """A piece of a stream may hold several tokens: rates go by the server's count."""
    found = session("a")
    done = Generations(
        steps_ns=((10 * MS, 10 * MS),),
        tokens=(5,),
        prompt_tokens=(8,),
        span_ns=20 * MS,
        errors=("HTTP 503: busy", "HTTP 503: busy"),
    )
    assert decoded_tokens(done) == [4]
    turn(found, "a", 0, done)
    stats = generation_stats(found, "a")
    assert stats is not None and stats.counted_by_server
    assert stats.decode_tokens_per_s == pytest.approx(400)
    assert stats.prefill_tokens_per_s == pytest.approx(800)
    assert stats.new_tokens == 5
    assert (stats.requests, stats.failed) == (3, 2) and stats.errors == {"HTTP 503: busy": 2}


def test_each_metric_is_compared_by_itself() -> None:
    """Twice as fast to the first token, equally fast after it."""
    found = session("a", "b")
    for index in range(60):
        wobble, launch = 1 + 0.001 * (index % 5), index // 20
        slow = Generations(steps_ns=((int(40 * MS * wobble), 5 * MS, 5 * MS),))
        fast = Generations(steps_ns=((int(20 * MS * wobble), 5 * MS, 5 * MS),))
        turn(found, "a", index, slow, launch=launch)
        turn(found, "b", index, fast, launch=launch)
    (first,) = comparisons(found, "ttft")
    assert first.speedup == pytest.approx(2, rel=1e-3) and first.verdict is Verdict.FASTER
    for metric in ("itl", "per_token"):
        (other,) = comparisons(found, metric)
        assert other.low < 1 < other.high and other.speedup == pytest.approx(1)
    (whole,) = found.comparisons()
    assert whole.speedup == pytest.approx(50 / 30, rel=1e-2)


def test_intervals_of_all_metrics_hold_together() -> None:
    """They share the error, so that each is wider than that of the whole generation."""
    found = session("a", "b")
    for index in range(40):
        steps = Generations(steps_ns=((40 * MS + index % 7, 5 * MS, 5 * MS),))
        for label in ("a", "b"):
            turn(found, label, index, steps, launch=index // 20)
    (whole,) = found.comparisons()
    for metric in METRICS:
        (one,) = comparisons(found, metric)
        assert one.high - one.low > whole.high - whole.low


def test_before_anything_was_measured() -> None:
    assert generation_stats(session("a"), "a") is None
    assert comparisons(session("a", "b"), "itl") == [] and by_position(session("a"), "a") == []
