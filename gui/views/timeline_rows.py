"""Operators on a time axis: rows of lanes and threads, and what of them a frame has to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profiler.session import Session
from profiler.types import OpTiming, OpTimings

Times = NDArray[np.int64]


@dataclass(frozen=True)
class Row:
    """One thread of a lane. Operators are sorted by their start; `ops` are the same, in order."""

    label: str
    thread: int
    starts_ns: Times
    ends_ns: Times
    ops: Sequence[OpTiming]

    def at(self, time_ns: float) -> int | None:
        """Index of the operator that runs at this time."""
        index = int(np.searchsorted(self.starts_ns, time_ns, side="right")) - 1
        return index if index >= 0 and self.ends_ns[index] >= time_ns else None

    def visible(self, start_ns: float, end_ns: float) -> tuple[int, int]:
        """First and one past the last operator that shows between two times."""
        first = int(np.searchsorted(self.ends_ns, start_ns, side="left"))
        return first, int(np.searchsorted(self.starts_ns, end_ns, side="right"))


def rows_of(session: Session) -> list[Row]:
    """The last traced round of each lane that counts, its iterations one after the other."""
    found = []
    for label in session.labels():
        traces = session.used_traces(label)
        if traces:
            found += _rows(label, traces[-1])
    return found


def _rows(label: str, trace: OpTimings) -> list[Row]:
    offsets = np.concatenate([[0], np.cumsum(trace.traced_latencies_ns)]).astype(np.int64)
    by_thread: dict[int, list[OpTiming]] = {}
    for op in trace.ops:
        if op.iteration < len(trace.traced_latencies_ns):
            by_thread.setdefault(op.thread, []).append(op)
    return [
        row_of(label, thread, ops, [int(offsets[op.iteration]) + op.start_ns for op in ops])
        for thread, ops in sorted(by_thread.items())
    ]


def row_of(label: str, thread: int, ops: Sequence[OpTiming], starts: Sequence[int]) -> Row:
    """Sorted by start. Ends never run backwards, so that both can be searched."""
    order = np.argsort(np.asarray(starts, dtype=np.int64), kind="stable")
    starts_ns = np.asarray(starts, dtype=np.int64)[order]
    durations = np.array([op.duration_ns for op in ops], dtype=np.int64)[order]
    return Row(
        label,
        thread,
        starts_ns,
        np.maximum.accumulate(starts_ns + durations),
        [ops[int(index)] for index in order],
    )


def filled_pixels(row: Row, start_ns: float, end_ns: float, width: int) -> list[tuple[int, int]]:
    """Where operators are too dense to draw one by one: runs of pixels (first, past the last)."""
    edges = np.linspace(start_ns, end_ns, width + 1)
    # Something runs in a pixel where more operators began before its end than ended before it.
    begun = np.searchsorted(row.starts_ns, edges[1:], side="left")
    over = np.searchsorted(row.ends_ns, edges[:-1], side="right")
    filled = np.concatenate([[0], begun > over, [0]]).astype(np.int8)
    changes = np.flatnonzero(np.diff(filled))
    return [(int(a), int(b)) for a, b in zip(changes[::2], changes[1::2], strict=True)]
