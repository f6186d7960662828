"""The file of a sweep: a session file whose events are those of many runs, point after point.

Its tables are a session's; `seq` counts over all points. Table `points` says which are whose:

    SELECT points.values, label, median(latency) / 1e6 AS p50_ms
    FROM (SELECT seq, label, unnest(latencies_ns) AS latency FROM rounds WHERE kind = 'timed')
    JOIN points ON seq BETWEEN first_seq AND last_seq GROUP BY ALL;
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from profiler.errors import SessionFileError
from profiler.session import Session
from profiler.session_file import kind_of, read_events, session_of
from profiler.session_schema import SWEEP
from profiler.session_writer import SessionWriter
from profiler.sweep.points import points
from profiler.sweep.state import Sweep
from profiler.types import Event, PointFinished, PointStarted, SweepStarted

CREATE = """
CREATE TABLE points (
    index INTEGER, values JSON, state VARCHAR, reason VARCHAR, first_seq BIGINT, last_seq BIGINT
);
"""


class SweepWriter(SessionWriter):
    """Appends a sweep's events; with `resume` to a file that has some. Context manager.

    Raises SessionFileError.
    """

    kind = SWEEP

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self._first_seq = 0
        self._values: dict[int, str] = {}
        if resume and kind_of(path) != SWEEP:
            raise SessionFileError(f"{path.name} is no sweep.", "Resume a sweep's file.")
        super().__init__(path, more=resume)
        if not resume:
            self._db.execute(CREATE)

    def _insert(self, seq: int, event: Event) -> None:
        super()._insert(seq, event)
        match event:
            case SweepStarted():
                found = points(event.plan.axes)
                self._values = {
                    point.index: json.dumps(
                        dict(zip((a.name for a in event.plan.axes), point.values, strict=True))
                    )
                    for point in found
                }
            case PointStarted():
                self._first_seq = seq
            case PointFinished(index=index):
                # One that was stopped before is measured anew.
                self._db.execute("DELETE FROM points WHERE index = ?", [index])
                values = self._values[index]
                state = event.state.value
                self._row("points", index, values, state, event.reason, self._first_seq, seq)


def read_sweep(path: Path) -> Sweep:
    """The sweep as it was, without operators and graphs. Raises SessionFileError."""
    if kind_of(path) != SWEEP:
        raise SessionFileError(f"{path.name} is a session, no sweep.", "Open it as a session.")
    sweep = Sweep()
    try:
        for _, event in read_events(path, traces=False):
            sweep.apply(event)
    except KeyError as error:
        raise SessionFileError(
            f"{path.name} is damaged: it names {error}, which its plan doesn't have.",
            "What an older copy of it holds may still open.",
        ) from error
    return sweep


def read_point(path: Path, index: int) -> Session:
    """One point's run with all that was recorded of it. Raises SessionFileError."""
    first, last = None, None
    for seq, event in read_events(path, traces=False):
        if isinstance(event, PointStarted) and event.index == index:
            first, last = seq, None
        elif first is not None and last is None and isinstance(event, ENDS):
            last = seq
    if first is None:
        raise SessionFileError(f"{path.name} has no point {index}.", "It wasn't measured yet.")
    found = read_events(path, first=first, last=last)
    return session_of(_without_marks(found), path)


ENDS = (PointStarted, PointFinished, SweepStarted)


def _without_marks(numbered: list[tuple[int, Event]]) -> Iterator[tuple[int, Event]]:
    return ((seq, event) for seq, event in numbered if not isinstance(event, ENDS))
