"""Model files that several tests look at, each exported once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import language_models
from tests.language_models import ModelFile


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> ModelFile:
    """`model_file("optimum", "gpt2")`, or "dynamo": the file, which no test may change."""
    folder, made = tmp_path_factory.mktemp("models"), dict[tuple[str, str], Path]()
    makers = {
        "optimum": language_models.optimum_file,
        "dynamo": language_models.dynamo_file,
    }

    def find(convention: str, name: str) -> Path:
        if (convention, name) not in made:
            made[convention, name] = makers[convention](folder, name)
        return made[convention, name]

    return find
