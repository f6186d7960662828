"""The configurations of a search as plain rows, for JSON, CSV, the report and the terminal."""

from __future__ import annotations

from typing import Any

import msgspec

from profiler.intervals import interval_text
from profiler.search.record import Tried
from profiler.search.result import found_by, sentences, winner
from profiler.search.space import FAMILY_NAMES
from profiler.session import Session
from profiler.types import Estimate

FIGURES = (
    "rounds",
    "launches",
    "calls",
    "p50_ns",
    "p99_ns",
    "peak_memory_bytes",
    "load_time_ns",
    "compile_time_ns",
)


def search_report(session: Session) -> dict[str, Any] | None:
    """Everything about the search as plain dicts; None for a session without one."""
    record, best = session.search, winner(session)
    if record.plan is None:
        return None
    return {
        "plan": msgspec.to_builtins(record.plan),
        "summary": sentences(session),
        "winner": msgspec.to_builtins(best) if best else None,
        "leaders": [msgspec.to_builtins(found) for found in found_by(session)],
        "configurations": [row(tried) for tried in record.tried()],
        "races": [
            {
                "race": race.race,
                "family": race.family,
                "axis": race.axis,
                "incumbent": race.incumbent,
                "arms": [arm.label for arm in race.arms],
                "leader": ended.leader if (ended := record.finished.get(race.race)) else None,
                "ended": ended.reason if ended else None,
                "rounds": [
                    {
                        "index": item.index,
                        "launch": item.launch,
                        "medians_ns": item.medians_ns,
                        "disturbed": item.disturbed,
                    }
                    for item in record.rounds.get(race.race, ())
                ],
            }
            for race in record.races
        ],
    }


def row(tried: Tried) -> dict[str, Any]:
    """One configuration; figures are None where it did not run."""
    judged = tried.judged
    has_ratio = tried.ratio > 0
    return {
        "configuration": tried.label,
        "family": tried.family,
        "axis": tried.axis,
        "state": tried.state.value,
        "reason": tried.reason,
        "against": tried.against,
        "ratio": tried.ratio if has_ratio else None,
        "low": tried.low if has_ratio else None,
        "high": tried.high if has_ratio else None,
        **{name: getattr(judged, name) if judged and judged.calls else None for name in FIGURES},
    }


def ratio_text(tried: Tried) -> str:
    """`1.84 [1.70–1.99]`: latency over that of the arm it was compared with."""
    if not tried.ratio or not tried.against:
        return ""
    return interval_text(Estimate(tried.ratio, tried.low, tried.high))


def lines(session: Session) -> list[str]:
    """A table for the terminal; empty for a session without a search."""
    tried = session.search.tried()
    if not tried:
        return []
    width = max(len("configuration"), *(len(item.label) for item in tried))
    found = [f"{'configuration':<{width}}  {'p50 ms':>9}  {'over its leader':<18}  state"]
    for item in tried:
        judged = item.judged
        p50 = f"{judged.p50_ns / 1e6:.4g}" if judged and judged.calls else ""
        state = item.state.value
        told = state if not item.reason or item.ratio else f"{state}: {item.reason}"
        found.append(f"{item.label:<{width}}  {p50:>9}  {ratio_text(item):<18}  {told}")
    names = ", ".join(FAMILY_NAMES[family] for family in session.search.families())
    return [f"configurations of {names} that were tried:", *found, ""]
