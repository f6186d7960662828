"""The processes that measured a lane, one a launch: how long calls took, and page faults."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable

from msgspec import Struct

from profiler.measured import timed
from profiler.session import Session
from profiler.stats import LEAST_ROUNDS
from profiler.types import Round, RoundKind


class Process(Struct, frozen=True, kw_only=True):
    """A launch of a lane: its timed rounds, their p50 in ns, and minor page faults a call."""

    launch: int
    rounds: int
    p50_ns: float
    faults: float


def processes(rounds: Iterable[Round]) -> list[Process]:
    """A lane's launches, in order, by their timed rounds among these."""
    launches: defaultdict[int, list[Round]] = defaultdict(list)
    for turn in rounds:
        if turn.kind is RoundKind.TIMED:
            launches[turn.launch].append(turn)
    found = []
    for launch, turns in sorted(launches.items()):
        latencies = [value for turn in turns for value in turn.latencies_ns]
        found.append(
            Process(
                launch=launch,
                rounds=len(turns),
                p50_ns=statistics.median(latencies),
                faults=sum(turn.minor_page_faults for turn in turns) / len(latencies),
            )
        )
    return found


def judged_processes(session: Session, label: str) -> list[Process]:
    """Those that have enough rounds to tell; the session's rounds set aside are left out."""
    found = processes(timed(session, label))
    return [process for process in found if process.rounds >= LEAST_ROUNDS]
