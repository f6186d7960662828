"""Costs of a session whose latencies are known: eager 7.2 ms, ONNX Runtime 3.6 ms, a batch of 4."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from profiler.cost import CostFigure, CostReport
from profiler.cost_report import cost_report
from profiler.measured import mean_ratio
from profiler.session import Session
from profiler.types import (
    CostSettings,
    EngineKind,
    EngineSpec,
    Event,
    GpuSample,
    InputSpec,
    ModelKind,
    TelemetrySample,
)
from tests.decision_sessions import EAGER, IMAGE, ORT, rounds, session

SETTINGS = CostSettings(
    prices={"cpu": 2.0}, requests_per_day=96e6, utilization=0.5, replicas=1, own_cost=100.0
)


def halved(**more: Any) -> Session:
    return session(*rounds("eager", 7.2), *rounds("onnx", 3.6), **more)


def figure(report: CostReport, label: str, key: str) -> CostFigure:
    (lane,) = [lane for lane in report.lanes if lane.label == label]
    found = lane.figure(key)
    assert found is not None, key
    return found


def test_of_a_million() -> None:
    """1,000,000 / 4 calls of 7.2 ms are 1800 s: 0.5 h, 1 h at half utilization, 2 of money."""
    report = cost_report(halved(), SETTINGS)
    assert [lane.label for lane in report.lanes] == ["eager", "onnx"]
    assert (report.batch, report.baseline, report.missing) == (4, "eager", ())
    assert figure(report, "eager", "hours_per_million").value == pytest.approx(1.0)
    assert figure(report, "eager", "cost_per_million").value == pytest.approx(2.0)
    assert figure(report, "onnx", "cost_per_million").value == pytest.approx(1.0)
    assert figure(report, "onnx", "throughput").value == pytest.approx(4 / 3.6e-3)


def test_callers_at_once_share_the_machine() -> None:
    """Two callers of 7.2 ms each end a call every 3.6 ms, as one of 3.6 ms does."""
    turns = [
        msgspec.structs.replace(turn, duration_ns=3_600_000 * len(turn.latencies_ns))
        for turn in rounds("eager", 7.2)
    ]
    together = msgspec.structs.replace(EAGER, options={"callers": 2})
    report = cost_report(session(*turns, *rounds("onnx", 3.6), lanes=(together, ORT)), SETTINGS)
    assert figure(report, "eager", "mean_ms").value == pytest.approx(7.2)
    for key in ("call_ms", "throughput", "hours_per_million", "cost_per_month"):
        assert figure(report, "eager", key).value == pytest.approx(
            figure(report, "onnx", key).value
        )
    assert figure(report, "onnx", "saved_hours_share").value == pytest.approx(0.0)
    assert "time per call" in figure(report, "onnx", "hours_per_million").formula


def test_of_a_month() -> None:
    """96 million requests a day: 96 hours a day and 8 machines for one lane, half for the other."""
    report = cost_report(halved(), SETTINGS)
    assert figure(report, "eager", "hours_per_month").value == pytest.approx(96 * 30.4375)
    assert figure(report, "eager", "cost_per_month").value == pytest.approx(2 * 96 * 30.4375)
    assert figure(report, "eager", "machines").value == 4
    assert figure(report, "onnx", "machines").value == 2
    assert figure(report, "onnx", "cost_per_month_on").value == pytest.approx(2 * 48 * 30.4375)


def test_savings_have_the_interval_of_the_ratio() -> None:
    found = halved()
    report, ratio = cost_report(found, SETTINGS), mean_ratio(found, "eager", "onnx")
    assert ratio is not None and ratio.value == pytest.approx(2.0)
    assert 1.9 < ratio.low < 2.0 < ratio.high < 2.1
    share = figure(report, "onnx", "saved_hours_share")
    assert share.value == pytest.approx(50.0)
    assert share.low == pytest.approx(100 * (1 - 1 / ratio.low))
    assert share.high == pytest.approx(100 * (1 - 1 / ratio.high))
    saving = figure(report, "onnx", "saving_per_month")
    before = 2 * 96 * 30.4375
    assert saving.value == pytest.approx(before / 2)
    assert saving.low == pytest.approx(before - before / ratio.low)
    assert saving.high == pytest.approx(before - before / ratio.high)
    # Two of four machines; at the interval's lower end three would be needed.
    on = figure(report, "onnx", "saving_per_month_on")
    assert (on.value, on.low, on.high) == pytest.approx(
        (2 * 48 * 30.4375, 24 * 2 * 30.4375, 2 * 48 * 30.4375)
    )


def test_conversion_pays_back() -> None:
    """36 s of conversion are 0.02 of money, and 100 of one's own; 96 are saved each day."""
    report = cost_report(halved(), SETTINGS)
    assert figure(report, "onnx", "one_time").value == pytest.approx(100.02)
    days = figure(report, "onnx", "payback_days")
    assert days.value == pytest.approx(100.02 / 96)
    assert days.low is not None and days.high is not None
    assert days.low < days.value < days.high


