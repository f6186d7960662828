"""Numbers and units as a person writes them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from profiler.quantities import amount, seconds, share, size, tolerance, whole


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (seconds, "90", 90.0),
        (seconds, "500ms", 0.5),
        (seconds, "1.5 min", 90.0),
        (size, "500MiB", 500 * 2**20),
        (size, "2GB", 2 * 10**9),
        (share, "2%", 0.02),
        (share, "0.02", 0.02),
        (whole, "0", 0),
        (tolerance, "1e-3", 1e-3),
        (amount, "12.5", 12.5),
    ],
)
def test_what_is_understood(read: Callable[[str], float], text: str, expected: float) -> None:
    assert read(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (seconds, "soon"),
        (seconds, "-5s"),
        (seconds, "5 weeks"),
        (size, "5 pages"),
        (share, "narrow"),
        (whole, "-1"),
        (whole, "1.5"),
        (tolerance, "-1"),
        (tolerance, "nan"),
        (amount, "inf"),
    ],
)
def test_what_is_refused(read: Callable[[str], float], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"write for example|whole number"):
        read(text)
