"""The session file: a DuckDB database, written while the run goes on."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import duckdb
import msgspec
import numpy as np

from profiler import session_schema
from profiler.consent import untrusted, without_consent
from profiler.errors import SessionFileError
from profiler.session import Session
from profiler.types import (
    AnySweepEvent,
    Event,
    Generated,
    GpuSample,
    LogLine,
    OpTiming,
    OpTimings,
    Progress,
    Round,
    RunStarted,
    SearchStarted,
    SweepStarted,
    TelemetrySample,
)

SUFFIX = ".dualscope"
# What a file holds, as its `format` says.
SESSION, SWEEP = "session", "sweep"
FLUSH_INTERVAL_S = 1.0
# No file has so many events.
LAST = 2**62
# These wait for the next flush; all others, such as a lane that is ready, are written at once.
FREQUENT = (Round, Generated, TelemetrySample, LogLine)
# A view in a stranger's file is a program, which could read other files and fetch extensions.
LOCKED_IN: dict[str, Any] = {"enable_external_access": False}
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
            self._db, self._seq = _reopened(path)
        else:
            self._db = self._created()

    def _created(self) -> duckdb.DuckDBPyConnection:
        """A new file with its tables."""
        if self.path.exists():
            raise SessionFileError(f"{self.path} exists already.", "Choose another name.")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            database = duckdb.connect(str(self.path))
        except (OSError, duckdb.Error) as error:
            raise SessionFileError(
                f"{self.path} can't be written: {error}", "Choose another folder."
            ) from error
        database.execute(session_schema.CREATE)
        database.execute(
            "INSERT INTO meta VALUES ('format', ?), ('version', ?)",
            [f"dualscope {self.kind}", str(session_schema.VERSION)],
        )
        return database

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        for name in COLUMNS:
            values = [getattr(op, name) for op in ops]
            if name == "source_nodes":
                values = [msgspec.json.encode(nodes).decode() for nodes in values]
            kind: Any = object if name in TEXT_FIELDS else np.int64
            columns[name] = np.array(values, dtype=kind)
        self._db.register("new_ops", columns)
        self._db.execute(
            f"INSERT INTO op_timings SELECT trace_seq, {', '.join(COLUMNS)}, {inner} FROM new_ops"
        )
        self._db.unregister("new_ops")


COLUMNS = (
    "name",
    "op_type",
    "start_ns",
    "duration_ns",
    "source_nodes",
    "device",
    "scope",
    "iteration",
    "thread",
    "shapes",
    "provider",
    "input_bytes",
    "weights_bytes",
    "output_bytes",
    "threads",
    "wait_ns",
)


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
    database = _open(path)
    try:
        _version(database, path)
        row = database.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    except (duckdb.Error, ValueError) as error:
        raise _damaged(path, error) from error
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
        raise _damaged(path, f"it names {error}, which its plan doesn't have") from error
    return session


def read_events(
    path: Path, *, first: int = 0, last: int | None = None, traces: bool = True
) -> list[tuple[int, Event]]:
    """Events with their numbers, from `first` to `last`, in order; no consent is taken from a file.

    Without `traces`: neither operators nor graphs. Raises SessionFileError.
    """
    database = _open(path)
    part = f"seq BETWEEN {int(first)} AND {LAST if last is None else int(last)}"
    try:
        version = _version(database, path)
        if version < session_schema.VERSION:
            database.close()
            database = _migrated(path, version)
        numbered = [
            *_events(database, part if traces else f"{part} AND type <> 'GraphDescribed'"),
            *_rounds(database, part),
            *(_traces(database, part) if traces else ()),
            *_telemetry(database, part),
        ]
    except (duckdb.Error, ValueError) as error:
        raise _damaged(path, error) from error
    finally:
        database.close()
    ordered = sorted(numbered, key=lambda item: item[0])
    return [(seq, _without_consent(event)) for seq, event in ordered]


def _damaged(path: Path, reason: object) -> SessionFileError:
    return SessionFileError(
        f"{path.name} is damaged: {reason}.", "What an older copy of it holds may still open."
    )


def copy_session(source: Path, target: Path) -> None:
    """Write a session whole into one file, which replaces `target`. The source isn't changed.

    What a killed writer left lies in the `.wal` beside the source; the copy has it inside.
    Raises SessionFileError; then `target` is as it was.
    """
    if target.exists() and target.samefile(source):
        return
    _open(source).close()
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".dualscope-") as folder:
            draft = Path(folder) / target.name
            with duckdb.connect() as database:
                database.execute(f"ATTACH {_quoted(source)} AS source (READ_ONLY)")
                database.execute(f"ATTACH {_quoted(draft)} AS draft")
                _lock_in(database)
                database.execute("COPY FROM DATABASE source TO draft")
                database.execute("CHECKPOINT draft")
            # That of a file which is replaced would be taken for the new one's.
            target.with_name(f"{target.name}.wal").unlink(missing_ok=True)
            draft.replace(target)
    except (OSError, duckdb.Error) as error:
        raise SessionFileError(
            f"{target} can't be written: {error}", "Choose another folder."
        ) from error


def _lock_in(database: duckdb.DuckDBPyConnection) -> None:
    for setting, value in LOCKED_IN.items():
        database.execute(f"SET {setting} = {value}")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


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


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    if not path.is_file():
        raise SessionFileError(f"{path} is no file.", "It may have been moved or deleted.")
    try:
        return duckdb.connect(str(path), read_only=True, config=LOCKED_IN)
    except duckdb.Error as error:
        text = str(error).lower()
        # The second is DuckDB's word for a file that this same process is writing.
        if "lock" in text or "different configuration" in text:
            raise SessionFileError(
                f"{path.name} is being written by another run.", "Wait until that run has ended."
            ) from error
        raise SessionFileError(
            f"{path.name} is no Dualscope session.", "A session's file ends in .dualscope."
        ) from error


def _version(database: duckdb.DuckDBPyConnection, path: Path) -> int:
    try:
        meta = dict(database.execute("SELECT key, value FROM meta").fetchall())
    except duckdb.CatalogException as error:
        raise SessionFileError(
            f"{path.name} is a DuckDB database, but no Dualscope session.", "Choose another file."
        ) from error
    version = int(meta.get("version", 0))
    if version < 1:
        raise SessionFileError(
            f"{path.name} is a DuckDB database, but no Dualscope session.", "Choose another file."
        )
    if version > session_schema.VERSION:
        raise SessionFileError(
            f"{path.name} was written by a newer Dualscope (format {version}).",
            "Update Dualscope to open it.",
        )
    return version


def _reopened(path: Path) -> tuple[duckdb.DuckDBPyConnection, int]:
    """The file to write to, brought to the present version, and the number of its next event."""
    with contextlib.closing(_open(path)) as database:
        version = _version(database, path)
    try:
        database = duckdb.connect(str(path), config=LOCKED_IN)
        for step in range(version, session_schema.VERSION):
            database.execute(session_schema.MIGRATIONS[step])
        database.execute(
            "UPDATE meta SET value = ? WHERE key = 'version'", [str(session_schema.VERSION)]
        )
        tables = " UNION ALL ".join(
            f"SELECT max(seq) AS seq FROM {name}"
            for name in ("events", "rounds", "traces", "telemetry")
        )
        last = database.execute(f"SELECT max(seq) FROM ({tables})").fetchone()
    except duckdb.Error as error:
        raise SessionFileError(
            f"{path} can't be written: {error}", "Copy it to a folder of yours."
        ) from error
    return database, (last[0] if last and last[0] is not None else -1) + 1


def _migrated(path: Path, version: int) -> duckdb.DuckDBPyConnection:
    """A copy of the tables in memory, brought to the present version step by step."""
    copy = duckdb.connect()
    copy.execute(f"ATTACH {_quoted(path)} AS older (READ_ONLY)")
    _lock_in(copy)
    copy.execute("COPY FROM DATABASE older TO memory")
    copy.execute("DETACH older")
    for step in range(version, session_schema.VERSION):
        copy.execute(session_schema.MIGRATIONS[step])
    return copy


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
        f'SELECT trace_seq, "inner", {", ".join(COLUMNS)} FROM op_timings '
        f"WHERE {part.replace('seq', 'trace_seq')} ORDER BY rowid"
    )
    for seq, inner, *values in rows.fetchall():
        named = dict(zip(COLUMNS, values, strict=True))
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
