"""What a lane costs: the formulas, and what a figure says of itself. Pure functions."""

from __future__ import annotations

import math

from msgspec import Struct

from profiler.types import CostSettings, EngineSpec

MILLION = 1_000_000
SECONDS_PER_HOUR = 3600.0
HOURS_PER_DAY = 24.0
DAYS_PER_MONTH = 365.25 / 12
JOULES_PER_KWH = 3.6e6


class CostFigure(Struct, frozen=True, kw_only=True):
    """A number, its 95 % interval where the measurement gives one, and where it comes from.

    `formula` names what goes in, `worked` has the numbers. `unit`: "ms", "/s", "h", "kWh", "%",
    "days", "" (a count), or "money" in the settings' currency. inf: never. `unresolved`: the
    measurement doesn't tell a saving from a loss, so that `value` alone would mislead.
    """

    key: str
    title: str
    value: float
    unit: str
    formula: str
    worked: str
    low: float | None = None
    high: float | None = None
    unresolved: bool = False


class LaneCost(Struct, frozen=True, kw_only=True):
    """`price` per hour of the lane's device; None where the person gave none."""

    label: str
    name: str
    device: str
    price: float | None
    figures: tuple[CostFigure, ...]

    def figure(self, key: str) -> CostFigure | None:
        """The figure with this key; None where it can't be worked out."""
        return next((found for found in self.figures if found.key == key), None)


class CostReport(Struct, frozen=True, kw_only=True):
    """`missing`: what the person would have to tell for more figures."""

    settings: CostSettings
    baseline: str
    batch: int
    tokens: int | None
    lanes: tuple[LaneCost, ...]
    missing: tuple[str, ...]


def hours_per_million(mean_ns: float, per_call: int, utilization: float) -> float:
    """Paid machine hours for a million samples (or tokens), of which a call has `per_call`."""
    return MILLION / per_call * mean_ns / 1e9 / SECONDS_PER_HOUR / utilization


def hours_per_month(
    mean_ns: float, batch: int, requests_per_day: float, utilization: float
) -> float:
    """Paid machine hours when machines are paid for as they are used."""
    seconds = requests_per_day * DAYS_PER_MONTH / batch * mean_ns / 1e9
    return seconds / SECONDS_PER_HOUR / utilization


def machines_needed(
    mean_ns: float, batch: int, requests_per_day: float, utilization: float, replicas: int
) -> int:
    """Machines kept on: enough for the day's requests at the utilization, at least `replicas`."""
    busy_hours = requests_per_day / batch * mean_ns / 1e9 / SECONDS_PER_HOUR
    # A whole number that rounding errors have lifted is still that number.
    return max(replicas, math.ceil(busy_hours / HOURS_PER_DAY / utilization - 1e-9))


def saved_share(ratio: float) -> float:
    """Share of the baseline's machine hours that a lane saves which is `ratio` times faster."""
    return 1 - 1 / ratio if ratio > 0 else -math.inf


def payback_days(once: float, saving_per_month: float) -> float:
    """Days until a one-time cost is saved; inf where nothing is saved, 0 where nothing was paid."""
    if once <= 0:
        return 0.0
    return once / (saving_per_month / DAYS_PER_MONTH) if saving_per_month > 0 else math.inf


def price_of(spec: EngineSpec, name: str, settings: CostSettings) -> float | None:
    """By device ("cuda:0"), GPU name, kind of device ("cuda"), or "*" for every one."""
    prices = {key.lower(): value for key, value in settings.prices.items()}
    kind = spec.device.partition(":")[0]
    for key in (spec.device, name, kind, "*"):
        if key and key.lower() in prices:
            return prices[key.lower()]
    return None
