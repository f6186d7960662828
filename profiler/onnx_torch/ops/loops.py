"""Loop and Scan: a nested graph that runs step by step, or in `torch.while_loop`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import torch

from profiler.onnx_torch.context import Context
from profiler.onnx_torch.inference import keeps_types
from profiler.onnx_torch.registry import op
from profiler.onnx_torch.values import Value, known_array

Module = Callable[..., tuple[torch.Tensor, ...]]
# As many steps are written out when a compiler asks; more of them stay a loop.
MOST_WRITTEN_OUT = 32


@op("Loop")
def loop(context: Context, trips: Value, condition: Value, *carried: Value) -> tuple[Value, ...]:
    body: onnx.GraphProto = context.attribute("body")
    module, captured, outputs = context.builder.nested(body, context.node)
    goes_on = _never_stops(body, outputs[0], condition)
    settled = _is_settled(context, body, len(carried))
    if isinstance(trips, torch.fx.Node) and settled:
        limit: Any = trips
    else:
        limit = context.number(trips) if trips is not None else None
    # A count of sizes is written out for the sizes that a graph is made for.
    by_sizes = isinstance(limit, torch.fx.Node) and limit is not trips
    is_short = goes_on and isinstance(limit, int) and limit <= MOST_WRITTEN_OUT
    by_while = settled and not by_sizes and not is_short
    if not by_while and (not goes_on or isinstance(trips, torch.fx.Node)):
        context.builder.shared.data_dependent.append(context.node.name or context.node.output[0])
    attached = context.builder.attach(module, f"{context.node.name or context.node.output[0]}_body")
    kinds = _scanned_kinds(context, body, len(carried))
    starts = None if goes_on else condition
    arguments = (attached, limit, starts, list(carried), captured, kinds, by_while)
    return context.parts(context.call(run_loop, *arguments))


def _is_settled(context: Context, body: onnx.GraphProto, carried: int) -> bool:
    """Whether torch.while_loop takes it: tensors are carried, of one type and shape in all steps.

    Scanned outputs grow, and their number of steps is not known when a graph is made.
    """
    if not carried or len(body.output) > 1 + carried:
        return False
    inferred = context.builder.shared.inferred
    given = context.node.input[2:]
    return keeps_types(body, given, inferred, context.builder.shared.opset_imports)


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
    limit: Any,
    condition: torch.Tensor | None,
    carried: list[Any],
    outer: Sequence[Any],
    kinds: Sequence[Any],
    settled: bool = False,
) -> tuple[torch.Tensor, ...]:
    """`condition` is None for a loop that only its count ends.

    `settled`: nothing is scanned, and no step changes a shape or a type, as torch.while_loop asks.
    """
    if settled and torch.compiler.is_compiling():
        return _by_while(body, limit, condition, carried, outer)
    limit = int(limit) if isinstance(limit, torch.Tensor) else limit
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


def _by_while(
    body: Module,
    limit: Any,
    condition: torch.Tensor | None,
    carried: list[Any],
    outer: Sequence[Any],
) -> tuple[torch.Tensor, ...]:
    """As a loop of the compiled or exported graph; what it gives may share nothing with inputs."""
    device = carried[0].device
    going = torch.ones((), dtype=torch.bool, device=device)
    going = going if condition is None else condition.reshape(()).to(torch.bool).clone()
    most = limit.reshape(()) if isinstance(limit, torch.Tensor) else limit

    def goes_on(step: torch.Tensor, going: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        del values
        return going.clone() if most is None else going & (step < most)

    def one_step(
        step: torch.Tensor, going: torch.Tensor, *values: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        after, *results = body(step, going, *values, *outer)
        after = going if condition is None else after.reshape(()).to(torch.bool)
        return (step + 1, after.clone(), *(_fresh(result) for result in results))

    start = torch.zeros((), dtype=torch.int64, device=device)
    first = (start, going, *(_fresh(value) for value in carried))
    run: Any = torch._higher_order_ops.while_loop
    return tuple(run(goes_on, one_step, first)[2:])


def _fresh(value: torch.Tensor) -> torch.Tensor:
    return value.clone(memory_format=torch.contiguous_format)


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
