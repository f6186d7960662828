"""Each claim confirmed, refuted and unresolved, on rows made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from profiler.suite.claims import judge
from profiler.suite.figures import over_torch, saved
from profiler.suite.planning import COMPILE_LEFT_OUT, TENSORRT
from profiler.suite.records import Claim, ClaimVerdict, LaneResult, Row, Step
from profiler.types import EngineKind, Estimate

CONFIRMED, REFUTED, UNRESOLVED = ClaimVerdict
MS = 1e6
Bounds = tuple[float, float] | None


def estimate(bounds: Bounds) -> Estimate | None:
    if bounds is None:
        return None
    return Estimate(value=sum(bounds) / 2, low=bounds[0], high=bounds[1])


def lane(label: str, engine: EngineKind, ratio: Bounds, provider: str = "") -> LaneResult:
    """A lane that is between so many times as fast as the baseline's 10 ms."""
    speedup = estimate(ratio)
    mean_ns = 10 * MS / (speedup.value if speedup else 1.0)
    return LaneResult(
        label=label,
        name=label,
        engine=engine,
        provider=provider,
        latency_ns=Estimate(value=mean_ns, low=mean_ns * 0.99, high=mean_ns * 1.01),
        speedup=speedup,
        machine_time=speedup,
        mean_ns=mean_ns,
    )


def row(
    model: str, ort: Bounds, *more: LaneResult, step: Step = Step.ENCODER, device: str = "cpu"
) -> Row:
    return Row(
        key=f"{model}-{step}",
        model=model,
        title=model,
        workload="batch 1",
        step=step,
        device=device,
        baseline="eager",
        lanes=(
            lane("eager", EngineKind.TORCH_EAGER, None),
            lane("ort", EngineKind.ORT, ort),
            *more,
        ),
        conversion_ns=20_000_000_000,
        rounds=30,
        launches=2,
    )


def claim(key: str, rows: Sequence[Row], left_out: Sequence[str] = ()) -> Claim:
    return {found.key: found for found in judge(rows, left_out)}[key]


# The first bound of a speedup for 15 % less time is 1 / 0.85 = 1.176.
@pytest.mark.parametrize("key", ["encoders", "hours"])
@pytest.mark.parametrize(
    ("ratios", "verdict", "part"),
    [
        ([(1.2, 1.3), (1.4, 1.5), (1.0, 1.1)], CONFIRMED, "2 of 3 encoders surely at 15%"),
        ([(2.0, 2.1), (1.9, 2.0), (1.9, 2.0)], CONFIRMED, "3 of 3 encoders"),
        ([(1.0, 1.1), (0.8, 0.9), (1.2, 1.3)], REFUTED, "2 surely below 15%"),
        ([(1.0, 1.1), (1.1, 1.3), (1.2, 1.3)], UNRESOLVED, "1 unresolved"),
        ([None, None, (1.2, 1.3)], UNRESOLVED, "too few rounds"),
        ([], UNRESOLVED, "No encoder"),
    ],
)
def test_most_encoders(key: str, ratios: list[Bounds], verdict: ClaimVerdict, part: str) -> None:
    found = claim(key, [row(f"m{number}", ratio) for number, ratio in enumerate(ratios)])
    assert found.verdict is verdict
    assert part in found.figures


# The last bound, for 35 % less time, is 1 / 0.65 = 1.538.
@pytest.mark.parametrize("key", ["encoders-range", "hours-range"])
@pytest.mark.parametrize(
    ("ratios", "verdict", "part"),
    [
        ([(1.2, 1.3), (1.4, 1.5), (2.0, 2.1)], CONFIRMED, "2 of 3 encoders surely within 15%"),
        ([(2.0, 2.1), (1.9, 2.0), (1.2, 1.3)], REFUTED, "2 surely above, more than was claimed"),
        ([(1.0, 1.1), (1.9, 2.0), (1.2, 1.3)], REFUTED, "1 surely above"),
        ([(1.2, 1.3), (1.4, 1.6), (2.0, 2.1)], UNRESOLVED, "1 unresolved"),
        ([None, None, (1.2, 1.3)], UNRESOLVED, "too few rounds"),
        ([], UNRESOLVED, "No encoder"),
    ],
)
def test_the_claimed_range(
    key: str, ratios: list[Bounds], verdict: ClaimVerdict, part: str
) -> None:
    found = claim(key, [row(f"m{number}", ratio) for number, ratio in enumerate(ratios)])
    assert found.verdict is verdict
    assert part in found.figures


