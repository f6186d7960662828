"""Reads session files: DuckDB databases, which `session_writer` writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from profiler import session_schema
from profiler.consent import untrusted, without_consent
from profiler.errors import SessionFileError
from profiler.session import Session
from profiler.session_database import damaged, migrated, opened, version_of
from profiler.session_schema import OP_COLUMNS, SESSION, SUFFIX, SWEEP
from profiler.types import (
    AnySweepEvent,
    Event,
    GpuSample,
    OpTiming,
    OpTimings,
    Round,
    RunStarted,
    SearchStarted,
    SweepStarted,
    TelemetrySample,
)

# No file has so many events.
LAST = 2**62


def looks_like_session(path: Path) -> bool:
    """By its suffix or a DuckDB database's first bytes; `read_session` says whether it is one."""
    if path.suffix == SUFFIX:
        return True
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(12)[8:] == b"DUCK"
    except OSError:
        return False


def kind_of(path: Path) -> str:
    """SESSION or SWEEP. Raises SessionFileError for a file that is neither."""
    database = opened(path)
    try:
        version_of(database, path)
        row = database.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    except (duckdb.Error, ValueError) as error:
        raise damaged(path, error) from error
    finally:
        database.close()
    return SWEEP if row and row[0] == f"dualscope {SWEEP}" else SESSION


def read_session(path: Path) -> Session:
    """The session as it was. Raises SessionFileError for anything that isn't one.

    A file of an older version is migrated in memory; the file itself stays as it is.
    """
    if kind_of(path) == SWEEP:
        raise SessionFileError(
            f"{path.name} is a sweep: many runs, not one.",
            "Open it in the window, or print it with: dualscope info.",
        )
    return session_of(read_events(path), path)


def session_of(numbered: Iterable[tuple[int, Event]], path: Path) -> Session:
    """The session that these events make. Raises SessionFileError where they don't fit."""
    session = Session()
    try:
        for _, event in numbered:
            session.apply(event)
    except KeyError as error:
        raise damaged(path, f"it names {error}, which its plan doesn't have") from error
    return session


def read_events(
    path: Path, *, first: int = 0, last: int | None = None, traces: bool = True
) -> list[tuple[int, Event]]:
    """Events with their numbers, from `first` to `last`, in order; no consent is taken from a file.

    Without `traces`: neither operators nor graphs. Raises SessionFileError.
    """
    database = opened(path)
    part = f"seq BETWEEN {int(first)} AND {LAST if last is None else int(last)}"
    try:
        version = version_of(database, path)
        if version < session_schema.VERSION:
            database.close()
            database = migrated(path, version)
        numbered = [
            *_events(database, part if traces else f"{part} AND type <> 'GraphDescribed'"),
            *_rounds(database, part),
            *(_traces(database, part) if traces else ()),
            *_telemetry(database, part),
        ]
    except (duckdb.Error, ValueError) as error:
        raise damaged(path, error) from error
    finally:
        database.close()
    ordered = sorted(numbered, key=lambda item: item[0])
    return [(seq, _without_consent(event)) for seq, event in ordered]


def _without_consent(event: Event) -> Event:
    if isinstance(event, RunStarted):
        return msgspec.structs.replace(event, plan=without_consent(event.plan))
    if isinstance(event, SweepStarted):
        plan = msgspec.structs.replace(event.plan, plan=without_consent(event.plan.plan))
        return msgspec.structs.replace(event, plan=plan)
    if isinstance(event, SearchStarted):
        model = untrusted(event.plan.model)
        return msgspec.structs.replace(event, plan=msgspec.structs.replace(event.plan, model=model))
    return event


def _events(database: duckdb.DuckDBPyConnection, part: str) -> list[tuple[int, Event]]:
    rows = database.execute(f"SELECT seq, content FROM events WHERE {part}").fetchall()
    return [(seq, msgspec.convert(json.loads(content), AnySweepEvent)) for seq, content in rows]


def _rounds(database: duckdb.DuckDBPyConnection, part: str) -> list[tuple[int, Event]]:
    rows = database.execute(
        "SELECT seq, time_ns, label, index, kind, started_ns, foreign_cpu_share, peak_rss_bytes, "
        "latencies_ns, launch, steal_share, minor_page_faults, major_page_faults, duration_ns "
        f"FROM rounds WHERE {part}"
    )
    return [(seq, _struct(rows, Round, values)) for seq, *values in rows.fetchall()]


def _telemetry(database: duckdb.DuckDBPyConnection, part: str) -> list[tuple[int, Event]]:
    rows = database.execute(f"SELECT * FROM telemetry WHERE {part}").fetchall()
    return [
        (
            seq,
            TelemetrySample(
                time_ns=time_ns,
                cpu_pct=cpu_pct,
                memory_used_bytes=used,
                memory_total_bytes=total,
                cpu_freq_mhz=frequency,
                gpus=msgspec.json.decode(gpus, type=tuple[GpuSample, ...]),
            ),
        )
        for seq, time_ns, cpu_pct, used, total, frequency, gpus in rows
    ]


def _traces(database: duckdb.DuckDBPyConnection, part: str) -> list[tuple[int, Event]]:
    ops: dict[tuple[int, bool], list[OpTiming]] = {}
    nodes = msgspec.json.Decoder(tuple[str, ...])
    rows = database.execute(
        f'SELECT trace_seq, "inner", {", ".join(OP_COLUMNS)} FROM op_timings '
        f"WHERE {part.replace('seq', 'trace_seq')} ORDER BY rowid"
    )
    for seq, inner, *values in rows.fetchall():
        named = dict(zip(OP_COLUMNS, values, strict=True))
        named["source_nodes"] = nodes.decode(named["source_nodes"])
        ops.setdefault((seq, inner), []).append(OpTiming(**named))
    rows = database.execute(f"SELECT * FROM traces WHERE {part}")
    return [
        (
            seq,
            OpTimings(
                time_ns=time_ns,
                label=label,
                round=number,
                iterations=iterations,
                traced_latencies_ns=tuple(latencies),
                ops=tuple(ops.get((seq, False), ())),
                inner=tuple(ops.get((seq, True), ())),
                foreign_cpu_share=foreign,
                steal_share=steal,
            ),
        )
        for seq, time_ns, label, number, iterations, latencies, foreign, steal in rows.fetchall()
    ]


def _struct(rows: Any, kind: type[Round], values: list[Any]) -> Round:
    names = [column[0] for column in rows.description[1:]]
    return msgspec.convert(dict(zip(names, values, strict=True)), kind, strict=False)
