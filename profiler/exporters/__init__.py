"""Export formats, one file each; a module's `EXPORTER` makes it known."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from profiler.errors import SessionFileError
from profiler.exporters.base import Exporter
from profiler.session import Session

__all__ = ["Exporter", "export", "formats"]


def formats() -> dict[str, Exporter[Session]]:
    """Exporters by name, sorted."""
    found = [
        importlib.import_module(f"{__name__}.{module.name}").EXPORTER
        for module in pkgutil.iter_modules(__path__)
        if module.name != "base"
    ]
    return {exporter.name: exporter for exporter in sorted(found, key=lambda e: e.name)}


def export(session: Session, name: str, path: Path) -> None:
    """Write the session in a format. Raises SessionFileError."""
    known = formats()
    if name not in known:
        raise SessionFileError(f"There is no format {name!r}.", f"Use one of: {', '.join(known)}.")
    known[name].write(session, path)
