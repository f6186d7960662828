"""What an export format is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from profiler.session import Session


@dataclass(frozen=True)
class Exporter:
    """`render` is a pure function of the session; `suffix` has its dot."""

    name: str
    suffix: str
    description: str
    render: Callable[[Session], str]
