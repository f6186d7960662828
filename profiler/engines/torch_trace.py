"""Profile a PyTorch module and read operators from the raw Kineto results.

Marks cost more than small operators do. So one call under marks teaches which operator comes from
which node or module; the calls that are measured run as they are, and the n-th operator of each is
the n-th of the marked call. Where the operators of a call differ from the marked one's, as with
control flow that depends on data, the marked way measures too.
"""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import torch
from torch.autograd.profiler import record_function

from profiler.types import OpTiming, Traced

# How Dynamo writes a module of a list or a dictionary: "layer._modules['0']", "layer[0]".
SUBSCRIPT = re.compile(r"(?:\._modules)?\[['\"]?([^'\"\]]*)['\"]?\]")
ITERATION = "dualscope#iteration"
MARK = "dualscope#"
# What torch.compile calls its own: "graph_0_cpp_fused_relu_1".
GENERATED_KERNEL = re.compile(r"graph_\d+_(cpp|triton)_")


class Marks:
    """Numbered labels that a traced run leaves in the profile: (name, source nodes, scope)."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, tuple[str, ...], str]] = []

    def add(self, name: str, sources: tuple[str, ...], scope: str) -> str:
        """The text to record for this label."""
        self.entries.append((name, sources, scope))
        return f"{MARK}{len(self.entries) - 1}"


class MarkingInterpreter(torch.fx.Interpreter):
    """Runs a graph node by node, each under its own mark."""

    def __init__(self, module: torch.fx.GraphModule, marks: Marks) -> None:
        super().__init__(module)
        self._marks = {
            node: marks.add(node.name, sources_of(node), scope_of(node))
            for node in module.graph.nodes
        }

    def run_node(self, n: torch.fx.Node) -> Any:
        with record_function(self._marks[n]):
            return super().run_node(n)


@contextlib.contextmanager
def marked(module: torch.nn.Module, marks: Marks) -> Iterator[Callable[..., Any]]:
    """A callable that runs the module under marks; the module itself is as before afterwards."""
    if isinstance(module, torch.fx.GraphModule):
        yield MarkingInterpreter(module, marks).run
        return
    if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
        # Hooks are not called in TorchScript, and would make torch.compile compile again.
        yield module
        return
    handles = [
        handle
        for path, child in module.named_modules()
        for handle in _hooks(child, marks.add("", (), path))
    ]
    try:
        yield module
    finally:
        for handle in handles:
            handle.remove()


def trace_module(
    module: torch.nn.Module,
    tensors: Sequence[torch.Tensor],
    device: str,
    *,
    iterations: int,
    warmup: int,
) -> Traced:
    """Profile `iterations` calls after `warmup` calls."""
    marks = Marks()
    with marked(module, marks) as call:
        # The second call of an interpreter finds its caches filled.
        call(*tensors)
        events = _profiled(call, tensors, 1, shapes=True)
        lesson = list(read_events(events, marks, device))
    for _ in range(warmup):
        module(*tensors)
    events = _profiled(module, tensors, iterations, shapes=False)
    ops = named_after(lesson, list(read_events(events, marks, device)))
    if ops is None:
        with marked(module, marks) as call:
            events = _profiled(call, tensors, iterations, shapes=True)
        ops = list(read_events(events, marks, device))
    latencies = sorted((e.start_ns(), e.duration_ns()) for e in events if e.name() == ITERATION)
    return Traced(
        started_ns=0,
        latencies_ns=tuple(duration for _, duration in latencies),
        ops=tuple(ops),
    )


def named_after(lesson: Sequence[OpTiming], ops: Sequence[OpTiming]) -> list[OpTiming] | None:
    """Operators of unmarked iterations with names, nodes and modules of the marked one.

    None when an iteration has other operators than the lesson.
    """
    iterations: dict[int, list[OpTiming]] = defaultdict(list)
    for op in ops:
        iterations[op.iteration].append(op)
    expected = [op.op_type for op in lesson]
    if any([op.op_type for op in found] != expected for found in iterations.values()):
        return None
    return [
        msgspec.structs.replace(
            op,
            name=known.name,
            source_nodes=known.source_nodes,
            scope=known.scope,
            shapes=known.shapes,
        )
        for found in iterations.values()
        for op, known in zip(found, lesson, strict=True)
    ]


def _profiled(
    call: Callable[..., Any], tensors: Sequence[torch.Tensor], iterations: int, *, shapes: bool
) -> Sequence[Any]:
    """Kineto's events of some calls."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, record_shapes=shapes) as profile:
        for _ in range(iterations):
            with record_function(ITERATION):
                call(*tensors)
    events: Sequence[Any] = profile.profiler.kineto_results.events()
    return events


