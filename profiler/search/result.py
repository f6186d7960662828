"""What came out of a search: each engine's leader, its gain, and the winner. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from profiler.compare import MIN_ROUNDS, compare_rounds, comparison_sentence, counted
from profiler.intervals import ends_text, value_text
from profiler.search.space import FAMILY_NAMES, family_of, lane_text, leader_label
from profiler.types import Comparison, EngineSpec, Verdict

if TYPE_CHECKING:
    from profiler.session import Session


class Found(Struct, frozen=True, kw_only=True):
    """The outcome for one family of engines.

    `leader` is a configuration's label, "" when there is none; `lane` the leader's label in the
    confirmation, and `default_lane` the default's. `gain`: of the leader over the default, as the
    confirmation measured it; None where it did not, or where the default leads. `best_lane`: of the
    two the one to use, "" when neither may be. `problem`: why the leader may not be used after all.
    """

    family: str
    leader: str
    spec: EngineSpec | None
    tried: int
    lane: str = ""
    default_lane: str = ""
    gain: Comparison | None = None
    best_lane: str = ""
    problem: str = ""


def found_by(session: Session) -> tuple[Found, ...]:
    """One a family that was searched, or, for want of time, whose default alone was measured;
    empty for a session without a search.
    """
    families = session.search.families()
    if session.search.plan is not None and session.plan is not None:
        families += [family_of(spec.engine) for spec in session.plan.engines]
    return tuple(_found(session, family) for family in dict.fromkeys(families))


def winner(session: Session) -> EngineSpec | None:
    """The fastest lane of the confirmation that may be used, by paired rounds; None without one."""
    lanes = _best_lanes(session)
    if len(lanes) < 2:
        return session.spec(lanes[0]) if lanes else None
    comparison = _compared(session, *lanes, comparisons=1)
    second = comparison is not None and comparison.speedup > 1
    return session.spec(lanes[1] if second else lanes[0])


def _best_lanes(session: Session) -> list[str]:
    """Each family's, where it has one that may be used."""
    return [found.best_lane for found in found_by(session) if found.best_lane]


def sentences(session: Session) -> list[str]:
    """The outcome in words, an entry a sentence; empty for a session without a search."""
    found = found_by(session)
    told = [_sentence(item) for item in found]
    lanes = _best_lanes(session)
    if len(lanes) > 1:
        comparison = _compared(session, *lanes, comparisons=1)
        names = [lane_text(session.spec(lane)) for lane in lanes]
        if comparison is not None:
            told.append(comparison_sentence(comparison, *names))
    if found and session.finished is not None and session.plan is None:
        told.append("The search was stopped before these leaders were confirmed")
    return told


def _found(session: Session, family: str) -> Found:
    record = session.search
    label = record.leader(family)
    tried = [t for t in record.tried() if t.family == family]
    ran = sum(t.judged is not None and t.judged.calls > 0 for t in tried)
    spec = next((t.spec for t in tried if t.label == label), None)
    default = next((t.spec for t in tried if t.axis == "default"), None)
    if not tried and session.plan is not None:
        # No race was begun: the default is the one lane that it has in the confirmation.
        default = spec = next(e for e in session.plan.engines if family_of(e.engine) == family)
        label = default.label
    if spec is None or default is None or session.plan is None:
        return Found(family=family, leader=label, spec=spec, tried=ran)
    lane = leader_label(family) if leader_label(family) in session.labels() else default.label
    gain = None
    if lane != default.label:
        count = len(record.families())
        gain = _compared(session, default.label, lane, comparisons=count)
    problem = lane_problem(session, lane)
    slower = gain is not None and gain.verdict is Verdict.SLOWER
    usable = [] if problem or slower or not session.medians.get(lane) else [lane]
    if session.medians.get(default.label) and not lane_problem(session, default.label):
        usable.append(default.label)
    return Found(
        family=family,
        leader=label,
        spec=spec,
        tried=ran,
        lane=lane,
        default_lane=default.label,
        gain=gain,
        best_lane=usable[0] if usable else "",
        problem=problem,
    )


def lane_problem(session: Session, lane: str) -> str:
    """Why a lane of the confirmation may not be used, in words; "" when nothing speaks against."""
    plan = session.search.plan
    if lane in session.failures:
        return f"it failed: {session.failures[lane].message}"
    if any(o.candidate == lane and not o.agree for o in session.outputs):
        return "its outputs are past tolerance"
    peak, stats = session.peak_memory_bytes(lane), session.latency_stats(lane)
    limit = plan.max_memory_bytes if plan else None
    if limit is not None and peak is not None and peak > limit:
        return f"it took {peak / 2**20:.0f} MiB, over the limit"
    p99 = plan.max_p99_ns if plan else None
    if p99 is not None and stats is not None and stats.p99_ns > p99:
        return f"its p99 was {stats.p99_ns / 1e6:.3g} ms, over the limit"
    return ""


def _compared(session: Session, base: str, other: str, *, comparisons: int) -> Comparison | None:
    lanes: Mapping[str, Mapping[int, float]] = session.medians
    return compare_rounds(
        (base, lanes.get(base, {})),
        (other, lanes.get(other, {})),
        set_aside=session.set_aside(),
        launches=session.launches,
        comparisons=comparisons,
    )


def _sentence(found: Found) -> str:
    name, count = FAMILY_NAMES[found.family], counted(found.tried, "configuration")
    if found.spec is None:
        return f"{name}: none of its configurations could be chosen ({count} ran)"
    if found.problem:
        return f"{name}: the leader of the races, {found.leader}, can't be used: {found.problem}"
    if not found.lane:
        return f"{name}: {found.leader} leads after {count}, not confirmed yet"
    if not found.tried and found.lane:
        return f"{name}: only the default was measured, no other configuration was tried"
    if found.lane == found.default_lane:
        return f"{name}: the default is the best of {count} that ran"
    return f"{name}: {_gain(found)} ({count} ran)"


def _gain(found: Found) -> str:
    gain = found.gain
    if gain is None:
        return f"{found.leader} leads, not confirmed yet"
    if gain.rounds < MIN_ROUNDS:
        rounds = counted(gain.rounds, "round")
        return f"{found.leader} leads; its gain isn't settled after {rounds}, give it more time"
    ratio, interval = value_text(gain.estimate), f"[{ends_text(gain.estimate)}]"
    match gain.verdict:
        case Verdict.FASTER:
            return f"{found.leader} is {ratio}× faster than the default {interval}"
        case Verdict.SAME:
            return f"{found.leader} led, and is as fast as the default {interval}: keep the default"
        case Verdict.SLOWER:
            return (
                f"{found.leader} led, but new processes of it are slower than the default's "
                f"{interval}: keep the default"
            )
        case Verdict.UNRESOLVED:
            return f"{found.leader} leads; its gain over the default is unresolved {interval}"
