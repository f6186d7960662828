"""The session file: everything comes back, also after the writer's death, and errors are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any, cast

import duckdb
import msgspec
import pytest

from profiler import session_schema
from profiler.errors import SessionFileError
from profiler.session_database import copy_session
from profiler.session_file import read_session
from profiler.session_writer import SessionWriter
from profiler.types import (
    AnyEvent,
    Event,
    LogLine,
    OpTiming,
    OpTimings,
    OutputsCompared,
    Round,
    ValuesCompared,
)
from tests.sample_search import search_events
from tests.sample_session import sample_events, sample_plan, session_of

ROOT = Path(__file__).parents[2]


def write(path: Path, events: list[Event]) -> Path:
    with SessionWriter(path) as writer:
        for event in events:
            writer.append(event)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.dualscope"


def test_the_sample_has_every_kind_of_event() -> None:
    samples = [*sample_events(), *search_events()]
    assert {type(event) for event in samples} == set(typing.get_args(AnyEvent))


def test_every_event_comes_back(path: Path) -> None:
    expected = session_of(sample_events())
    assert read_session(write(path, sample_events())) == expected
    # Not only equal: what is derived from it is the same, too.
    found = read_session(path)
    assert found.verdict() == expected.verdict()
    assert found.operators("fast") == expected.operators("fast")
    assert [type(event) for event in found.telemetry] == [type(e) for e in expected.telemetry]


def test_events_keep_their_order_across_tables(path: Path) -> None:
    logs: list[Event] = [
        LogLine(time_ns=n, label="a", level="info", text=str(n)) for n in range(50)
    ]
    events = sample_events()
    mixed = [e for pair in zip(logs, [*events] * 2, strict=False) for e in pair]
    assert read_session(write(path, mixed)) == session_of(mixed)


def test_not_a_number_comes_back(path: Path) -> None:
    events = sample_events()
    (compared,) = [e for e in events if isinstance(e, OutputsCompared)]
    broken = msgspec.structs.replace(
        compared.differences[0], cosine=float("nan"), max_rel=-float("inf")
    )
    write(path, [msgspec.structs.replace(compared, differences=(broken,))])
    (found,) = read_session(path).outputs
    assert found.differences[0].cosine != found.differences[0].cosine
    assert found.differences[0].max_rel == -float("inf")


@pytest.mark.parametrize(
    "name", ["ünïcode/名前", "tab\tname", "'; DROP TABLE events; --", "nul\x00name", "", "\r\n"]
)
def test_foreign_names_come_back(path: Path, name: str) -> None:
    events = sample_events(base=name or "base", operator=name)
    assert read_session(write(path, events)) == session_of(events)


def test_any_source_nodes_come_back(path: Path) -> None:
    nodes = [("a\nb", "c"), ("",), ("", ""), ("a\\nb",), (), ("plain",), ('["a"]',)]
    event = OpTimings(
        time_ns=1,
        label="a",
        round=0,
        iterations=1,
        traced_latencies_ns=(1,),
        ops=tuple(
            OpTiming(name="n", op_type="t", start_ns=0, duration_ns=1, source_nodes=names)
            for names in nodes
        ),
    )
    (found,) = read_session(write(path, [event])).traces["a"]
    assert [op.source_nodes for op in found.ops] == nodes


def test_a_large_trace_comes_back(path: Path) -> None:
    ops = tuple(
        OpTiming(
            name=f"node_{n % 700}",
            op_type="Add",
            start_ns=n,
            duration_ns=n % 97,
            source_nodes=(f"value_{n % 700}",),
            iteration=n % 3,
        )
        for n in range(100_000)
    )
    event = OpTimings(
        time_ns=1, label="a", round=0, iterations=3, traced_latencies_ns=(1, 2, 3), ops=ops
    )
    (found,) = read_session(write(path, [event])).traces["a"]
    assert found == event


def test_an_empty_session_opens(path: Path) -> None:
    assert read_session(write(path, [])) == session_of([])


def test_the_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.dualscope"
    assert read_session(write(path, sample_events())).finished is not None


def test_a_plan_alone_comes_back(path: Path) -> None:
    session = read_session(write(path, sample_events()[:1]))
    assert session.plan == sample_plan()
    assert session.finished is None


WRITES_THEN_WAITS = """
import sys, time
from pathlib import Path
from profiler.session_writer import SessionWriter
from tests.sample_session import sample_events
writer = SessionWriter(Path(sys.argv[1]))
for event in sample_events()[:-1]:
    writer.append(event)
