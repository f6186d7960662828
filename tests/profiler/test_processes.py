"""The figures of a lane's processes: what counts, and in what order they come."""

from __future__ import annotations

from profiler.processes import Process, judged_processes, processes
from profiler.session import Session
from profiler.stats import LEAST_ROUNDS
from profiler.types import Round, RoundKind


def turn(
    index: int, *latencies_ns: int, launch: int = 0, kind: RoundKind = RoundKind.TIMED
) -> Round:
    """A turn with three page faults."""
    return Round(
        time_ns=0,
        label="one",
        index=index,
        kind=kind,
        started_ns=0,
        latencies_ns=latencies_ns,
        launch=launch,
        minor_page_faults=3,
    )


def test_only_timed_rounds_count() -> None:
    rounds = [
        turn(2, 40, launch=1),
        turn(0, 10, 20),
        turn(1, 30),
        turn(0, 1000, kind=RoundKind.WARMUP),
        turn(0, 1000, kind=RoundKind.TRACED),
    ]
    assert processes(rounds) == [
        Process(launch=0, rounds=2, p50_ns=20, faults=2),
        Process(launch=1, rounds=1, p50_ns=40, faults=3),
    ]


def test_a_process_with_few_rounds_is_not_judged() -> None:
    session = Session()
    for index in range(2 * LEAST_ROUNDS - 1):
        session.apply(turn(index, 10, launch=index // LEAST_ROUNDS))
    assert [process.launch for process in judged_processes(session, "one")] == [0]
    assert judged_processes(session, "other") == []
