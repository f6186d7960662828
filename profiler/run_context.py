"""What everything that takes part in a run needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from profiler.types import RunPlan


@dataclass(frozen=True)
class RunContext:
    """`folder` is for files of the run alone. `cancelled` turns true when the person stops it;
    `clock` gives seconds, which limits refer to.
    """

    plan: RunPlan
    folder: Path
    cancelled: Callable[[], bool]
    clock: Callable[[], float]