print("flushed", flush=True)
time.sleep(60)
"""


def start_writer(path: Path) -> subprocess.Popen[str]:
    """A process that has written all but the last event, and goes on."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_THEN_WAITS, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "flushed\n"
    return process


def test_a_killed_writer_leaves_what_was_flushed(path: Path) -> None:
    process = start_writer(path)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert read_session(path) == session_of(sample_events()[:-1])
    # Reading it does not change it: it opens again.
    assert read_session(path).finished is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows words it differently")
def test_a_file_that_is_being_written_says_so(path: Path) -> None:
    process = start_writer(path)
    try:
        with pytest.raises(SessionFileError, match="being written by another run"):
            read_session(path)
    finally:
        process.kill()
        process.communicate()


def test_an_existing_file_is_not_overwritten(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(SessionFileError, match="exists already"):
        SessionWriter(path)
    assert path.read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SessionFileError, match="can't be written"):
        SessionWriter(tmp_path / "file" / "a.dualscope")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + b"\x00" * 60, os.urandom(9000)])
def test_something_else_is_no_session(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SessionFileError, match="no Dualscope session"):
        read_session(path)
    assert path.read_bytes() == content


def test_a_directory_and_a_missing_file_are_told(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "gone.dualscope"):
        with pytest.raises(SessionFileError, match="is no file") as caught:
            read_session(place)
        assert caught.value.exit_code == 8


def test_another_duckdb_database_is_no_session(path: Path) -> None:
    with duckdb.connect(str(path)) as database:
        database.execute("CREATE TABLE birds (name VARCHAR)")
    with pytest.raises(SessionFileError, match="no Dualscope session"):
        read_session(path)


def test_a_killed_writer_has_written_what_seldom_happens(path: Path) -> None:
    """Frequent events wait a second for their turn; a lane that is ready doesn't."""
    process = start_writer(path)
    process.kill()
    process.communicate()
    assert set(read_session(path).ready) == {"base", "fast"}


def test_a_copy_of_what_a_killed_writer_left_is_whole(path: Path, tmp_path: Path) -> None:
    process = start_writer(path)
    process.kill()
    process.communicate()
    wal = path.with_name(f"{path.name}.wal")
    before = path.read_bytes(), wal.read_bytes()
    target = tmp_path / "it's a copy.dualscope"
    target.write_text("older")
    # A log of the file that was there before must not be taken for the copy's.
    target.with_name(f"{target.name}.wal").write_bytes(before[1])
    copy_session(path, target)
    assert (path.read_bytes(), wal.read_bytes()) == before
    path.unlink()
    wal.unlink()
    assert read_session(target) == session_of(sample_events()[:-1])
    assert list(tmp_path.iterdir()) == [target]


def test_a_copy_that_fails_leaves_the_target_as_it_was(path: Path, tmp_path: Path) -> None:
    path.write_text("no session")
    target = tmp_path / "b.dualscope"
    target.write_text("precious")
    with pytest.raises(SessionFileError, match="no Dualscope session"):
        copy_session(path, target)
    assert target.read_text() == "precious"
    with pytest.raises(SessionFileError, match="can't be written"):
        copy_session(write(tmp_path / "c.dualscope", sample_events()), tmp_path / "none" / "d")


def test_a_file_of_the_first_version_is_migrated(path: Path) -> None:
    expected = session_of(
        msgspec.structs.replace(
            event, launch=0, steal_share=0.0, minor_page_faults=0, major_page_faults=0
        )
        if isinstance(event, Round)
        else msgspec.structs.replace(event, foreign_cpu_share=0.0, steal_share=0.0)
        if isinstance(event, OpTimings)
        else event
        for event in sample_events()
    )
    write(path, sample_events())
    take_back_to_the_first_version(path)
    before = path.read_bytes()
    assert read_session(path) == expected
    assert path.read_bytes() == before


