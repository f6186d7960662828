"""Writes a session's events to its file while the run goes on."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any, ClassVar, Self

import duckdb
import msgspec
import numpy as np

from profiler.errors import SessionFileError
from profiler.session_database import created, reopened
from profiler.session_schema import OP_COLUMNS, SESSION
from profiler.types import (
    Event,
    Generated,
    LogLine,
    OpTiming,
    OpTimings,
    Progress,
    Round,
    TelemetrySample,
)

FLUSH_INTERVAL_S = 1.0
# These wait for the next flush; all others, such as a lane that is ready, are written at once.
FREQUENT = (Round, Generated, TelemetrySample, LogLine)
TEXT_FIELDS = {"name", "op_type", "source_nodes", "device", "scope", "shapes", "provider"}


class SessionWriter:
    """Appends events; what was flushed survives the death of the process. Context manager.

    With `more`, to a session that is there already; else raises SessionFileError when the file
    exists. Also raised when it can't be made.
    """

    kind: ClassVar[str] = SESSION

    def __init__(self, path: Path, *, more: bool = False) -> None:
        self.path = path
        self._pending: list[tuple[int, Event]] = []
        self._seq = 0
        self._flushed_at_s = time.monotonic()
        if more:
            self._db, self._seq = reopened(path)
        else:
            self._db = created(path, self.kind)

    def append(self, event: Event) -> None:
        """Take an event; it reaches the disk with the next flush. Progress is not kept."""
        if isinstance(event, Progress):
            return
        self._pending.append((self._seq, event))
        self._seq += 1
        late = time.monotonic() - self._flushed_at_s >= FLUSH_INTERVAL_S
        if late or not isinstance(event, FREQUENT):
            self.flush()

    def flush(self) -> None:
        """Write what is pending in one transaction. Raises SessionFileError (disk full)."""
        if not self._pending:
            return
        try:
            self._db.execute("BEGIN")
            for seq, event in self._pending:
                self._insert(seq, event)
            self._db.execute("COMMIT")
        except duckdb.Error as error:
            # What is pending can't be written at the end either.
            self._pending.clear()
            with contextlib.suppress(duckdb.Error):
                self._db.execute("ROLLBACK")
            raise SessionFileError(
                f"{self.path} can't be written: {error}", "The disk may be full."
            ) from error
        self._pending.clear()
        self._flushed_at_s = time.monotonic()

    def close(self) -> None:
        """Flush and close; the file is complete afterwards."""
        try:
            self.flush()
        finally:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _insert(self, seq: int, event: Event) -> None:
        match event:
            case Round():
                self._row(
                    "rounds",
                    seq,
                    event.time_ns,
                    event.label,
                    event.index,
                    event.kind.value,
                    event.started_ns,
                    event.foreign_cpu_share,
                    event.peak_rss_bytes,
                    list(event.latencies_ns),
                    event.launch,
                    event.steal_share,
                    event.minor_page_faults,
                    event.major_page_faults,
                    event.duration_ns,
                )
            case OpTimings():
                self._row(
                    "traces",
                    seq,
                    event.time_ns,
                    event.label,
                    event.round,
                    event.iterations,
                    list(event.traced_latencies_ns),
                    event.foreign_cpu_share,
                    event.steal_share,
                )
                self._insert_ops(seq, event.ops, inner=False)
                self._insert_ops(seq, event.inner, inner=True)
            case TelemetrySample():
                gpus = msgspec.json.encode(event.gpus).decode()
                self._row(
                    "telemetry",
                    seq,
                    event.time_ns,
                    event.cpu_pct,
                    event.memory_used_bytes,
                    event.memory_total_bytes,
                    event.cpu_freq_mhz,
                    gpus,
                )
            case _:
                # Python's JSON, unlike msgspec's, keeps infinity, NaN and lone surrogates.
                content = json.dumps(msgspec.to_builtins(event))
                label = getattr(event, "label", None)
                self._row("events", seq, type(event).__name__, event.time_ns, label, content)

    def _row(self, table: str, *values: Any) -> None:
        marks = ", ".join("?" * len(values))
        self._db.execute(f"INSERT INTO {table} VALUES ({marks})", list(values))

    def _insert_ops(self, seq: int, ops: tuple[OpTiming, ...], *, inner: bool) -> None:
        """By columns: row by row takes a hundred times as long."""
        if not ops:
            return
        columns: dict[str, Any] = {"trace_seq": np.full(len(ops), seq, dtype=np.int64)}
        for name in OP_COLUMNS:
            values = [getattr(op, name) for op in ops]
            if name == "source_nodes":
                values = [msgspec.json.encode(nodes).decode() for nodes in values]
            kind: Any = object if name in TEXT_FIELDS else np.int64
            columns[name] = np.array(values, dtype=kind)
        self._db.register("new_ops", columns)
        names = ", ".join(OP_COLUMNS)
        self._db.execute(f"INSERT INTO op_timings SELECT trace_seq, {names}, {inner} FROM new_ops")
        self._db.unregister("new_ops")
