"""How many digits a ratio and its interval are written with."""

from __future__ import annotations

import pytest

from profiler.intervals import ends_text, interval_text, value_text
from profiler.types import Estimate


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Estimate(1.0175, 1.0004, 1.0349), "1.018× [1.000–1.035]"),
        (Estimate(1.0175, 1.0154, 1.0196), "1.018× [1.015–1.020]"),
        (Estimate(1.6, 1.5512, 1.6571), "1.60× [1.55–1.66]"),
        (Estimate(0.5349, 0.5128, 0.5579), "0.535× [0.513–0.558]"),
        (Estimate(3.04, 2.11, 4.37), "3.0× [2.1–4.4]"),
        (Estimate(25.4, 18.2, 33.9), "25× [18–34]"),
        (Estimate(12_345.0, 12_011.0, 12_699.0), "12,345× [12,011–12,699]"),
        (Estimate(0.002112, 0.002034, 0.002193), "0.00211× [0.00203–0.00219]"),
        (Estimate(2.0, 2.0, 2.0), "2.000× [2.000–2.000]"),
        (Estimate(1.234), "1.23×"),
    ],
)
def test_digits_follow_the_intervals_width(found: Estimate, expected: str) -> None:
    assert interval_text(found, "×") == expected
    assert expected.startswith(value_text(found))


def test_an_end_beside_1_does_not_read_as_1() -> None:
    assert ends_text(Estimate(1.15, 1.004, 1.31)) == "1.004–1.310"
    assert ends_text(Estimate(0.8, 0.65, 0.997)) == "0.650–0.997"
    assert ends_text(Estimate(1.15, 1.0, 1.31)) == "1.00–1.31"


def test_there_may_be_no_interval() -> None:
    assert ends_text(Estimate(1.5)) == "–"
    assert interval_text(Estimate(1.5, 1.25, 1.85), "x", "-") == "1.50x [1.25-1.85]"
