"""The database that a session file is: opened and locked in, its version, an older one migrated."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import duckdb

from profiler import session_schema
from profiler.errors import SessionFileError

# A view in a stranger's file is a program, which could read other files and fetch extensions.
LOCKED_IN: dict[str, Any] = {"enable_external_access": False}


def opened(path: Path) -> duckdb.DuckDBPyConnection:
    """To be read. Raises SessionFileError."""
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


def created(path: Path, kind: str) -> duckdb.DuckDBPyConnection:
    """A new file with its tables. Raises SessionFileError where there is one, or can be none."""
    if path.exists():
        raise SessionFileError(f"{path} exists already.", "Choose another name.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = duckdb.connect(str(path))
    except (OSError, duckdb.Error) as error:
        raise SessionFileError(
            f"{path} can't be written: {error}", "Choose another folder."
        ) from error
    database.execute(session_schema.CREATE)
    database.execute(
        "INSERT INTO meta VALUES ('format', ?), ('version', ?)",
        [f"dualscope {kind}", str(session_schema.VERSION)],
    )
    return database


def reopened(path: Path) -> tuple[duckdb.DuckDBPyConnection, int]:
    """The file to write to, brought to the present version, and the number of its next event."""
    with contextlib.closing(opened(path)) as database:
        version = version_of(database, path)
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


def version_of(database: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Raises SessionFileError for a database that is no session, or a newer one."""
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


def migrated(path: Path, version: int) -> duckdb.DuckDBPyConnection:
    """A copy of the tables in memory, brought to the present version step by step."""
    copy = duckdb.connect()
    copy.execute(f"ATTACH {_quoted(path)} AS older (READ_ONLY)")
    _lock_in(copy)
    copy.execute("COPY FROM DATABASE older TO memory")
    copy.execute("DETACH older")
    for step in range(version, session_schema.VERSION):
        copy.execute(session_schema.MIGRATIONS[step])
    return copy


def damaged(path: Path, reason: object) -> SessionFileError:
    """To be raised."""
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
    opened(source).close()
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
