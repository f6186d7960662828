"""What every test gets: folders of its own for caches and settings."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What stays in one process where several run tests: a file's; and all with windows, which
    would take the keyboard from each other.
    """
    for item in items:
        group = "window" if "gui" in item.path.parts else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs the tests is read or changed."""
    monkeypatch.setenv("DUALSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DUALSCOPE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DUALSCOPE_DATA", str(tmp_path / "data"))
