"""ONNX Runtime as an engine."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime

from profiler.engines.ort_values import collect_values
from profiler.errors import EngineError
from profiler.inputs import make_arrays
from profiler.module_graph import describe_onnx
from profiler.onnx_nested import Sources, WrittenOut, body_sources, has_bodies, name_bodies
from profiler.onnx_source import SourceMap, load_graph_only
from profiler.outputs import save_outputs
from profiler.placement import usable_cores
from profiler.types import Load, ModelGraph, OpTiming, Traced

GRAPH_LEVELS = {
    "disable": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
EXECUTION_MODES = {
    "sequential": onnxruntime.ExecutionMode.ORT_SEQUENTIAL,
    "parallel": onnxruntime.ExecutionMode.ORT_PARALLEL,
}
DEFAULT_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# Session options that are switched by a lane's option of another name.
SWITCHES = {"memory_arena": "enable_cpu_mem_arena", "memory_pattern": "enable_mem_pattern"}
# Protocol buffers end at 2 GiB; weights above this go beside the optimized model.
EXTERNAL_ABOVE_BYTES = 1 << 30


class OrtEngine:
    """One InferenceSession. Traces run in a second, short-lived session with profiling on."""

    def __init__(self, command: Load) -> None:
        self.version = f"onnxruntime {onnxruntime.__version__}"
        self.graph_note = (
            "" if command.model.derived_from is None else "converted to ONNX from PyTorch"
        )
        if precision := command.spec.options.get("precision"):
            self.graph_note = ", ".join(filter(None, (self.graph_note, f"in {precision}")))
        self._command = command
        self._options = command.spec.options
        self._model_path = Path(command.model.path)
        self._optimized_path = Path(command.work_dir) / "optimized.onnx"
        self.input_note = ""
        self._session: Any = None
        self._binding: Any = None
        self._sources: Sources | None = None
        self._inner: Sources = {}
        self._weights: dict[str, int] = {}
        self._feeds = make_arrays(command.inputs)

    def open_session(self) -> Any:
        """The model in a session with the lane's options. Raises EngineError."""
        self._session = self._make_session(self._model_path, self._session_options())
        return self._session

    def load(self) -> None:
        self.open_session()
        self._feeds = {
            item.name: self._feeds[item.name]
            for item in self._session.get_inputs()
            if item.name in self._feeds
        }
        device = self._command.spec.device
        if self._options.get("io_binding", device != "cpu"):
            self._binding = _bound(self._session, self._feeds, device)
            self.input_note = f"inputs and outputs bound on {device} before the calls"
        else:
            self.input_note = "NumPy arrays in host memory, passed to each call"

    def infer(self) -> object:
        if self._binding is not None:
            return self._session.run_with_iobinding(self._binding)
        return self._session.run(None, self._feeds)

    @contextlib.contextmanager
    def caller(self) -> Iterator[Callable[[], object]]:
        """`run` may be called from several threads; a binding belongs to one."""
        if self._binding is None:
            yield self.infer
            return
        binding = _bound(self._session, self._feeds, self._command.spec.device)

        def call() -> object:
            self._session.run_with_iobinding(binding)
            return binding.synchronize_outputs()

        yield call

    def synchronize(self) -> None:
        """`run` returns when the outputs are in host memory."""
        if self._binding is not None:
            self._binding.synchronize_outputs()

    def after_first_call(self) -> int:
        """The graph was optimized at load time."""
        return 0

    def _write_optimized(self) -> None:
        """Once for all launches."""
        if self._optimized_path.exists():
            return
        self._write(self._optimized_path, self._session_options())
        optimized = load_graph_only(self._optimized_path)
        if has_bodies(optimized.graph):
            name_bodies(optimized.graph)
            onnx.save(optimized, self._optimized_path)

    def _write(self, path: Path, options: Any) -> None:
        """The model as a session runs it, by one of its own, which takes no part in load time."""
        options.optimized_model_filepath = str(path)
        if self._weights_go_beside():
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", f"{path.stem}.weights"
            )
        self._make_session(self._model_path, options)

    def trace(self, iterations: int, warmup: int) -> Traced:
        self._write_optimized()
        options = self._session_options()
        options.graph_optimization_level = GRAPH_LEVELS["disable"]
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(self._command.work_dir) / "profile")
        session = self._make_session(self._optimized_path, options)
        for _ in range(warmup):
            session.run(None, self._feeds)
        latencies = []
        for _ in range(iterations):
            started = time.perf_counter_ns()
            session.run(None, self._feeds)
            latencies.append(time.perf_counter_ns() - started)
        profile = Path(session.end_profiling())
        events = json.loads(profile.read_text(encoding="utf-8"))
        profile.unlink()
        graph = self._find_sources()
        traced = read_profile(events, warmup, self._sources or {}, self._inner)
        ops = tuple(
            msgspec.structs.replace(op, weights_bytes=self._weights.get(op.name, 0))
            for op in traced.ops
        )
        return msgspec.structs.replace(traced, latencies_ns=tuple(latencies), ops=ops, graph=graph)

    def save_outputs(self, path: Path) -> None:
        outputs = self._session.run(None, self._feeds)
        save_outputs(path, [np.asarray(value) for value in outputs])

    def save_values(self, names: Sequence[str], path: Path) -> tuple[str, ...]:
        """From a copy of the model in the lane's own options."""

        def run(model: bytes, outputs: Sequence[str]) -> list[Any]:
            options = self._session_options()
            # The copy is read from memory: its weights may lie beside the model's file.
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path",
                str(self._model_path.resolve().parent),
            )
            session = self._make_session(model, options)
            return list(session.run(list(outputs), self._feeds))

        found = dict(collect_values(load_graph_only(self._model_path), names, run))
        save_outputs(path, list(found.values()))
        return tuple(found)

    def output_names(self, outputs: object) -> tuple[str, ...]:
        del outputs
        return tuple(item.name for item in self._session.get_outputs())

    def weights_bytes(self) -> int:
        graph = load_graph_only(self._model_path).graph
        return sum(_tensor_bytes(tensor) for tensor in graph.initializer)

    def close(self) -> None:
        self._session = None

    def _weights_go_beside(self) -> bool:
        """Large ones, and ones in a file that only the original model's folder has."""
        weights = load_graph_only(self._model_path).graph.initializer
        external = any(w.data_location == onnx.TensorProto.EXTERNAL for w in weights)
        return external or self.weights_bytes() > EXTERNAL_ABOVE_BYTES

    def _session_options(self) -> Any:
        options = onnxruntime.SessionOptions()
        chosen = self._options
        options.intra_op_num_threads = int(chosen.get("intra_op_threads", 0) or self._cores())
        options.inter_op_num_threads = int(chosen.get("inter_op_threads", 0))
        options.graph_optimization_level = _choice(
            GRAPH_LEVELS, chosen, "graph_optimization_level", "all"
        )
        options.execution_mode = _choice(EXECUTION_MODES, chosen, "execution_mode", "sequential")
        spinning = bool(chosen.get("allow_spinning", True))
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
        # Else its threads go on spinning after a call and slow down the next lane's turn.
        stop = bool(chosen.get("stop_spinning", False))
        options.add_session_config_entry("session.force_spinning_stop", str(int(stop)))
        for name, attribute in SWITCHES.items():
            if name in chosen:
                setattr(options, attribute, bool(chosen[name]))
        for pair in filter(None, str(chosen.get("free_dimensions", "")).split(";")):
            dimension, _, size = pair.rpartition(":")
            options.add_free_dimension_override_by_name(dimension, int(size))
        options.log_severity_level = 3
        return options

    def _cores(self) -> int:
        """0: ONNX Runtime's own choice, a thread a core; it doesn't know of the lane's CPUs."""
        cpus = set(self._command.cpus)
        return sum(1 for core in usable_cores() if cpus & set(core)) if cpus else 0

    def _make_session(self, model: Path | bytes, options: Any) -> Any:
        default = DEFAULT_PROVIDERS[self._command.spec.device.split(":")[0]]
        provider = str(self._options.get("execution_provider", default))
        available = onnxruntime.get_available_providers()
        if provider not in available:
            raise EngineError(
                f"ONNX Runtime has no {provider} here.",
                f"It has: {', '.join(available)}.",
            )
        index = int(self._command.spec.device.partition(":")[2] or 0)
        wanted = (provider, {"device_id": index}) if "CUDA" in provider else provider
        try:
            given = model if isinstance(model, bytes) else str(model)
            session = onnxruntime.InferenceSession(given, options, providers=[wanted])
        except Exception as error:
            raise EngineError(f"ONNX Runtime can't load the model: {_short(error)}") from error
        # Where a provider's own libraries are missing, ONNX Runtime goes on without it.
        if session.get_providers()[0] != provider:
            raise EngineError(
                f"ONNX Runtime could not start {provider}, and fell back to "
                f"{session.get_providers()[0]}.",
                "Its libraries may be missing; onnxruntime's page of that provider lists them.",
            )
        return session

    def _find_sources(self) -> ModelGraph | None:
        """Original nodes by profile name, at the first call, which returns the model's graph."""
        if self._sources is not None:
            return None
        original = load_graph_only(self._model_path)
        optimized = load_graph_only(self._optimized_path)
        self._inner = body_sources(original.graph, optimized.graph)
        self._weights = _weights_of_nodes(optimized.graph)
        folder = self._model_path.parent
        if not original.functions:
            source_map = SourceMap(original, optimized)
            self._sources = source_map.by_node_name()
            return describe_onnx(original, source_map.beside(), folder)
        written = WrittenOut(original)
        written.learn(self._plain())
        source_map = SourceMap(written.model, written.renamed(optimized))
        known = source_map.by_node_name()
        self._sources = {name: written.sources(values) for name, values in known.items()}
        return describe_onnx(original, written.beside(source_map.beside()), folder)

    def _plain(self) -> onnx.ModelProto:
        """The model with its functions written out, and nothing else done to it."""
        path = self._optimized_path.with_name("plain.onnx")
        if not path.exists():
            options = self._session_options()
            options.graph_optimization_level = GRAPH_LEVELS["disable"]
            self._write(path, options)
        return load_graph_only(path)


