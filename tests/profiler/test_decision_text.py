"""Figures as a person reads them, and the parts of reports."""

from __future__ import annotations

import math

import pytest

from profiler.commands.cost import cost_table, formulas
from profiler.cost import CostFigure
from profiler.cost_report import cost_report
from profiler.decision_text import amount, cost_rows, recommendation_lines, with_interval
from profiler.exporters import formats
from profiler.recommendation import recommend
from profiler.types import CostSettings, EngineKind, EngineSpec
from tests.decision_sessions import compared, rounds, session

PRICED = CostSettings(prices={"cpu": 1.0}, currency="EUR", requests_per_day=1e7, own_cost=9.0)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.5, "money", "1,234"),
        (0.123456, "money", "0.1235"),
        (12.345, "%", "12.3"),
        (math.inf, "days", "never"),
        (-math.inf, "%", "?"),
        (12345.6, "h", "12,346"),
        (3.993e-5, "money", "0.00004"),
        (-3.2e-7, "money", "-0.00000032"),
        (1.234e-4, "h", "0.0001234"),
        (0.0, "money", "0"),
        (1e-15, "money", "0"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_an_interval_is_shown_where_there_is_one() -> None:
    figure = CostFigure(key="k", title="T", value=2.0, unit="h", formula="f", worked="w")
    assert with_interval(figure) == "2"
    wide = CostFigure(
        key="k", title="T", value=2.0, unit="h", formula="f", worked="w", low=1.5, high=2.5
    )
    assert with_interval(wide) == "2 [1.5–2.5]"


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (99.6, -math.inf, 100.0, "%", "unresolved [up to 100.0]"),
        (3.0, -2.0, 8.0, "%", "unresolved [-2.0–8.0]"),
        (3.0, -math.inf, math.inf, "money", "unresolved"),
        (9.0, 4.0, math.inf, "days", "unresolved [4–never]"),
    ],
)
def test_what_is_unresolved_gives_no_figure_but_its_interval(
    value: float, low: float, high: float, unit: str, text: str
) -> None:
    figure = CostFigure(
        key="k",
        title="T",
        value=value,
        unit=unit,
        formula="f",
        worked="w",
        low=low,
        high=high,
        unresolved=True,
    )
    assert with_interval(figure) == text


def test_rows_keep_the_order_of_figures() -> None:
    report = cost_report(session(*rounds("eager", 8.0), *rounds("onnx", 4.0)), PRICED)
    keys = [figure.key for figure, _ in cost_rows(report)]
    longest = [figure.key for figure in report.lanes[1].figures]
    assert keys == longest
    assert all(len(cells) == 2 for _, cells in cost_rows(report))


def test_the_command_lines_table() -> None:
    report = cost_report(session(*rounds("eager", 8.0), *rounds("onnx", 4.0)), PRICED)
    lines = cost_table(report)
    assert lines[0] == (
        "cpu 1 EUR per hour, 10,000,000 requests a day (a request is one sample), "
        "utilization 70 %, batch 4"
    )
    assert any(line.startswith("Cost per month, by use, EUR") for line in lines)
    filled = formulas(report, filled=True)
    assert "    onnx: 1,000,000 / 4 × 0.004 s / 3600 s / 0.7" in filled
    assert len(formulas(report, filled=False)) == len(list(cost_rows(report)))


def test_the_lines_say_what_the_recommendation_rests_on() -> None:
    found = recommend(session(*rounds("eager", 8.0), *rounds("onnx", 4.0)))
    assert found is not None
    lines = recommendation_lines(found)
    assert lines[0] == found.sentence
    assert "configuration: ort" in lines
    assert sum(line.startswith("because: ") for line in lines) == len(found.reasons)
    assert lines[-1].startswith("not measured: ")


def test_the_html_report_escapes_foreign_names() -> None:
    lanes = (
        EngineSpec(label="<b>eager", engine=EngineKind.TORCH_EAGER),
        EngineSpec(label="onnx", engine=EngineKind.ORT),
    )
    found = session(
        *rounds("<b>eager", 8.0), *rounds("onnx", 4.0), compared("<b>eager", "onnx"), lanes=lanes
    )
    text = formats()["html"].render(found)
    assert "<h2>Recommendation</h2>" in text and "<h2>Cost</h2>" in text
    assert "For latency: use onnx" in text
    assert "&lt;b&gt;eager" in text and "<b>eager" not in text