def read_events(events: Sequence[Any], marks: Marks, device: str) -> Iterator[OpTiming]:
    """Outermost operators inside of the iterations, each with the innermost mark around it."""
    cpu = [e for e in events if e.device_type() == torch._C._autograd.DeviceType.CPU]
    cpu.sort(key=lambda e: (e.start_ns(), -e.duration_ns()))
    iteration, iteration_start, iteration_end, busy_until = -1, 0, 0, 0
    open_marks: list[tuple[int, int]] = []
    seen: dict[str, int] = defaultdict(int)
    for event in cpu:
        name, start = event.name(), event.start_ns()
        end = start + event.duration_ns()
        if name == ITERATION:
            iteration, iteration_start, iteration_end = iteration + 1, start, end
            busy_until, open_marks = 0, []
            seen.clear()
        elif start >= iteration_end or start < busy_until:
            continue
        elif name.startswith(MARK):
            open_marks.append((end, int(name.removeprefix(MARK))))
        elif "::" in name or GENERATED_KERNEL.match(name):
            busy_until = end
            while open_marks and open_marks[-1][0] <= start:
                open_marks.pop()
            node, sources, scope = marks.entries[open_marks[-1][1]] if open_marks else ("", (), "")
            yield OpTiming(
                name=node or _numbered(f"{scope}/{name}" if scope else name, seen),
                op_type=name,
                start_ns=start - iteration_start,
                duration_ns=end - start,
                source_nodes=sources,
                device=device,
                scope=scope,
                iteration=iteration,
                thread=int(event.start_thread_id()),
                shapes=_shapes(event),
            )


def _shapes(event: Any) -> str:
    """As ONNX Runtime's profile tells them: "float[1, 8], int64[4]"; empty if not recorded."""
    return ", ".join(
        f"{dtype}{list(shape)}"
        for dtype, shape in zip(event.dtypes(), event.shapes(), strict=False)
        if dtype not in ("", "Scalar", "ScalarList")
    )


def _numbered(name: str, seen: dict[str, int]) -> str:
    """Operators of one name within an iteration are told apart by their order."""
    seen[name] += 1
    return name if seen[name] == 1 else f"{name} #{seen[name]}"


def sources_of(node: torch.fx.Node) -> tuple[str, ...]:
    """ONNX values that an imported node stands for."""
    outputs = node.meta.get("onnx_outputs") or (node.meta.get("onnx_output"),)
    return tuple(str(output) for output in outputs if output)


def scope_of(node: torch.fx.Node) -> str:
    """Path of the innermost module that the exporter recorded for the node."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return ""
    path = str(next(reversed(stack.values()))[0])
    return SUBSCRIPT.sub(r".\1", path.removeprefix("L['self'].").removeprefix("L['self']"))


def _hooks(module: torch.nn.Module, mark: str) -> list[torch.utils.hooks.RemovableHandle]:
    running: list[contextlib.ExitStack] = []

    def before(*_: Any) -> None:
        running.append(contextlib.ExitStack())
        running[-1].enter_context(record_function(mark))

    def after(*_: Any) -> None:
        running.pop().close()

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
