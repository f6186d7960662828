"""Parts of a model that both lanes run, named by module, with each lane's time: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from profiler.alignment import LaneOperators, Part
from profiler.op_kinds import GLUE, display_name, kind_of
from profiler.types import OperatorRow

# A label names at most so many modules or operators.
NAMED_PARTS = 4


class Region(Struct, frozen=True, kw_only=True):
    """A part of the model, with its operators in the baseline and in the candidate lane.

    `path` is the module path, `label` what it is within that module; `name` is both. `signature`
    is equal for regions that do the same kind of work ("Conv + BN + ReLU"). `nodes` are graph
    nodes by the value names of their first outputs. `traced_ns` is a lane's operators' sum in one
    traced iteration, `timed_ns` that scaled to the lane's timed p50.
    """

    name: str
    path: tuple[str, ...]
    label: str
    signature: str
    nodes: tuple[str, ...]
    operators: tuple[tuple[OperatorRow, ...], tuple[OperatorRow, ...]]
    traced_ns: tuple[float, float]
    timed_ns: tuple[float, float]

    @property
    def shared(self) -> bool:
        """Whether both lanes have operators in it."""
        return bool(self.operators[0]) and bool(self.operators[1])

    @property
    def difference_ns(self) -> float:
        """What the candidate takes more than the baseline; negative where it is faster."""
        return self.timed_ns[1] - self.timed_ns[0]


def make_regions(
    parts: Sequence[Part], lanes: tuple[LaneOperators, LaneOperators], scales: tuple[float, float]
) -> list[Region]:
    """A region for each part, names unique. `scales` take traced times to timed ones."""
    scopes = [_scopes(part, lanes) for part in parts]
    in_scope = Counter(found[0] for found in scopes if len(found) == 1)
    taken: Counter[str] = Counter()
    regions = []
    for part, found in zip(parts, scopes, strict=True):
        alone = len(found) == 1 and in_scope[found[0]] == 1
        path, label = _place(part, lanes, found, alone=alone)
        name = _name(path, label, part)
        taken[name] += 1
        if taken[name] > 1:
            label = f"{label} #{taken[name]}"
            name = f"{name} #{taken[name]}"
        regions.append(_region(part, lanes, scales, name, path, label))
    return regions


def _region(
    part: Part,
    lanes: tuple[LaneOperators, LaneOperators],
    scales: tuple[float, float],
    name: str,
    path: tuple[str, ...],
    label: str,
) -> Region:
    operators = (
        tuple(lanes[0].rows[index] for index in part.rows[0]),
        tuple(lanes[1].rows[index] for index in part.rows[1]),
    )
    traced = (_sum_ns(operators[0]), _sum_ns(operators[1]))
    return Region(
        name=name,
        path=path,
        label=label,
        signature=_signature(part, lanes),
        nodes=tuple(dict.fromkeys(node.name for nodes in part.nodes for node in nodes)),
        operators=operators,
        traced_ns=traced,
        timed_ns=(traced[0] * scales[0], traced[1] * scales[1]),
    )


def _sum_ns(rows: Sequence[OperatorRow]) -> float:
    return sum(row.traced_ns for row in rows)


def _steps(part: Part, lanes: tuple[LaneOperators, LaneOperators]) -> list[tuple[str, str]]:
    """(module path, kind) of what is done here, in order, from whoever tells it in most detail.

    A graph's nodes tell of what was fused; a PyTorch module's own operators of what the exporter
    folded.
    """
    choices = [[(n.scope, kind_of(n.op_type)) for n in nodes] for nodes in part.nodes]
    for lane, indexes in zip(lanes, part.rows, strict=True):
        rows = [lane.rows[index] for index in indexes]
        if any(row.scope for row in rows):
            choices.append([(row.scope, kind_of(row.op_type)) for row in rows])
        elif not any(part.nodes):
            choices.append([("", kind_of(row.op_type)) for row in rows])
    with_work = [[step for step in steps if step[1] not in GLUE] for steps in choices]
    if any(with_work):
        choices = with_work

    def detail(steps: list[tuple[str, str]]) -> tuple[bool, int]:
        # PyTorch's one operator says more than the dozen nodes that it was exported to.
        return "attention" in {kind for _, kind in steps}, len({scope for scope, _ in steps})

    return max(choices, key=detail, default=[])


def _scopes(part: Part, lanes: tuple[LaneOperators, LaneOperators]) -> list[str]:
    return list(dict.fromkeys(scope for scope, _ in _steps(part, lanes)))


def _place(
    part: Part, lanes: tuple[LaneOperators, LaneOperators], scopes: list[str], *, alone: bool
) -> tuple[tuple[str, ...], str]:
    """Path of the module that holds the region, and its label in there.

    `alone`: the region is all that there is of its module.
    """
    if alone and scopes[0]:
        *path, last = scopes[0].split(".")
        return tuple(path), last
    path = _common_path(scopes)
    inner = [".".join(scope.split(".")[len(path) :]) for scope in scopes if scope]
    names = [name for name in inner if name]
    if len(names) < len(scopes):
        here = ".".join(path)
        steps = [kind for scope, kind in _steps(part, lanes) if scope == here]
        names += [display_name(kind) for kind in dict.fromkeys(steps)]
    return tuple(path), _listed(names)


def _name(path: tuple[str, ...], label: str, part: Part) -> str:
    if path:
        return f"{'.'.join(path)}.{label}" if " " not in label else f"{'.'.join(path)}: {label}"
    nodes = [node.name for nodes in part.nodes for node in nodes]
    return f"{label} ({nodes[-1]})" if nodes and label[:1].isupper() else label


def _common_path(scopes: list[str]) -> list[str]:
    paths = [scope.split(".") if scope else [] for scope in scopes]
    common: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return common


def _listed(names: list[str]) -> str:
    shown = " + ".join(names[:NAMED_PARTS])
    more = len(names) - NAMED_PARTS
    return f"{shown} + {more} more" if more > 0 else shown


def _signature(part: Part, lanes: tuple[LaneOperators, LaneOperators]) -> str:
    kinds = [kind for _, kind in _steps(part, lanes)]
    return _listed([display_name(kind) for kind in dict.fromkeys(kinds)])
