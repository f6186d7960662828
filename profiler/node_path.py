"""Names of nodes inside of other nodes: of bodies of If, Loop and Scan, and of functions.

A node is named by the value name of its first output. One inside is named after the way to it:
"looped › body › h" is in the attribute `body` of the node `looped`, "a › t" in the function that
the node `a` calls.
"""

from __future__ import annotations

from collections.abc import Sequence

BETWEEN = " › "


def inside(*parts: str) -> str:
    """The name of what lies inside."""
    return BETWEEN.join(parts)


def outermost(name: str) -> str:
    """The node of the model's own graph that a node is in, or is."""
    return name.partition(BETWEEN)[0]


def enclosing(name: str) -> list[str]:
    """The name itself, then ever further out."""
    parts = name.split(BETWEEN)
    return [inside(*parts[:count]) for count in range(len(parts), 0, -1)]


def innermost(names: Sequence[str]) -> list[str]:
    """Those that none of the others is inside of."""
    around = {outer for name in names for outer in enclosing(name)[1:]}
    return [name for name in names if name not in around]
