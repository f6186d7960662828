"""What every test gets: folders of its own for caches and settings."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs the tests is read or changed."""
    monkeypatch.setenv("DUALSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DUALSCOPE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DUALSCOPE_DATA", str(tmp_path / "data"))
