"""Recommendation and costs in words, alike for the command line, the window and reports."""

from __future__ import annotations

import math
from collections.abc import Iterator

from profiler.cost import CostFigure, CostReport
from profiler.recommendation import Recommendation
from profiler.types import CostSettings

# Below this, four digits take a power of ten; below that, a sum is what rounding left of 0.
SMALLEST_PLAIN, RESIDUE = 1e-4, 1e-12


def amount(value: float, unit: str) -> str:
    """`12.3`, `never`, `-4`: as many digits as a person reads, without the unit."""
    if math.isinf(value):
        return "never" if unit == "days" and value > 0 else "?"
    if unit == "money" and abs(value) >= 1000:
        return f"{value:,.0f}"
    if unit == "%":
        return f"{value:.1f}"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return _tiny(value) if abs(value) < SMALLEST_PLAIN else f"{value:.4g}"


def _tiny(value: float) -> str:
    """Two digits without a power of ten: `0.00004`; what rounding leaves of 0 is 0."""
    if abs(value) < RESIDUE:
        return "0"
    places = 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{places}f}".rstrip("0")


def with_interval(figure: CostFigure) -> str:
    """`12.3 [11.9–12.8]`, `unresolved [-2.1–3.4]`, `12.3 [up to 12.8]` where one end is open."""
    value = "unresolved" if figure.unresolved else amount(figure.value, figure.unit)
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return value
    never = figure.unit == "days" and figure.high > 0
    ends = amount(figure.low, figure.unit), amount(figure.high, figure.unit)
    if math.isfinite(figure.low) and (math.isfinite(figure.high) or never):
        return f"{value} [{ends[0]}–{ends[1]}]"
    if math.isfinite(figure.high):
        return f"{value} [up to {ends[1]}]"
    return f"{value} [from {ends[0]}]" if math.isfinite(figure.low) else value


def title(figure: CostFigure, settings: CostSettings) -> str:
    """With the unit: `Cost per month, by use, EUR`."""
    unit = settings.currency if figure.unit == "money" else figure.unit
    return f"{figure.title}, {unit}" if unit else figure.title


def cost_rows(report: CostReport) -> Iterator[tuple[CostFigure, list[CostFigure | None]]]:
    """Each figure that any lane has, in order, with every lane's (the first found comes first)."""
    keys: dict[str, CostFigure] = {}
    order: list[str] = []
    for lane in report.lanes:
        place = 0
        for figure in lane.figures:
            if figure.key not in keys:
                keys[figure.key] = figure
                order.insert(place, figure.key)
            place = order.index(figure.key) + 1
    for key in order:
        yield keys[key], [lane.figure(key) for lane in report.lanes]


def settings_words(report: CostReport) -> str:
    """What the figures were worked out from."""
    settings = report.settings
    prices = {lane.device: lane.price for lane in report.lanes if lane.price is not None}
    unit = f" {settings.currency}" if settings.currency else ""
    parts = [
        *(f"{device} {price:g}{unit} per hour" for device, price in prices.items()),
        f"{settings.requests_per_day:,.0f} requests a day (a request is one sample)"
        if settings.requests_per_day
        else "",
        f"utilization {settings.utilization * 100:g} %",
        f"at least {settings.replicas} on" if settings.replicas > 1 else "",
        f"batch {report.batch}",
    ]
    return ", ".join(part for part in parts if part)


def recommendation_lines(found: Recommendation) -> list[str]:
    """The sentence, then what it rests on, a line each."""
    lines = [found.sentence]
    if found.configuration:
        lines.append(f"configuration: {found.configuration}")
    lines += [f"because: {reason.text}" for reason in found.reasons]
    if found.outputs:
        lines.append(found.outputs)
    lines += [f"mind: {text}" for text in found.cautions]
    lines.append(f"model type: {found.model_type.sentence}")
    lines.append(f"not measured: {'; '.join(found.not_measured)}")
    return lines