@pytest.mark.parametrize("old", [False, True])
def test_what_is_found_later_is_added(path: Path, old: bool) -> None:
    """To a file of an older version, too, which is brought to the present one."""
    events = sample_events()
    later = next(event for event in events if isinstance(event, ValuesCompared))
    write(path, [event for event in events if event is not later])
    assert read_session(path).values == {}
    if old:
        take_back_to_the_first_version(path)
    with SessionWriter(path, more=True) as writer:
        writer.append(later)
    found = read_session(path)
    assert list(found.values.values()) == [later]
    assert found.finished is not None


def test_nothing_is_added_to_what_is_no_session(path: Path) -> None:
    with pytest.raises(SessionFileError, match="no file"):
        SessionWriter(path, more=True)
    assert not path.exists()


def test_every_version_has_a_migration() -> None:
    assert set(session_schema.MIGRATIONS) == set(range(1, session_schema.VERSION))


def take_back_to_the_first_version(path: Path) -> None:
    added = ("launch", "steal_share", "minor_page_faults", "major_page_faults", "duration_ns")
    for column in added:
        change(path, f"ALTER TABLE rounds DROP COLUMN {column}")
    for column in ("foreign_cpu_share", "steal_share"):
        change(path, f"ALTER TABLE traces DROP COLUMN {column}")
    for column in ("input_bytes", "weights_bytes", "output_bytes", "threads", "wait_ns", '"inner"'):
        change(path, f"ALTER TABLE op_timings DROP COLUMN {column}")
    change(path, "UPDATE meta SET value = '1' WHERE key = 'version'")


def change(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as database:
        database.execute(statement)


def test_a_database_without_a_version_is_no_session(path: Path) -> None:
    write(path, sample_events())
    change(path, "DELETE FROM meta WHERE key = 'version'")
    with pytest.raises(SessionFileError, match="no Dualscope session"):
        read_session(path)


class Full:
    """A connection on which nothing can be committed: the disk is full."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self._database = database

    def execute(self, statement: str, *more: Any) -> Any:
        if statement == "COMMIT":
            raise duckdb.IOException("no space left on device")
        return self._database.execute(statement, *more)

    def close(self) -> None:
        self._database.close()


def test_a_full_disk_says_so_and_nothing_else(path: Path) -> None:
    with (
        pytest.raises(SessionFileError, match="no space left on device"),
        SessionWriter(path) as writer,
    ):
        writer.append(sample_events()[0])
        writer._db = cast(Any, Full(writer._db))
        writer.append(sample_events()[-1])
    assert read_session(path).plan == sample_plan()


def test_a_newer_version_is_told(path: Path) -> None:
    write(path, sample_events())
    change(path, f"UPDATE meta SET value = '{session_schema.VERSION + 1}' WHERE key = 'version'")
    with pytest.raises(SessionFileError, match="newer Dualscope") as caught:
        read_session(path)
    assert "Update" in caught.value.hint


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET content = '{}'",
        "UPDATE events SET content = 'no json'",
        "UPDATE rounds SET kind = 'sprint'",
        "UPDATE telemetry SET gpus = '[1]'",
        "UPDATE rounds SET label = 'stranger'",
        "UPDATE meta SET value = 'first' WHERE key = 'version'",
        "DROP TABLE rounds",
    ],
)
def test_a_damaged_session_is_told(path: Path, statement: str) -> None:
    write(path, sample_events())
    change(path, statement)
    with pytest.raises(SessionFileError, match="damaged"):
        read_session(path)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("table", ["meta", "telemetry"])
def test_a_session_reads_no_other_file(path: Path, table: str, old: bool) -> None:
    """A view in the place of a table is a program: it would read what it likes, here."""
    write(path, sample_events())
    if old:
        take_back_to_the_first_version(path)
    secret = path.with_name("secret.csv")
    secret.write_text("theirs")
    change(path, f"ALTER TABLE {table} RENAME TO hidden")
    change(path, f"CREATE VIEW {table} AS SELECT h.* FROM hidden h, read_text('{secret}')")
    with pytest.raises(SessionFileError, match="disabled by configuration"):
        read_session(path)


def test_a_truncated_session_is_told(path: Path) -> None:
    write(path, sample_events())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SessionFileError):
        read_session(path)
