"""What every test gets: folders of its own for caches and settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """What one process runs where several run tests: those of a file; and all with windows, which
    would take the keyboard and the pointer from each other.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "windows" if file.startswith("tests/gui/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Called where several processes run tests. Marks of groups need pytest 9.1 or older."""
    return Together(config, log)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs the tests is read or changed."""
    monkeypatch.setenv("DUALSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DUALSCOPE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("DUALSCOPE_DATA", str(tmp_path / "data"))
