"""Which module each operator of a TorchScript program belongs to, read from its graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from profiler.call_matching import common_subsequence
from profiler.types import OpTiming

# Calls of one module inside of another, at most so deep: a program may call itself.
DEEPEST = 64


def with_scopes(script: Any, ops: Sequence[OpTiming]) -> list[OpTiming]:
    """Operators of one iteration with their modules, as far as the program tells.

    The graph of each method calls methods of submodules, and operators; followed from `forward` on
    that is the order in which they run. Branches and functions are passed over: what of these runs
    has no partner, and is given the module of what runs around it where that is one.
    """
    written = list(_operators(script._c, "forward", "", 0))
    found = common_subsequence([op.op_type for op in ops], [kind for kind, _ in written])
    scopes: list[str | None] = [None] * len(ops)
    for index, number in found:
        scopes[index] = written[number][1]
    return [
        msgspec.structs.replace(op, scope=scope)
        for op, scope in zip(ops, _filled(scopes), strict=True)
    ]


def _operators(module: Any, method: str, path: str, depth: int) -> Iterator[tuple[str, str]]:
    """(operator, module path), in the order of execution."""
    graph = module._get_method(method).graph
    modules = {next(graph.inputs()).debugName(): (module, path)}
    for node in graph.nodes():
        kind = node.kind()
        inputs = [value.debugName() for value in node.inputs()]
        if kind == "prim::GetAttr" and inputs[0] in modules:
            owner, outer = modules[inputs[0]]
            name = node.s("name")
            modules[node.output().debugName()] = (
                owner.getattr(name),
                f"{outer}.{name}" if outer else name,
            )
        elif kind == "prim::CallMethod" and inputs[0] in modules and depth < DEEPEST:
            yield from _operators(
                modules[inputs[0]][0], node.s("name"), modules[inputs[0]][1], depth + 1
            )
        elif kind.startswith("aten::"):
            yield kind, path


def _filled(scopes: Sequence[str | None]) -> list[str]:
    """What is not known, from both sides where they agree."""
    before, after = list(scopes), list(scopes)
    for index in range(1, len(scopes)):
        before[index] = before[index] if before[index] is not None else before[index - 1]
    for index in range(len(scopes) - 2, -1, -1):
        after[index] = after[index] if after[index] is not None else after[index + 1]
    return [one or "" if one == other else "" for one, other in zip(before, after, strict=True)]
