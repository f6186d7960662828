"""What the window remembers: one JSON file with a schema version."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from profiler.settings_folder import config_folder
from profiler.types import CostSettings, Goal

VERSION = 1
RECENT_FILES = 12
# One function per step: MIGRATIONS[n] takes version n to n + 1.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


class Settings(msgspec.Struct, kw_only=True):
    """Geometry and window state are Qt's bytes in hexadecimal. `theme`: system, light, dark.

    `strips`: whether a person showed or hid the live strips; None where they come and go by
    themselves. `operator_columns`: columns of Operators that a person showed or hid, by title.
    """

    version: int = VERSION
    theme: str = "system"
    geometry: str = ""
    window_state: str = ""
    recent_files: list[str] = []
    last_folder: str = ""
    export_folder: str = ""
    time_limit_s: float = 60.0
    target_width: float = 0.02
    operator_columns: dict[str, bool] = {}
    strips: bool | None = None
    goal: Goal = Goal.LATENCY
    cost: CostSettings = CostSettings()


def path() -> Path:
    """The settings' file; the folder can be given by `DUALSCOPE_CONFIG`."""
    return config_folder() / "settings.json"


def sessions_folder() -> Path:
    """Where runs are recorded until they are saved elsewhere; `DUALSCOPE_DATA` overrides it."""
    folder = os.environ.get("DUALSCOPE_DATA") or platformdirs.user_data_path("dualscope")
    found = Path(folder) / "sessions"
    found.mkdir(parents=True, exist_ok=True)
    return found


def load() -> Settings:
    """The settings, or defaults where the file is missing, damaged or of a newer version."""
    try:
        raw = msgspec.json.decode(path().read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return Settings()
    try:
        version = int(raw.get("version", 0))
        while version < VERSION:
            raw = MIGRATIONS[version](raw)
            version += 1
        return msgspec.convert(raw, Settings) if version == VERSION else Settings()
    except (KeyError, ValueError, TypeError, msgspec.ValidationError):
        return Settings()


def save(settings: Settings) -> None:
    """Write at once or not at all. Raises OSError."""
    target = path()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(settings)))
    draft.replace(target)


def remember_file(settings: Settings, file: Path) -> None:
    """Put a file on top of the recent ones."""
    name = str(file)
    others = [recent for recent in settings.recent_files if recent != name]
    settings.recent_files = [name, *others][:RECENT_FILES]
    settings.last_folder = str(file.parent)