def _bound(session: Any, feeds: dict[str, Any], device: str) -> Any:
    """Inputs copied to the device once; outputs allocated there at the first call."""
    kind, _, index = device.partition(":")
    binding = session.io_binding()
    for name, array in feeds.items():
        value = onnxruntime.OrtValue.ortvalue_from_numpy(array, kind, int(index or 0))
        binding.bind_ortvalue_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, kind, int(index or 0))
    return binding


def create(command: Load) -> OrtEngine:
    return OrtEngine(command)


def read_profile(
    events: list[dict[str, Any]], skip: int, sources: Sources, inner_sources: Sources | None = None
) -> Traced:
    """Operators of the profiled calls after the first `skip`, from ONNX Runtime's own events.

    The file has times in microseconds. Nodes of bodies (If, Loop) lie within their parent's event,
    and are told apart by their names, so that no time is counted twice.
    """
    inner_sources = inner_sources or {}
    runs = sorted((e for e in events if e.get("name") == "model_run"), key=lambda e: e["ts"])
    runs = runs[skip:]
    kernels = sorted(
        (e for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")),
        key=lambda e: (e["ts"], -e["dur"]),
    )
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
        if event["name"].removesuffix("_kernel_time") in inner_sources:
            inner.append(_op_timing(event, number, start_us, thread, inner_sources))
            continue
        if event["ts"] + event["dur"] <= ends_us.get(thread, -1):
            continue
        ends_us[thread] = event["ts"] + event["dur"]
        ops.append(_op_timing(event, number, start_us, thread, sources))
    return Traced(
        started_ns=0,
        latencies_ns=tuple(int(run["dur"] * 1000) for run in runs),
        ops=tuple(ops),
        inner=tuple(inner),
    )


def _op_timing(
    event: dict[str, Any],
    iteration: int,
    start_us: float,
    thread: int,
    sources: Sources,
) -> OpTiming:
    arguments = event.get("args", {})
    name = event["name"].removesuffix("_kernel_time")
    return OpTiming(
        name=name,
        op_type=str(arguments.get("op_name", "")),
        start_ns=int(start_us * 1000),
        duration_ns=int(event["dur"] * 1000),
        source_nodes=sources.get(name, ()),
        iteration=iteration,
        thread=thread,
        shapes=_shapes(arguments),
        provider=str(arguments.get("provider", "")),
        input_bytes=int(arguments.get("activation_size") or 0),
        output_bytes=int(arguments.get("output_size") or 0),
        threads=_threads(arguments),
        wait_ns=_wait_ns(arguments),
    )


def _threads(arguments: dict[str, Any]) -> int:
    """Of the session's pool: the calling thread, and those that ran a part of the operator."""
    stats = arguments.get("thread_scheduling_stats")
    if not stats:
        return 0
    return 1 + sum(int(other["num_run"]) > 0 for other in stats.get("sub_threads", {}).values())


def _wait_ns(arguments: dict[str, Any]) -> int:
    """How long the calling thread waited for the others; the profile has microseconds."""
    stats = arguments.get("thread_scheduling_stats") or {}
    return int(stats.get("main_thread", {}).get("Wait", 0)) * 1000


def _shapes(arguments: dict[str, Any]) -> str:
    def text(key: str) -> str:
        entries = arguments.get(key) or []
        return ", ".join(
            f"{dtype}{list(shape)}" for entry in entries for dtype, shape in entry.items()
        )

    return f"{text('input_type_shape')} -> {text('output_type_shape')}"


def _choice(
    table: dict[str, Any], chosen: dict[str, str | int | float | bool], key: str, default: str
) -> Any:
    value = str(chosen.get(key, default))
    if value not in table:
        raise EngineError(f"{key} can't be {value!r}.", f"It can be: {', '.join(table)}.")
    return table[value]


def _weights_of_nodes(graph: onnx.GraphProto) -> dict[str, int]:
    """By profile name. The profile itself leaves out what ONNX Runtime has packed anew."""
    sizes = {tensor.name: _tensor_bytes(tensor) for tensor in graph.initializer}
    return {
        node.name or f"{node.op_type}_{index}": sum(sizes.get(name, 0) for name in node.input)
        for index, node in enumerate(graph.node)
    }


def _tensor_bytes(tensor: onnx.TensorProto) -> int:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return int(np.prod(tensor.dims, dtype=np.int64)) * int(dtype.itemsize)


def _short(error: Exception) -> str:
    """The first line of ONNX Runtime's message, without its code prefix."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line.split(" : ", 3)[-1][:500]
