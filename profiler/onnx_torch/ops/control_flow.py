"""If, Loop and Scan: resolved at import where the condition is known, else nested graphs."""

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


@op("Loop")
def loop(context: Context, trips: Value, condition: Value, *carried: Value) -> tuple[Value, ...]:
    body: onnx.GraphProto = context.attribute("body")
    module, captured, outputs = context.builder.nested(body, context.node)
    goes_on = _never_stops(body, outputs[0], condition)
    limit = context.number(trips) if trips is not None else None
    if not goes_on or isinstance(trips, torch.fx.Node):
        context.builder.shared.data_dependent.append(context.node.name or context.node.output[0])
    attached = context.builder.attach(module, f"{context.node.name or context.node.output[0]}_body")
    kinds = _scanned_kinds(context, body, len(carried))
    starts = None if goes_on else condition
    found = context.call(run_loop, attached, limit, starts, list(carried), captured, kinds)
    return context.parts(found)


def _never_stops(body: onnx.GraphProto, result: Value, condition: Value) -> bool:
    """Whether the condition is true at the start and stays so: only the count ends the loop."""
    known = known_array(condition) if condition is not None else None
    if condition is not None and (known is None or not known.reshape(-1)[0]):
        return False
    after = known_array(result) if not isinstance(result, torch.fx.Node) else None
    if after is not None:
        return bool(after.reshape(-1)[0])
    is_input = isinstance(result, torch.fx.Node) and result.op == "placeholder"
    return is_input and body.input[1].name == _origin(body, body.output[0].name)


def _origin(body: onnx.GraphProto, name: str) -> str:
    """The name behind Identity nodes."""
    makers = {node.output[0]: node for node in body.node if node.op_type == "Identity"}
    while name in makers:
        name = makers[name].input[0]
    return name


def _scanned_kinds(context: Context, body: onnx.GraphProto, carried: int) -> list[Any]:
    """Shape and type of one step of each scanned output, for a loop that never runs."""
    kinds = []
    for value in body.output[1 + carried :]:
        shape = context.shape_of(value.name)
        sizes = [d or 0 for d in shape] if shape is not None else []
        kinds.append((sizes, context.builder.dtypes.get(value.name, torch.float32)))
    return kinds


def run_loop(
    body: Module,
    limit: int | None,
    condition: torch.Tensor | None,
    carried: list[Any],
    outer: Sequence[Any],
    kinds: Sequence[Any],
) -> tuple[torch.Tensor, ...]:
    """`condition` is None for a loop that only its count ends."""
    scanned: list[list[torch.Tensor]] = [[] for _ in kinds]
    step = 0
    going = torch.tensor(True)
    while limit is None or step < limit:
        if condition is not None:
            going = condition
            if not bool(going):
                break
        count = len(carried)
        after, *results = body(torch.tensor(step), going, *carried, *outer)
        carried = results[:count]
        for values, value in zip(scanned, results[count:], strict=True):
            values.append(value)
        condition = after if condition is not None else None
        step += 1
    return (*carried, *(_stacked(v, kind) for v, kind in zip(scanned, kinds, strict=True)))


def _stacked(values: list[torch.Tensor], kind: Any) -> torch.Tensor:
    sizes, dtype = kind
    return torch.stack(values) if values else torch.zeros([0, *sizes], dtype=dtype)


@op("Scan")
def scan(context: Context, *values: Value) -> tuple[Value, ...]:
    body: onnx.GraphProto = context.attribute("body")
    count = int(context.attribute("num_scan_inputs"))
    batched = context.opset < 9
    if batched and values[0] is not None:
        context.refuse("lengths of sequences")
    given = values[1:] if batched else values
    states, sequences = list(given[: len(given) - count]), list(given[len(given) - count :])
    module, captured, _ = context.builder.nested(body, context.node)
    attached = context.builder.attach(module, f"{context.node.name or context.node.output[0]}_body")
    results = len(body.output) - len(states)
    backwards = context.attribute("directions") if batched else None
    plan = {
        "in_axes": list(context.attribute("scan_input_axes") or [0] * count),
        "out_axes": list(context.attribute("scan_output_axes") or [0] * results),
        "in_back": list(backwards or context.attribute("scan_input_directions") or [0] * count),
        "out_back": list(context.attribute("scan_output_directions") or [0] * results),
    }
    function = run_batched_scan if batched else run_scan
    return context.parts(context.call(function, attached, states, sequences, captured, plan))


def run_scan(
    body: Module,
    states: list[torch.Tensor],
    sequences: list[torch.Tensor],
    outer: Sequence[Any],
    plan: dict[str, list[int]],
) -> tuple[torch.Tensor, ...]:
    """A step for each slice of the sequences."""
    count = len(states)
    steps = sequences[0].shape[plan["in_axes"][0]]
    scanned: list[list[torch.Tensor]] = [[] for _ in plan["out_axes"]]
    for step in range(steps):
        slices = [
            x.select(axis, steps - 1 - step if back else step)
            for x, axis, back in zip(sequences, plan["in_axes"], plan["in_back"], strict=True)
        ]
        results = body(*states, *slices, *outer)
        states = list(results[:count])
        for values, value in zip(scanned, results[count:], strict=True):
            values.append(value)
    found = [
        torch.stack(values[::-1] if back else values, axis)
        for values, axis, back in zip(scanned, plan["out_axes"], plan["out_back"], strict=True)
    ]
    return (*states, *found)


def run_batched_scan(
    body: Module,
    states: list[torch.Tensor],
    sequences: list[torch.Tensor],
    outer: Sequence[Any],
    plan: dict[str, list[int]],
) -> tuple[torch.Tensor, ...]:
    """Opset 8: every value has a batch in front, and each element of it is scanned alone."""
    each = [
        run_scan(body, [s[i] for s in states], [x[i] for x in sequences], outer, plan)
        for i in range(sequences[0].shape[0])
    ]
    return tuple(torch.stack(list(parts)) for parts in zip(*each, strict=True))