def test_a_slower_lane_never_pays_back() -> None:
    slower = session(*rounds("eager", 3.6), *rounds("onnx", 7.2))
    report = cost_report(slower, SETTINGS)
    assert figure(report, "onnx", "saving_per_month").value < 0
    assert figure(report, "onnx", "payback_days").value == math.inf
    assert figure(report, "onnx", "saved_hours_share").value == pytest.approx(-100)


def test_a_saving_may_be_unresolved() -> None:
    """Launches in which either lane is the slower one tell neither a saving nor a loss."""
    lanes = [*rounds("eager", 3.6), *rounds("onnx", 3.6, launches=4)]
    slow = [msgspec.structs.replace(r, latencies_ns=(7_000_000,) * 5) for r in lanes[:40]]
    report = cost_report(session(*slow, *lanes[40:]), SETTINGS)
    keys = ("saved_hours_share", "saving_per_month", "saving_per_month_on", "payback_days")
    assert [figure(report, "onnx", key).unresolved for key in keys] == [True] * 4
    sure = cost_report(halved(), SETTINGS)
    assert not any(figure(sure, "onnx", key).unresolved for key in keys)
    alike = cost_report(session(*rounds("eager", 3.6), *rounds("onnx", 3.6)), SETTINGS)
    assert not figure(alike, "onnx", "saved_hours_share").unresolved, "the same is an answer"


def test_a_lane_that_takes_the_file_as_it_is_costs_nothing_once() -> None:
    report = cost_report(halved(kind=ModelKind.ONNX), SETTINGS)
    assert figure(report, "onnx", "one_time").value == 0
    assert figure(report, "onnx", "payback_days").value == 0


def test_without_a_price_there_is_no_money() -> None:
    report = cost_report(halved(), CostSettings())
    units = {found.unit for lane in report.lanes for found in lane.figures}
    assert "money" not in units
    assert figure(report, "onnx", "saved_hours_share").value == pytest.approx(50.0)
    assert report.missing == (
        "a price per hour of cpu",
        "requests per day, for costs and savings per month",
    )


def test_every_figure_states_its_formula() -> None:
    report = cost_report(halved(), SETTINGS)
    for lane in report.lanes:
        assert len({found.key for found in lane.figures}) == len(lane.figures)
        for found in lane.figures:
            assert found.formula and found.worked and found.title


def test_tokens() -> None:
    """A call of 32 tokens takes 7.2 ms: a million take 225 s, 450 s at half utilization."""
    ids = InputSpec(name="input_ids", dtype="int64", shape=(2, 16), symbols=("batch", "sequence"))
    report = cost_report(halved(inputs=(ids,)), SETTINGS)
    assert report.tokens == 32
    cost = figure(report, "eager", "cost_per_million_tokens")
    assert cost.value == pytest.approx(450 / 3600 * 2.0)


def gpu_lanes() -> tuple[EngineSpec, EngineSpec]:
    return (
        EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER),
        EngineSpec(label="onnx", engine=EngineKind.ORT, device="cuda:0"),
    )


def power(time_ns: int, watts: float | None) -> TelemetrySample:
    milliwatts = None if watts is None else int(watts * 1000)
    gpu = GpuSample(index=0, name="Test GPU", power_mw=milliwatts)
    return TelemetrySample(
        time_ns=time_ns, cpu_pct=1.0, memory_used_bytes=1, memory_total_bytes=2, gpus=(gpu,)
    )


def test_energy_is_power_in_the_lanes_turns_times_latency() -> None:
    """300 W for 3.6 ms: 1.08 J a call of 4, 270,000 J and 0.075 kWh a million."""
    # Round 5 ends at 5 s and takes 5 calls of 3.6 ms; the last reading is between turns.
    telemetry: list[Event] = [
        power(4_990_000_000, 310.0),
        power(5_000_000_000, 290.0),
        power(5_500_000_000, 70.0),
        power(6_000_000_000, None),
    ]
    found = session(
        *rounds("eager", 7.2), *rounds("onnx", 3.6), *telemetry, lanes=gpu_lanes(), inputs=(IMAGE,)
    )
    prices = CostSettings(prices={"cpu": 1.0, "Test GPU": 2.0}, price_per_kwh=0.2)
    report = cost_report(found, prices)
    assert figure(report, "onnx", "energy_per_million").value == pytest.approx(0.075)
    assert figure(report, "onnx", "energy_cost_per_million").value == pytest.approx(0.015)
    assert report.lanes[0].figure("energy_per_million") is None
    # Other devices, other prices: hours can't be subtracted from each other.
    assert report.lanes[1].figure("saved_hours_share") is None
    assert [lane.price for lane in report.lanes] == [1.0, 2.0]


def test_other_prices_count_in_the_saving() -> None:
    """Twice as fast at three times the price costs half as much again."""
    found = session(*rounds("eager", 7.2), *rounds("onnx", 3.6), lanes=gpu_lanes())
    prices = CostSettings(prices={"cpu": 1.0, "cuda": 3.0}, requests_per_day=96e6, utilization=0.5)
    report = cost_report(found, prices)
    before = 96 * 30.4375
    assert figure(report, "onnx", "saving_per_month").value == pytest.approx(-before / 2)
