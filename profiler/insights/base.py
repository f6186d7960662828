"""A rule and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from profiler.op_kinds import kind_of
from profiler.session import Session
from profiler.types import OperatorRow


class Insight(Struct, frozen=True, kw_only=True):
    """`share` is about how much of the lane's latency it concerns, from 0 to 1."""

    rule: str
    label: str
    sentence: str
    evidence: str
    remedy: str
    share: float


Rule = Callable[[Session], Iterator[Insight]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """Make a rule known by its name."""
    RULES[function.__name__] = function
    return function


def share_of(rows: list[OperatorRow], wanted: Callable[[OperatorRow], bool]) -> float:
    """Of the lane's operator time."""
    whole = sum(row.traced_ns for row in rows)
    return sum(row.traced_ns for row in rows if wanted(row)) / whole if whole else 0.0


def of_kinds(kinds: frozenset[str]) -> Callable[[OperatorRow], bool]:
    """Whether an operator is of one of these kinds."""
    return lambda row: kind_of(row.op_type) in kinds
