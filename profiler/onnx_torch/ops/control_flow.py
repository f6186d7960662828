"""If: resolved at import where the condition is known, else nested graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import ShapeValue, Value, known_array

Module = Callable[..., tuple[torch.Tensor, ...]]


@op("If")
def if_(context: Context, condition: Value) -> tuple[Value, ...]:
    known = known_array(condition)
    branches = [context.attribute(name) for name in ("then_branch", "else_branch")]
    if known is not None:
        chosen = branches[0] if bool(known.reshape(-1)[0]) else branches[1]
        return tuple(context.builder.inline(chosen))
    name = context.node.name or context.node.output[0]
    built = [context.builder.nested(branch, context.node) for branch in branches]
    outer = list(dict.fromkeys(node for _, captured, _ in built for node in captured))
    modules = [
        context.builder.attach(module, f"{name}_{side}")
        for (module, _, _), side in zip(built, ("then", "else"), strict=True)
    ]
    picks = [[outer.index(node) for node in captured] for _, captured, _ in built]
    if isinstance(condition, ShapeValue):
        # Sizes decide: a guard for torch.compile, no break of its graph.
        flag = condition.dims[0]
        return context.parts(context.call(choose, flag, *modules, outer, picks))
    alike = _alike(context, branches)
    call = context.call if alike else context.reads_data
    return context.parts(call(choose, condition, *modules, outer, picks, alike))


def _alike(context: Context, branches: Sequence[onnx.GraphProto]) -> bool:
    """Whether both sides give tensors of one type and shape, which torch.cond asks for."""
    sides = []
    for branch in branches:
        kinds = []
        for value in branch.output:
            shape = context.builder.shared.inferred.symbols.get(value.name)
            dtype = context.builder.dtypes.get(value.name)
            if shape is None or dtype is None or "" in shape:
                return False
            kinds.append((shape, dtype))
        sides.append(kinds)
    return sides[0] == sides[1]


def choose(
    condition: Any,
    then: Module,
    otherwise: Module,
    outer: Sequence[Any],
    picks: Sequence[Sequence[int]],
    alike: bool = False,
) -> tuple[torch.Tensor, ...]:
    """One of two graphs; `picks` says which of the `outer` values each takes."""
    if alike and torch.compiler.is_compiling():
        return _by_cond(condition, then, otherwise, outer, picks)
    if condition:
        return then(*(outer[i] for i in picks[0]))
    return otherwise(*(outer[i] for i in picks[1]))


def _by_cond(
    condition: torch.Tensor,
    then: Module,
    otherwise: Module,
    outer: Sequence[Any],
    picks: Sequence[Sequence[int]],
) -> tuple[torch.Tensor, ...]:
    def first(*values: Any) -> tuple[torch.Tensor, ...]:
        return tuple(t.clone() for t in then(*(values[i] for i in picks[0])))

    def second(*values: Any) -> tuple[torch.Tensor, ...]:
        return tuple(t.clone() for t in otherwise(*(values[i] for i in picks[1])))

    flag = condition.reshape(()).to(torch.bool)
    found: tuple[torch.Tensor, ...] = torch.cond(flag, first, second, tuple(outer))
    return found
