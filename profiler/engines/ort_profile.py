"""Read ONNX Runtime's own profile: operators with their shapes, and what its threads did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import onnx

from profiler.types import OpTiming, ThreadUse, Traced

KERNEL = "_kernel_time"
Entry = dict[str, list[int]]


class NodeShapes:
    """What a profile leaves out, from the optimized graph: weights that were packed at load time,
    and a pooling's window.
    """

    def __init__(self, optimized: onnx.ModelProto | None = None) -> None:
        graph = optimized.graph if optimized else onnx.GraphProto()
        self._weights = {
            tensor.name: {_dtype(tensor.data_type): list(tensor.dims)}
            for tensor in graph.initializer
        }
        # A node without a name has this one in profiles.
        self._nodes = {
            node.name or f"{node.op_type}_{index}": node for index, node in enumerate(graph.node)
        }

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
    sources: dict[str, tuple[str, ...]],
    shapes: NodeShapes | None = None,
) -> Traced:
    """Operators of the profiled calls after the first `skip`, from ONNX Runtime's own events.

    The file has times in microseconds. Nested graphs' nodes (If, Loop) lie within their parent's
    event and are left to it, so that no time is counted twice.
    """
    runs = _runs(events)[skip:]
    described = shapes or NodeShapes()
    ops: list[OpTiming] = []
    number = 0
    ends_us: dict[int, float] = {}
    for event in _kernels(events):
        while number < len(runs) and event["ts"] > runs[number]["ts"] + runs[number]["dur"]:
            number += 1
        if number == len(runs):
            break
        start_us = event["ts"] - runs[number]["ts"]
        thread = int(event.get("tid", 0))
        if start_us < 0 or event["ts"] + event["dur"] <= ends_us.get(thread, -1):
            continue
        ends_us[thread] = event["ts"] + event["dur"]
        arguments = event.get("args", {})
        name = event["name"].removesuffix(KERNEL)
        ops.append(
            OpTiming(
                name=name,
                op_type=str(arguments.get("op_name", "")),
                start_ns=int(start_us * 1000),
                duration_ns=int(event["dur"] * 1000),
                source_nodes=sources.get(name, ()),
                iteration=number,
                thread=thread,
                shapes=described.text(name, arguments),
                provider=str(arguments.get("provider", "")),
            )
        )
    return Traced(
        started_ns=0,
        latencies_ns=tuple(int(run["dur"] * 1000) for run in runs),
        ops=tuple(ops),
    )


def thread_use(events: list[dict[str, Any]], skip: int) -> ThreadUse:
    """From the `thread_scheduling_stats` of the calls after the first `skip`.

    A pool of one thread has none. Workers' `num_run` counts on through the session; the caller's
    `Run`, `Wait` and the rest are microseconds of that operator.
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
