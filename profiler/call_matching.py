"""Which calls of one lane are which of another, by name, module path and order.

A call is an operator of a PyTorch lane, or the ONNX nodes that an exporter wrote for one. Names
alone lie (exporters number calls anew), so a name counts only with the same module path and kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Generic, TypeVar

from profiler.op_kinds import GLUE

Item = TypeVar("Item", bound=Hashable)
# So many operators that compute may go with a neighbour that is none of theirs.
LITTLE = 2
# Above this many pairs of calls a longest common subsequence takes too long.
MOST_PAIRS = 2_000_000


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Item]):
    """`items` are what the call stands for; `scopes` its module path first, then its weights'."""

    items: tuple[Item, ...]
    name: str
    kind: str
    scopes: tuple[str, ...]


def match_calls(
    left: Sequence[Call[Item]], right: Sequence[Call[Item]]
) -> Iterator[tuple[tuple[Item, ...], tuple[Item, ...]]]:
    """Pairs of items that belong together. Calls are given in the order of execution.

    1. Calls of the same name, module path and kind.
    2. Of what is left, in each module: the longest runs of the same kinds in the same order.
    3. What lies between two pairs goes together; see `_runs_between`.
    4. In a module where nothing found a partner, all calls of both lanes go together: a batch
       norm that one lane folded into a convolution.

    A lane that knows no module of any call (TorchScript, torch.compile) is matched by kind and
    order alone.
    """
    if not (_knows_modules(left) and _knows_modules(right)):
        yield from _match_by_order(list(left), list(right))
        return
    cut_left, cut_right = _wrappers(left, right)
    ours, theirs = _by_scope(left, cut_left), _by_scope(right, cut_right)
    for scope in ours:
        if scope in theirs:
            yield from _match_module(ours[scope], theirs[scope])


def _match_by_order(
    left: list[Call[Item]], right: list[Call[Item]]
) -> Iterator[tuple[tuple[Item, ...], tuple[Item, ...]]]:
    """What computes, by kind and order; views differ too much between engines to go by."""
    ours = [index for index, call in enumerate(left) if call.kind not in GLUE]
    theirs = [index for index, call in enumerate(right) if call.kind not in GLUE]
    found = common_subsequence([left[i].kind for i in ours], [right[i].kind for i in theirs])
    partners = {ours[one]: theirs[other] for one, other in found}
    for index, other in partners.items():
        yield left[index].items, right[other].items
    if partners:
        yield from _runs_between(left, right, partners)


def common_subsequence(left: list[str], right: list[str]) -> list[tuple[int, int]]:
    """A longest common subsequence, as pairs of indexes; of very long lists, long runs of it."""
    if len(left) * len(right) > MOST_PAIRS:
        blocks = SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
        return [(b.a + step, b.b + step) for b in blocks for step in range(b.size)]
    lengths = [[0] * (len(right) + 1)]
    for one in reversed(left):
        below, row = lengths[-1], [0] * (len(right) + 1)
        for place in range(len(right) - 1, -1, -1):
            row[place] = (
                below[place + 1] + 1 if one == right[place] else max(below[place], row[place + 1])
            )
        lengths.append(row)
    lengths.reverse()
    found, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _match_module(
    left: list[Call[Item]], right: list[Call[Item]]
) -> Iterator[tuple[tuple[Item, ...], tuple[Item, ...]]]:
    partners: dict[int, int] = {}
    by_name = {(call.name, call.kind): index for index, call in enumerate(right)}
    for index, call in enumerate(left):
        found = by_name.get((call.name, call.kind))
        if found is not None and call.name:
            partners[index] = found
    partners = _in_order(partners)
    partners |= dict(_by_kind(left, right, partners))
    if not partners:
        yield _items(left), _items(right)
        return
    for index, found in partners.items():
        yield left[index].items, right[found].items
    yield from _runs_between(left, right, partners)


def _in_order(partners: dict[int, int]) -> dict[int, int]:
    """Without pairs that cross more than they go along with: their names lie."""
    kept: dict[int, int] = {}
    furthest = -1
    taken: set[int] = set()
    for index in sorted(partners):
        found = partners[index]
        if found > furthest and found not in taken:
            kept[index] = furthest = found
            taken.add(found)
    return kept


def _by_kind(
    left: list[Call[Item]], right: list[Call[Item]], partners: dict[int, int]
) -> Iterator[tuple[int, int]]:
    """Between two known pairs, runs of the same kinds."""
    for (start, start_right), (end, end_right) in pairwise(_borders(left, right, partners)):
        kinds = [call.kind for call in left[start + 1 : end]]
        others = [call.kind for call in right[start_right + 1 : end_right]]
        if not kinds or not others:
            continue
        for block in SequenceMatcher(None, kinds, others, autojunk=False).get_matching_blocks():
            for step in range(block.size):
                yield start + 1 + block.a + step, start_right + 1 + block.b + step


def _runs_between(
    left: list[Call[Item]], right: list[Call[Item]], partners: dict[int, int]
) -> Iterator[tuple[tuple[Item, ...], tuple[Item, ...]]]:
    """What lies between two known pairs: together where both lanes have something there.

    What one lane has alone goes with the pair before, else after, if it is little; else it is a
    part of its own.
    """
    for (start, start_right), (end, end_right) in pairwise(_borders(left, right, partners)):
        ours, theirs = left[start + 1 : end], right[start_right + 1 : end_right]
        if ours and theirs:
            yield _items(ours), _items(theirs)
        elif ours or theirs:
            run = ours or theirs
            beside = left[start] if start >= 0 else left[end]
            yield _items(run), beside.items if is_little(run) else ()


def is_little(run: Sequence[Call[Item]]) -> bool:
    """Whether it may go with a neighbour: a few operators, or moves and views only."""
    return sum(call.kind not in GLUE for call in run) <= LITTLE


def _borders(
    left: list[Call[Item]], right: list[Call[Item]], partners: dict[int, int]
) -> list[tuple[int, int]]:
    return [(-1, -1), *sorted(partners.items()), (len(left), len(right))]


def _items(calls: list[Call[Item]]) -> tuple[Item, ...]:
    return tuple(item for call in calls for item in call.items)


def _by_scope(calls: Sequence[Call[Item]], cut: str) -> dict[str, list[Call[Item]]]:
    found: dict[str, list[Call[Item]]] = defaultdict(list)
    for call in calls:
        for scope in dict.fromkeys(call.scopes):
            found[_without(scope, cut)].append(call)
    return found


def _knows_modules(calls: Sequence[Call[Item]]) -> bool:
    return any(scope for call in calls for scope in call.scopes)


def _wrappers(left: Sequence[Call[Item]], right: Sequence[Call[Item]]) -> tuple[str, str]:
    """The outermost module that just one of the lanes has, as exporting through a wrapper gives."""
    ours = {scope for call in left for scope in call.scopes}
    theirs = {scope for call in right for scope in call.scopes}
    choices = [("", "")]
    choices += [(name, "") for name in _outermost(ours)] + [("", n) for n in _outermost(theirs)]
    return max(
        choices,
        key=lambda cut: len(
            {_without(s, cut[0]) for s in ours} & {_without(s, cut[1]) for s in theirs}
        ),
    )


def _outermost(scopes: set[str]) -> list[str]:
    """The first part of the paths, where all have the same."""
    first = {scope.partition(".")[0] for scope in scopes if scope}
    return sorted(first) if len(first) == 1 else []


def _without(scope: str, outermost: str) -> str:
    if not outermost:
        return scope
    return "" if scope == outermost else scope.removeprefix(outermost + ".")
