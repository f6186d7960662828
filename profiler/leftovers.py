"""Where operators go that only one of two lanes has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from profiler.call_matching import LITTLE
from profiler.union_find import UnionFind

Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True)
class LaneGraph(Generic[Item]):
    """A lane's operators, in the order of execution, each with its module path and whether it just
    moves data; and which items follow on an item, in the graph or else in time.
    """

    operators: Mapping[Item, tuple[str, bool]]
    followers: Mapping[Item, Sequence[Item]]


@dataclass
class _Set:
    """What a set's operators have in common."""

    lanes: set[int]
    scopes: set[str]
    computing: int = 0

    @property
    def shared(self) -> bool:
        return len(self.lanes) > 1


def place_leftovers(sets: UnionFind[Item], lanes: Sequence[LaneGraph[Item]]) -> None:
    """Join sets that one lane has alone to a set that they work for, where there is one.

    Moves, views and shapes go with what follows on them, else with what they follow. What computes
    goes only with a neighbour of its own module, and only if it is little: work or a module that
    one lane has alone stays apart.
    """
    placing = _Placing(sets, lanes)
    for number, lane in enumerate(lanes):
        for item in reversed(list(lane.operators)):
            placing.place(item, number)
    # Those at the end of a chain could only be placed once their neighbours were.
    for number, lane in enumerate(lanes):
        for item in lane.operators:
            placing.place(item, number)


class _Placing(Generic[Item]):
    def __init__(self, sets: UnionFind[Item], lanes: Sequence[LaneGraph[Item]]) -> None:
        self._sets = sets
        self._followers = [lane.followers for lane in lanes]
        self._leaders = [_turned(lane.followers) for lane in lanes]
        self._info: dict[Item, _Set] = {}
        self._members: dict[Item, list[Item]] = defaultdict(list)
        for items in sets.groups().values():
            self._members[sets.find(items[0])] = items
        for number, lane in enumerate(lanes):
            for item, (scope, glue) in lane.operators.items():
                info = self._info.setdefault(sets.find(item), _Set(set(), set()))
                info.lanes.add(number)
                info.scopes.add(scope)
                info.computing += not glue

    def place(self, item: Item, lane: int) -> None:
        """Join the item's set to a neighbour, if it is one lane's alone."""
        root = self._sets.find(item)
        own = self._info[root]
        if own.shared:
            return
        around = [
            *self._nearest(root, self._followers[lane]),
            *self._nearest(root, self._leaders[lane]),
        ]
        host = self._host(own, around)
        if host is not None:
            self._join(root, host)

    def _host(self, own: _Set, around: Sequence[Item]) -> Item | None:
        def rank(root: Item) -> tuple[bool, bool]:
            other = self._info[root]
            return (not own.scopes & other.scopes, not other.shared)

        for root in sorted(around, key=rank):
            same_module = bool(own.scopes & self._info[root].scopes)
            if own.computing == 0 or (same_module and own.computing <= LITTLE):
                return root
        return None

    def _nearest(self, root: Item, steps: Mapping[Item, Sequence[Item]]) -> list[Item]:
        """The first sets with operators that are reached from this one."""
        found: dict[Item, None] = {}
        pending = list(self._members[root]) or [root]
        seen = set(pending)
        while pending:
            for item in steps.get(pending.pop(0), ()):
                other = self._sets.find(item)
                if item in seen or other == root:
                    continue
                seen.add(item)
                if other in self._info:
                    found[other] = None
                else:
                    pending.append(item)
        return list(found)

    def _join(self, root: Item, host: Item) -> None:
        own, other = self._info.pop(root), self._info.pop(host)
        members = self._members.pop(root, [root]) + self._members.pop(host, [host])
        self._sets.unite([root, host])
        joined = self._sets.find(root)
        self._members[joined] = members
        self._info[joined] = _Set(
            own.lanes | other.lanes, own.scopes | other.scopes, own.computing + other.computing
        )


def _turned(steps: Mapping[Item, Iterable[Item]]) -> dict[Item, list[Item]]:
    turned: dict[Item, list[Item]] = defaultdict(list)
    for item, others in steps.items():
        for other in others:
            turned[other].append(item)
    return turned
