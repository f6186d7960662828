"""Sums of operators, and the modules that they belong to."""

from __future__ import annotations

import pytest

from profiler.operators import common_path, with_modules
from profiler.types import ModelGraph
from tests.traced_lanes import node, row


@pytest.mark.parametrize(
    ("scopes", "path"),
    [
        (["a.b.c", "a.b.d"], "a.b"),
        (["a.b", "a.b"], "a.b"),
        (["a.b", "ab"], ""),
        (["a", ""], ""),
        ([], ""),
    ],
)
def test_what_paths_have_in_common(scopes: list[str], path: str) -> None:
    assert common_path(scopes) == path


def test_operators_are_given_the_modules_of_their_nodes() -> None:
    """What computes decides; a module that the engine itself told stays."""
    graph = ModelGraph(
        nodes=(
            node("c", "Conv", "x", scope="stem.conv"),
            node("r", "Relu", "c", scope="stem.act"),
            node("v", "Reshape", "r", scope="head"),
        )
    )
    rows = [
        row("fused", "Conv", 0, nodes=("v", "r", "c")),
        row("view", "Reshape", 1, nodes=("v",)),
        row("told", "aten::relu", 2, nodes=("r",), scope="own"),
        row("other", "Gather", 3, nodes=("gone",)),
    ]
    assert [r.scope for r in with_modules(rows, graph)] == ["stem", "head", "own", ""]
