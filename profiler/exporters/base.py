"""What an export format is, and how those in CSV write their lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from profiler.errors import SessionFileError

Source = TypeVar("Source")


def _nothing(source: object) -> str:
    del source
    return ""


@dataclass(frozen=True)
class Exporter(Generic[Source]):
    """`render` is a pure function of a session, a sweep or a suite; `suffix` has its dot.

    `missing` says in a few words why a source has nothing for this format; "" where it has.
    """

    name: str
    suffix: str
    description: str
    render: Callable[[Source], str]
    missing: Callable[[Source], str] = _nothing

    def write(self, source: Source, path: Path) -> None:
        """Raises SessionFileError."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.render(source), encoding="utf-8", newline="\n")
        except OSError as error:
            raise SessionFileError(
                f"{path} can't be written: {error.strerror}.", "Choose another folder."
            ) from error


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lines of cells; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