def test_more_than_was_claimed_is_told_with_each_saving() -> None:
    found = claim("encoders", [row("a", (1.2, 1.3)), row("b", (2.0, 2.5)), row("c", (1.3, 1.8))])
    assert found.verdict is CONFIRMED
    assert "1 of these past the claimed range" in found.figures
    # 1 - 1 / 2.25, between 1 - 1 / 2 and 1 - 1 / 2.5.
    assert "b 56% [50% to 60%], above the range" in found.figures


def test_hours_without_a_gpu_say_so() -> None:
    assert "no GPU here" in claim("hours", [row("a", (1.2, 1.3))]).figures
    assert "no GPU" not in claim("hours", [row("a", (1.2, 1.3), device="cuda:0")]).figures


# 3.2 ms over 2.1 ms; rounded times allow (3.2 - 0.05) / (2.1 + 0.05) = 1.465.
@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        ((1.47, 1.6), CONFIRMED),
        ((2.0, 2.2), CONFIRMED),
        ((1.0, 1.4), REFUTED),
        ((1.4, 1.5), UNRESOLVED),
        (None, UNRESOLVED),
    ],
)
def test_times_on_other_hardware_are_judged_by_their_ratio(
    ratio: Bounds, verdict: ClaimVerdict
) -> None:
    found = claim("resnet-50", [row("resnet-50", ratio)])
    assert found.verdict is verdict
    if ratio is not None:
        assert "1.52x apart, at least 1.47x before rounding" in found.figures
        assert "hardware differs" in found.figures


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [((1.3, 1.5), CONFIRMED), ((1.0, 1.2), REFUTED), ((1.2, 1.4), UNRESOLVED)],
)
def test_compiled_bert(ratio: Bounds, verdict: ClaimVerdict) -> None:
    compiled = lane("compile", EngineKind.TORCH_COMPILE, ratio)
    assert claim("bert-compile", [row("bert-base", (1.0, 1.1), compiled)]).verdict is verdict


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [((1.7, 1.8), CONFIRMED), ((1.0, 1.2), REFUTED), ((1.5, 1.8), UNRESOLVED)],
)
def test_bert_with_tensorrt(ratio: Bounds, verdict: ClaimVerdict) -> None:
    tensorrt = lane("trt", EngineKind.ORT, ratio, TENSORRT[0])
    rows = [row("bert-base", (1.0, 1.1), tensorrt, device="cuda:0"), row("bert-base", (9.0, 9.1))]
    assert claim("bert-tensorrt", rows).verdict is verdict


def test_lanes_that_there_are_not_leave_a_claim_open_with_the_reason() -> None:
    rows = [row("bert-base", (3.0, 3.1))]
    found = claim("bert-tensorrt", rows)
    assert (found.verdict, "no TensorRT" in found.figures) == (UNRESOLVED, True)
    found = claim("bert-compile", rows, [COMPILE_LEFT_OUT])
    assert (found.verdict, "quick suite" in found.figures) == (UNRESOLVED, True)
    broken = msgspec.structs.replace(
        lane("trt", EngineKind.ORT, None, TENSORRT[0]), failure="No library.", latency_ns=None
    )
    found = claim("bert-tensorrt", [row("bert-base", (1.0, 1.1), broken)])
    assert (found.verdict, "No library." in found.figures) == (UNRESOLVED, True)


