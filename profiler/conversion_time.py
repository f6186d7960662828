"""How long a conversion took, kept beside its result in the cache: the one-time cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from profiler.types import ModelSource

DURATION = "duration-ns.txt"


@contextmanager
def keep_duration(folder: Path) -> Iterator[None]:
    """Write how long the block took into the conversion's folder."""
    started = time.perf_counter_ns()
    yield
    (folder / DURATION).write_text(str(time.perf_counter_ns() - started), encoding="ascii")


def conversion_ns(model: ModelSource) -> int:
    """How long making and checking this file of the cache took; 0 where it wasn't kept."""
    kept = Path(model.path).parent / DURATION
    return int(kept.read_text(encoding="ascii")) if kept.exists() else 0
