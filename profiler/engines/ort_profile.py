"""Read ONNX Runtime's own profile: operators with their shapes, and what its threads did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import onnx

from profiler.onnx_nested import Sources, bodies
from profiler.types import OpTiming, ThreadUse, Traced

KERNEL = "_kernel_time"
Entry = dict[str, list[int]]


class NodeShapes:
    """What a profile leaves out, from the optimized graph: weights that were packed at load time,
    and a pooling's window.
    """

    def __init__(self, optimized: onnx.ModelProto | None = None) -> None:
        self._weights: dict[str, Entry] = {}
        self._nodes: dict[str, onnx.NodeProto] = {}
        if optimized is not None:
            self._learn(optimized.graph)

    def _learn(self, graph: onnx.GraphProto) -> None:
        """A graph's own nodes and weights go before those of its bodies."""
        for tensor in graph.initializer:
            entry = {_dtype(tensor.data_type): list(tensor.dims)}
            self._weights.setdefault(tensor.name, entry)
        for index, node in enumerate(graph.node):
            # A node without a name has this one in profiles.
            self._nodes.setdefault(node.name or f"{node.op_type}_{index}", node)
        for node in graph.node:
            for _, body in bodies(node):
                self._learn(body)

    def text(self, name: str, arguments: dict[str, Any]) -> str:
        """ "float[1, 8], float[8, 4] -> float[1, 4]"."""
        told: list[Entry] = arguments.get("input_type_shape") or []
        node = self._nodes.get(name)
        inputs = told if node is None else self._with_weights(node, told)
        text = f"{_listed(inputs)} -> {_listed(arguments.get('output_type_shape') or [])}"
        window = [a.ints for a in node.attribute if a.name == "kernel_shape"] if node else []
        pools = node is not None and "Pool" in node.op_type
        return f"{text} window {list(window[0])}" if window and pools else text

    def _with_weights(self, node: onnx.NodeProto, told: Sequence[Entry]) -> list[Entry]:
        """Each input's own entry, or the weight's where the profile has none."""
        names = [name for name in node.input if name]
        if len(told) >= len(names):
            return list(told)
        left = list(told)
        found: list[Entry] = []
        for position, name in enumerate(names):
            weight = self._weights.get(name)
            missing = len(names) - position > len(left)
            if weight is not None and missing and (not left or left[0] != weight):
                found.append(weight)
            elif left:
                found.append(left.pop(0))
        return found


def read_profile(
    events: list[dict[str, Any]],
    skip: int,
    sources: Sources,
    inner_sources: Sources | None = None,
    shapes: NodeShapes | None = None,
) -> Traced:
    """Operators of the profiled calls after the first `skip`, from ONNX Runtime's own events.

    The file has times in microseconds. Nodes of bodies (If, Loop) lie within their parent's event,
    and are told apart by their names, so that no time is counted twice.
    """
    inner_sources, shapes = inner_sources or {}, shapes or NodeShapes()
    runs = _runs(events)[skip:]
    ops: list[OpTiming] = []
    inner: list[OpTiming] = []
    number = 0
    ends_us: dict[int, float] = {}
    for event in _kernels(events):
        while number < len(runs) and event["ts"] > runs[number]["ts"] + runs[number]["dur"]:
            number += 1
        if number == len(runs):
            break
        start_us = event["ts"] - runs[number]["ts"]
        thread = int(event.get("tid", 0))
        if start_us < 0:
            continue
        op = _op_timing(event, number, start_us, shapes)
        if op.name in inner_sources:
            inner.append(msgspec.structs.replace(op, source_nodes=inner_sources[op.name]))
            continue
        if event["ts"] + event["dur"] <= ends_us.get(thread, -1):
            continue
        ends_us[thread] = event["ts"] + event["dur"]
        ops.append(msgspec.structs.replace(op, source_nodes=sources.get(op.name, ())))
    return Traced(
        started_ns=0,
        latencies_ns=tuple(int(run["dur"] * 1000) for run in runs),
        ops=tuple(ops),
        inner=tuple(inner),
    )


def _op_timing(
    event: dict[str, Any], iteration: int, start_us: float, shapes: NodeShapes
) -> OpTiming:
    arguments = event.get("args", {})
    name = event["name"].removesuffix(KERNEL)
    return OpTiming(
        name=name,
        op_type=str(arguments.get("op_name", "")),
        start_ns=int(start_us * 1000),
        duration_ns=int(event["dur"] * 1000),
        iteration=iteration,
        thread=int(event.get("tid", 0)),
        shapes=shapes.text(name, arguments),
        provider=str(arguments.get("provider", "")),
        output_bytes=int(arguments.get("output_size") or 0),
    )


def thread_use(events: list[dict[str, Any]], skip: int) -> ThreadUse:
    """From the `thread_scheduling_stats` of the calls after the first `skip`.

    A pool of one thread has none, and threads that had nothing to do yet may be missing. Workers'
    `num_run` counts on through the session; the caller's `Run`, `Wait` and the rest are
    microseconds of that operator.
    """
    runs = _runs(events)[skip:]
    kernels = _kernels(events)
    started = runs[0]["ts"] if runs else 0
    before = [_stats(e) for e in kernels if e["ts"] < started]
    during = [(e, _stats(e)) for e in kernels if e["ts"] >= started]
    sizes = [1 + len(stats.get("sub_threads", {})) for _, stats in during]
    whole_us = sum(event["dur"] for event, _ in during)
    waiting_us = sum(int(stats.get("main_thread", {}).get("Wait", 0)) for _, stats in during)
    return ThreadUse(
        threads=max(sizes, default=1),
        worker_runs=_worker_runs(s for _, s in during) - _worker_runs(before),
        waiting_share=min(1.0, waiting_us / whole_us) if whole_us else 0.0,
    )


def _worker_runs(stats: Iterable[dict[str, Any]]) -> int:
    """The highest count of each worker, over all workers."""
    most: dict[str, int] = {}
    for one in stats:
        for thread, counts in one.get("sub_threads", {}).items():
            most[thread] = max(most.get(thread, 0), int(counts.get("num_run", 0)))
    return sum(most.values())


def _stats(event: dict[str, Any]) -> dict[str, Any]:
    found = event.get("args", {}).get("thread_scheduling_stats")
    return found if isinstance(found, dict) else {}


def _runs(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((e for e in events if e.get("name") == "model_run"), key=lambda e: float(e["ts"]))


def _kernels(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(
        (e for e in events if e.get("cat") == "Node" and e["name"].endswith(KERNEL)),
        key=lambda e: (e["ts"], -e["dur"]),
    )


def _listed(entries: Sequence[Entry]) -> str:
    return ", ".join(f"{dtype}{list(dims)}" for entry in entries for dtype, dims in entry.items())


def _dtype(code: int) -> str:
    """As profiles spell it: "float", "int64", "bool"."""
    return str(onnx.TensorProto.DataType.Name(code)).lower()