@pytest.mark.parametrize(
    ("ort", "compiled", "verdict"),
    [
        ((0.8, 0.9), None, CONFIRMED),
        ((0.98, 1.02), None, CONFIRMED),
        ((1.2, 1.3), None, REFUTED),
        ((0.9, 1.1), None, UNRESOLVED),
        # Slower than compiled PyTorch: 1.3 / 1.5 at the most.
        ((1.2, 1.3), (1.5, 1.6), CONFIRMED),
        ((2.0, 2.1), (1.5, 1.6), REFUTED),
        ((1.5, 1.7), (1.5, 1.6), UNRESOLVED),
        (None, None, UNRESOLVED),
    ],
)
def test_language_models(ort: Bounds, compiled: Bounds, verdict: ClaimVerdict) -> None:
    more = [lane("compile", EngineKind.TORCH_COMPILE, compiled)] if compiled else []
    rows = [
        row("gpt-2", (3.0, 3.1), step=Step.PREFILL),
        row("gpt-2", ort, *more, step=Step.DECODE),
    ]
    assert claim("llm", rows).verdict is verdict


def test_a_quotient_of_two_speedups_has_the_widest_interval() -> None:
    compiled = lane("compile", EngineKind.TORCH_COMPILE, (1.5, 1.6))
    found = over_torch(row("m", (2.0, 2.4), compiled), compiled)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((2.0 / 1.6, 2.4 / 1.5))
    assert saved(None) is None


def test_conversion_is_a_one_time_cost() -> None:
    rows = [row("a", (2.0, 2.0)), row("b", (0.5, 0.5))]
    found = claim("conversion", rows)
    assert found.verdict is CONFIRMED
    # 20 s over 10 ms - 5 ms a call.
    assert "a 20 s for 2 launches, paid back after 4,000 calls" in found.figures
    assert "b 20 s for 2 launches, never paid back" in found.figures
    fixed = [msgspec.structs.replace(r, fixed="batch") for r in rows]
    assert claim("conversion", fixed).verdict is REFUTED
    assert "fixed at this batch" in claim("conversion", fixed).figures
    assert claim("conversion", [rows[0], fixed[1]]).verdict is UNRESOLVED
    unknown = [msgspec.structs.replace(r, conversion_ns=0) for r in rows]
    assert claim("conversion", unknown).verdict is UNRESOLVED
    assert claim("conversion", []).verdict is UNRESOLVED


def _compared(found: Row, largest: float | None, agree: bool | None) -> Row:
    changes = {"largest_difference": largest, "outputs_agree": agree}
    lanes = [
        msgspec.structs.replace(n, **changes) if n.engine is EngineKind.ORT else n
        for n in found.lanes
    ]
    return msgspec.structs.replace(found, lanes=tuple(lanes))


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([(1e-6, True), (0.0, True)], CONFIRMED),
        ([(0.5, False), (0.0, True)], CONFIRMED),
        ([(0.0, True), (0.0, True)], REFUTED),
        ([(0.0, True), (None, None)], UNRESOLVED),
        ([(None, None), (None, None)], UNRESOLVED),
    ],
)
def test_numerics(
    differences: list[tuple[float | None, bool | None]], verdict: ClaimVerdict
) -> None:
    rows = [_compared(row(f"m{n}", None), *found) for n, found in enumerate(differences)]
    assert claim("numerics", rows).verdict is verdict


def test_the_gpus_rows_are_judged_where_there_are_any() -> None:
    rows = [row("resnet-50", (9.0, 9.1)), row("resnet-50", (1.0, 1.1), device="cuda:0")]
    assert claim("resnet-50", rows).verdict is REFUTED


def test_speedups_over_another_lane_than_eager_judge_nothing() -> None:
    other = msgspec.structs.replace(row("resnet-50", (9.0, 9.1)), baseline="compile")
    assert claim("resnet-50", [other]).verdict is UNRESOLVED
    assert claim("encoders", [other]).verdict is UNRESOLVED
