"""How a figure and its interval are written: the interval's width says with how many digits."""

from __future__ import annotations

import math

from profiler.types import Estimate

# Decimal places without an interval, and at most; small figures get more, for two digits or so.
PLACES, MOST_PLACES = 2, 3


def value_text(found: Estimate) -> str:
    """`1.60`: the figure alone."""
    return f"{found.value:,.{_places(found)}f}"


def ends_text(found: Estimate, dash: str = "–") -> str:
    """`1.55–1.66`: the interval alone; `–` where there is none."""
    if not found.known:
        return "–"
    places = _places(found)
    return f"{found.low:,.{places}f}{dash}{found.high:,.{places}f}"


def interval_text(found: Estimate, sign: str = "", dash: str = "–") -> str:
    """`1.60× [1.55–1.66]` with the sign `×`; `1.60×` where there is no interval."""
    value = f"{value_text(found)}{sign}"
    return f"{value} [{ends_text(found, dash)}]" if found.known else value


def _places(found: Estimate) -> int:
    """Two digits of the width: 3 places where it is 0.0x, 2 where it is 0.x, 1 where it is x."""
    if not found.known:
        return PLACES
    width, high = found.high - found.low, abs(found.high)
    most = max(MOST_PLACES, 2 - math.floor(math.log10(high))) if high else MOST_PLACES
    places = min(most, max(0, 1 - math.floor(math.log10(width)))) if width > 0 else most
    # The verdict rests on the side of 1 that an end is on: it must not read as 1.
    while places < most and any(round(e, places) == 1 != e for e in (found.low, found.high)):
        places += 1
    return places
