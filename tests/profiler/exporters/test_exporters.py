"""Formats are found by folder, and what stands in their way is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler.errors import SessionFileError
from profiler.exporters import export, formats
from tests.sample_session import sample_events, session_of


def test_all_formats_are_found() -> None:
    assert list(formats()) == [
        "chrome-trace",
        "csv-operators",
        "csv-rounds",
        "csv-search",
        "csv-tokens",
        "html",
        "json",
    ]
    for exporter in formats().values():
        assert exporter.suffix.startswith(".")
        assert exporter.description


@pytest.mark.parametrize("name", list(formats()))
def test_export_writes_what_the_format_renders(tmp_path: Path, name: str) -> None:
    session = session_of(sample_events(operator="名前"))
    path = tmp_path / "new" / "folder" / "file"
    export(session, name, path)
    assert path.read_bytes().decode() == formats()[name].render(session)


def test_an_unknown_format_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SessionFileError) as caught:
        export(session_of([]), "pdf", tmp_path / "a.pdf")
    assert "html" in caught.value.hint


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "a.json"):
        with pytest.raises(SessionFileError, match="can't be written"):
            export(session_of([]), "json", path)
