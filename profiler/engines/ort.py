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

from profiler.engines.ort_ceiling import measure_ceiling
from profiler.engines.ort_profile import NodeShapes, pool_threads, read_profile, tensor_bytes
from profiler.engines.ort_values import collect_values
from profiler.errors import EngineError
from profiler.inputs import make_arrays
from profiler.module_graph import describe_onnx
from profiler.onnx_bodies import has_bodies
from profiler.onnx_header import read_header
from profiler.onnx_light import load_light
from profiler.onnx_nested import Sources, WrittenOut, body_sources, name_bodies
from profiler.onnx_source import SourceMap
from profiler.outputs import save_outputs
from profiler.placement import usable_cores
from profiler.types import Examined, InputSpec, Load, ModelGraph, ThreadUse, Traced

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
        self._shapes = NodeShapes()
        self._pool_threads = 0
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
        if has_bodies(load_light(self._optimized_path).graph):
            optimized = onnx.load(self._optimized_path, load_external_data=False)
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
        traced = read_profile(events, warmup, self._sources or {}, self._inner, self._shapes)
        pool = options.intra_op_num_threads or len(usable_cores())
        self._pool_threads = max(pool, pool_threads(events))
        return msgspec.structs.replace(traced, latencies_ns=tuple(latencies), graph=graph)

    def examine(self) -> Examined:
        """Threads as of the last trace; the ceiling on the CPU alone."""
        on_cpu = self._command.spec.device == "cpu"
        return Examined(
            ceiling=measure_ceiling(self._session_options()) if on_cpu else None,
            threads=ThreadUse(threads=self._pool_threads) if self._pool_threads else None,
        )

    def called_with(self, inputs: tuple[InputSpec, ...]) -> Callable[[], object]:
        feeds = {name: a for name, a in make_arrays(inputs).items() if name in self._feeds}
        return lambda: self._session.run(None, feeds)

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

        model = onnx.load(self._model_path, load_external_data=False)
        found = dict(collect_values(model, names, run))
        save_outputs(path, list(found.values()))
        return tuple(found)

    def output_names(self, outputs: object) -> tuple[str, ...]:
        del outputs
        return tuple(item.name for item in self._session.get_outputs())

    def weights_bytes(self) -> int:
        graph = load_light(self._model_path).graph
        return sum(tensor_bytes(tensor) for tensor in graph.initializer)

    def close(self) -> None:
        self._session = None

    def _weights_go_beside(self) -> bool:
        """Large ones, and ones in a file that only the original model's folder has."""
        beside = read_header(self._model_path)
        external = beside is not None and bool(beside.weights_files)
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
        original = load_light(self._model_path)
        optimized = load_light(self._optimized_path)
        self._shapes = NodeShapes(optimized)
        self._inner = body_sources(original.graph, optimized.graph)
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
        return load_light(path)


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


def _choice(
    table: dict[str, Any], chosen: dict[str, str | int | float | bool], key: str, default: str
) -> Any:
    value = str(chosen.get(key, default))
    if value not in table:
        raise EngineError(f"{key} can't be {value!r}.", f"It can be: {', '.join(table)}.")
    return table[value]


def _short(error: Exception) -> str:
    """The first line of ONNX Runtime's message, without its code prefix."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return line.split(" : ", 3)[-1][:500]
