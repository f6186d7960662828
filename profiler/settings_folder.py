"""Where this person's settings lie; the window and the command line share the folder."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def config_folder() -> Path:
    """The folder, which may not exist yet; `DUALSCOPE_CONFIG` overrides it."""
    return Path(os.environ.get("DUALSCOPE_CONFIG") or platformdirs.user_config_path("dualscope"))
