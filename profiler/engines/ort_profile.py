"""Read ONNX Runtime's own profile: operators with their shapes, and what its threads did."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import onnx

from profiler.onnx_bodies import bodies
from profiler.onnx_nested import Sources
from profiler.types import OpTiming, Traced

KERNEL = "_kernel_time"
Entry = dict[str, list[int]]


class NodeShapes:
    """What a profile leaves out, from the optimized graph: weights that were packed at load time,
    with their sizes, and a pooling's window.
    """

    def __init__(self, optimized: onnx.ModelProto | None = None) -> None:
        self._weights: dict[str, Entry] = {}
        self._sizes: dict[str, int] = {}
        self._nodes: dict[str, onnx.NodeProto] = {}
        if optimized is not None:
            self._learn(optimized.graph)

    def _learn(self, graph: onnx.GraphProto) -> None:
        """A graph's own nodes and weights go before those of its bodies."""
        for tensor in graph.initializer:
            entry = {_dtype(tensor.data_type): list(tensor.dims)}
            self._weights.setdefault(tensor.name, entry)
            self._sizes.setdefault(tensor.name, tensor_bytes(tensor))
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

    def weights_bytes(self, name: str) -> int:
        """Of a node's inputs that are weights; 0 where it has none, or isn't known."""
        node = self._nodes.get(name)
        return sum(self._sizes.get(value, 0) for value in node.input) if node else 0

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
    kernels = _kernels(events)
    threads = _Threads(kernels)
    ops: list[OpTiming] = []
    inner: list[OpTiming] = []
    number = 0
    ends_us: dict[int, float] = {}
    for event in kernels:
        while number < len(runs) and event["ts"] > runs[number]["ts"] + runs[number]["dur"]:
            number += 1
        if number == len(runs):
            break
        start_us = event["ts"] - runs[number]["ts"]
        thread = int(event.get("tid", 0))
        if start_us < 0:
            continue
        op = _op_timing(event, number, start_us, shapes, threads.of(event))
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
    event: dict[str, Any], iteration: int, start_us: float, shapes: NodeShapes, threads: int
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
        input_bytes=int(arguments.get("activation_size") or 0),
        weights_bytes=shapes.weights_bytes(name),
        output_bytes=int(arguments.get("output_size") or 0),
        threads=threads,
        # Microseconds of this operator.
        wait_ns=int(_stats(event).get("main_thread", {}).get("Wait", 0)) * 1000,
    )


def pool_threads(events: list[dict[str, Any]]) -> int:
    """The most that a profile shows; threads that had nothing to do yet may be missing."""
    sizes = [1 + len(_stats(event).get("sub_threads", {})) for event in _kernels(events)]
    return max(sizes, default=1)


class _Threads:
    """How many of the session's pool took part in an operator.

    Workers' `num_run` counts on through the session, so it is set against the last operator that
    had ended when this one began. A pool of one thread has no such counts.
    """

    def __init__(self, kernels: Sequence[dict[str, Any]]) -> None:
        told = [event for event in kernels if _stats(event)]
        told.sort(key=lambda event: float(event["ts"] + event["dur"]))
        self._ends = [float(event["ts"] + event["dur"]) for event in told]
        self._runs = [_worker_runs(event) for event in told]

    def of(self, event: dict[str, Any]) -> int:
        """The calling thread, and those that ran a part of it; 0 where that isn't known."""
        if not _stats(event):
            return 0
        place = bisect.bisect_right(self._ends, float(event["ts"]))
        before = self._runs[place - 1] if place else {}
        runs = _worker_runs(event)
        return 1 + sum(count > before.get(thread, 0) for thread, count in runs.items())


def _worker_runs(event: dict[str, Any]) -> dict[str, int]:
    workers = _stats(event).get("sub_threads", {})
    return {thread: int(counts.get("num_run", 0)) for thread, counts in workers.items()}


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


def tensor_bytes(tensor: onnx.TensorProto) -> int:
    """Whether its values are there or in a file beside."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return int(np.prod(tensor.dims, dtype=np.int64)) * int(dtype.itemsize)
