"""The formulas against hand calculations."""

from __future__ import annotations

import math

import pytest

from profiler.cost import (
    hours_per_million,
    hours_per_month,
    machines_needed,
    payback_days,
    price_of,
    saved_share,
)
from profiler.types import CostSettings, EngineKind, EngineSpec


def test_hours_per_million() -> None:
    """A million calls of 3.6 ms are an hour; at half utilization two; in fours a quarter."""
    assert hours_per_million(3.6e6, 1, 1.0) == pytest.approx(1.0)
    assert hours_per_million(3.6e6, 1, 0.5) == pytest.approx(2.0)
    assert hours_per_million(3.6e6, 4, 1.0) == pytest.approx(0.25)


def test_hours_per_month() -> None:
    """86,400 requests a day of 0.5 s each keep a machine busy for half of 30.4375 days."""
    assert hours_per_month(5e8, 1, 86_400, 1.0) == pytest.approx(30.4375 * 12)
    assert hours_per_month(5e8, 2, 86_400, 0.5) == pytest.approx(30.4375 * 12)


@pytest.mark.parametrize(
    ("mean_ns", "batch", "requests", "utilization", "replicas", "count"),
    [
        # 86,400 s of work a day: one machine without a pause, two at 70 %.
        (1e9, 1, 86_400, 1.0, 1, 1),
        (1e9, 1, 86_400, 0.7, 1, 2),
        (1e9, 2, 86_400, 1.0, 1, 1),
        (1e9, 1, 86_401, 1.0, 1, 2),
        (1e6, 1, 10, 0.7, 1, 1),
        (1e6, 1, 10, 0.7, 3, 3),
    ],
)
def test_machines_needed(
    mean_ns: float, batch: int, requests: float, utilization: float, replicas: int, count: int
) -> None:
    assert machines_needed(mean_ns, batch, requests, utilization, replicas) == count


def test_saved_share() -> None:
    assert saved_share(1.25) == pytest.approx(0.2)
    assert saved_share(0.8) == pytest.approx(-0.25)
    assert saved_share(0.0) == -math.inf


def test_payback() -> None:
    """30.4375 a month is 1 a day."""
    assert payback_days(100, 30.4375) == pytest.approx(100)
    assert payback_days(100, 0) == math.inf
    assert payback_days(100, -5) == math.inf
    assert payback_days(0, -5) == 0


def test_price_of() -> None:
    on_cpu = EngineSpec(label="a", engine=EngineKind.ORT)
    on_gpu = EngineSpec(label="b", engine=EngineKind.ORT, device="cuda:1")
    prices = CostSettings(prices={"cpu": 1, "Test GPU": 2, "cuda:1": 3})
    assert price_of(on_cpu, "", prices) == 1
    assert price_of(on_gpu, "Test GPU", prices) == 3
    assert price_of(on_gpu, "test gpu", CostSettings(prices={"Test GPU": 2})) == 2
    assert price_of(on_gpu, "Test GPU", CostSettings(prices={"cuda": 4})) == 4
    assert price_of(on_gpu, "Test GPU", CostSettings(prices={"cpu": 4})) is None
    assert price_of(on_cpu, "", CostSettings(prices={"*": 5})) == 5
    assert price_of(on_cpu, "", CostSettings()) is None
