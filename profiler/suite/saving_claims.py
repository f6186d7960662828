"""How much ONNX Runtime saves over eager PyTorch, encoder by encoder, against the claimed 15-35 %.

The article's sentence is judged twice: that the saving is 15 % or more, and that it lies within
15-35 %. Where ONNX Runtime saves more than was claimed, the first holds and the second doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiler.compare import counted
from profiler.suite.figures import fastest, missing, percent, saved
from profiler.suite.records import CPU, ClaimVerdict, Judged, LaneResult, Row, Step
from profiler.types import EngineKind, Estimate

LEAST, MOST = 0.15, 0.35
RANGE = f"{LEAST:.0%} to {MOST:.0%}"


@dataclass(frozen=True)
class Saving:
    """The share that ONNX Runtime's fastest lane saves of one encoder, or why there is none."""

    title: str
    share: Estimate | None
    reason: str = ""

    @property
    def reaches(self) -> bool:
        """Whether it is surely the least that was claimed, or more."""
        return self.share is not None and self.share.low >= LEAST

    @property
    def place(self) -> str:
        """Where the whole interval lies: "below", "within" or "above" the range; "" elsewhere."""
        if self.share is None:
            return ""
        if self.share.high < LEAST:
            return "below"
        if self.share.low > MOST:
            return "above"
        return "within" if self.reaches and self.share.high <= MOST else ""

    def text(self) -> str:
        """`ViT 53% [52% to 53%], above the range`."""
        if self.share is None:
            return f"{self.title}: {self.reason}"
        place = f", {self.place} the range" if self.place else ""
        return f"{self.title} {percent(self.share)}{place}"


@dataclass(frozen=True)
class Savings:
    """Of all encoders; `what` they are of, and a `note` on it."""

    what: str
    found: tuple[Saving, ...]
    note: str = ""

    def at(self, place: str) -> int:
        """How many encoders are there."""
        return sum(saving.place == place for saving in self.found)

    def text(self) -> str:
        told = "; ".join(saving.text() for saving in self.found)
        return f"{self.what} with ONNX Runtime than PyTorch eager: {told}.{self.note}"


def latency_saved(rows: Sequence[Row]) -> Savings:
    """By the median latency."""
    return _savings(rows, "Lower latency", lambda lane: lane.speedup)


def hours_saved(rows: Sequence[Row]) -> Savings:
    """By the mean time per call, which is what hours of a machine follow."""
    on_cpu = bool(rows) and all(row.device == CPU for row in rows)
    note = " These are hours of this machine's CPU: there is no GPU here." if on_cpu else ""
    return _savings(rows, "Fewer machine hours", lambda lane: lane.machine_time, note)


def _savings(
    rows: Sequence[Row],
    what: str,
    ratio: Callable[[LaneResult], Estimate | None],
    note: str = "",
) -> Savings:
    found = []
    for row in rows:
        if row.step is not Step.ENCODER:
            continue
        lane = fastest(row, EngineKind.ORT)
        share = saved(ratio(lane)) if lane else None
        known = share is not None and share.known
        found.append(Saving(row.title, share if known else None, "" if known else missing(row)))
    return Savings(what, tuple(found), note)


def least(savings: Savings) -> Judged:
    """Confirmed when more than half of the encoders' intervals lie at or above the claimed least;
    refuted when more than half lie below it.
    """
    reach = sum(saving.reaches for saving in savings.found)
    below, above = savings.at("below"), savings.at("above")
    parts = [
        f"{reach} of {counted(len(savings.found), 'encoder')} surely at {LEAST:.0%} or more",
        f"{above} of these past the claimed range, surely above {MOST:.0%}" if above else "",
        f"{below} surely below {LEAST:.0%}" if below else "",
    ]
    return _by_majority(savings, reach, below, parts)


def within_range(savings: Savings) -> Judged:
    """Confirmed when more than half of the encoders' intervals lie within the claimed range;
    refuted when more than half lie outside of it.
    """
    within, below, above = map(savings.at, ("within", "below", "above"))
    parts = [
        f"{within} of {counted(len(savings.found), 'encoder')} surely within {RANGE}",
        f"{above} surely above, more than was claimed" if above else "",
        f"{below} surely below" if below else "",
    ]
    return _by_majority(savings, within, above + below, parts)


def _by_majority(savings: Savings, for_it: int, against: int, parts: list[str]) -> Judged:
    total = len(savings.found)
    if not total:
        return ClaimVerdict.UNRESOLVED, "No encoder was measured."
    open_ = total - for_it - against
    text = ", ".join(filter(None, [*parts, f"{open_} unresolved" if open_ else ""]))
    verdict = ClaimVerdict.UNRESOLVED
    if for_it * 2 > total:
        verdict = ClaimVerdict.CONFIRMED
    elif against * 2 > total:
        verdict = ClaimVerdict.REFUTED
    return verdict, f"{text}. {savings.text()}"
