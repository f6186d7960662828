"""The engine process: a command in, a reply out, nothing else while it measures."""

from __future__ import annotations

import gc
import os
import random
import re
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from profiler.callers import Callers
from profiler.child import settle_in
from profiler.errors import EngineError, ProfilerError
from profiler.foreign_load import ForeignLoad
from profiler.generation.base import Generator
from profiler.placement import begin_on_first_cpu, keep_on
from profiler.rest import wait_for_rest
from profiler.types import (
    AnyCommand,
    AnyReply,
    Close,
    EngineKind,
    Failed,
    Generations,
    Infer,
    Latencies,
    Load,
    Loaded,
    ModelSource,
    OutputsSaved,
    SaveOutputs,
    SaveValues,
    Trace,
    Traced,
    TryInputs,
    ValuesSaved,
)

if TYPE_CHECKING:
    from profiler.engines.base import Engine

# Milliseconds for which a thread of LLVM's or Intel's OpenMP spins (200 unless told): longer than
# the gaps within a call, shorter than the wait for rest. GNU's, of the Linux wheels, spins for 5.
SHORT_SPINNING = {"KMP_BLOCKTIME": "10"}
# Kineto, PyTorch's profiler, writes "USDT:... profiler_start" (its level 5) on every trace.
QUIET = {"KINETO_LOG_LEVEL": "6"}


def main(connection: Connection, log_path: str, network: bool = False) -> None:
    """Serve commands until `Close`, or until the parent is gone.

    `network`: this process asks a server, and loads no model.
    """
    for name, value in (SHORT_SPINNING | QUIET).items():
        os.environ.setdefault(name, value)
    settle_in(Path(log_path), network=network)
    worker = Worker(network)
    decoder: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(AnyCommand)
    encoder = msgspec.msgpack.Encoder()
    while True:
        try:
            command = decoder.decode(connection.recv_bytes())
        except EOFError:
            return
        if isinstance(command, Close):
            worker.close()
            return
        connection.send_bytes(encoder.encode(worker.answer(command)))


class Worker:
    """Holds the loaded engine."""

    def __init__(self, network: bool = False) -> None:
        self._network = network
        self._engine: Engine | None = None
        self._model: ModelSource | None = None
        self._process = psutil.Process()
        # As it was before the first trace, whose own sessions and events aren't the model's.
        self._peak_rss_bytes = 0
        self._told_of_unrest = False
        self._callers: Callers | None = None
        self._shift = bytearray()

    def answer(self, command: AnyCommand) -> AnyReply:
        """The reply; every error becomes a `Failed`, since nothing above could handle it."""
        try:
            return self._answer(command)
        except ProfilerError as error:
            return Failed(error=type(error).__name__, message=error.message, hint=error.hint)
        except Exception as error:
            traceback.print_exc()
            first_line = str(error).strip().splitlines()[:1] or [""]
            return Failed(
                error="EngineError",
                message=f"{type(error).__name__}: {first_line[0][:500]}",
                hint="The whole message is in the log.",
                details=traceback.format_exc(),
            )

    def close(self) -> None:
        if self._callers:
            self._callers.close()
        if self._engine:
            self._engine.close()

    def _answer(self, command: AnyCommand) -> AnyReply:
        if isinstance(command, Load):
            return self._load(command)
        if self._engine is None:
            raise EngineError("No model is loaded.")
        reply = self._answer_of(self._engine, command)
        if not isinstance(command, Infer | TryInputs):
            self._rest()
        return reply

    def _answer_of(self, engine: Engine, command: AnyCommand) -> AnyReply:
        match command:
            case Infer():
                return self._infer(engine, command)
            case Trace():
                self._peak_rss_bytes = self._peak_rss_bytes or _peak_rss_bytes(self._process)
                traced = _traced(engine, command)
                if not command.describe:
                    return traced
                examined = engine.examine()
                return msgspec.structs.replace(self._described(traced), examined=examined)
            case TryInputs():
                call = engine.called_with(command.inputs)
                return self._timed(call, engine.synchronize, command.iterations)
            case SaveOutputs():
                engine.save_outputs(Path(command.path))
                return OutputsSaved(path=command.path)
            case SaveValues():
                path = Path(command.path)
                names = engine.save_values(command.names, path)
                return ValuesSaved(path=command.path, names=names, size_bytes=path.stat().st_size)
            case _:
                raise EngineError(f"Unknown command {type(command).__name__}.")

    def _load(self, command: Load) -> Loaded:
        from profiler.engines import create_engine

        if self._network and command.spec.engine is not EngineKind.ENDPOINT:
            raise EngineError("A process that has the network loads no model.")
        keep_on(command.cpus)
        self._shift = shifted_heap(command)
        engine = create_engine(command)
        baseline = self._process.memory_info().rss
        started = time.perf_counter_ns()
        engine.load()
        loaded = time.perf_counter_ns()
        outputs = engine.infer()
        engine.synchronize()
        first = time.perf_counter_ns()
        self._engine, self._model = engine, command.model
        # What is alive now stays: without it, a collection before each turn takes no time.
        gc.collect()
        gc.freeze()
        compile_time_ns = engine.after_first_call()
        count = int(command.spec.options.get("callers", 1))
        if count > 1:
            self._callers = Callers(count, engine.caller)
        return Loaded(
            load_time_ns=loaded - started,
            first_iteration_ns=first - loaded,
            engine_version=engine.version,
            compile_time_ns=compile_time_ns,
            graph_note=engine.graph_note,
            input_note=engine.input_note,
            baseline_rss_bytes=baseline,
            rss_bytes=self._process.memory_info().rss,
            weights_bytes=engine.weights_bytes(),
            output_names=engine.output_names(outputs),
        )

    def _described(self, traced: Traced) -> Traced:
        """With the graph of the model's file, where the engine itself had none to tell."""
        if traced.graph is not None or self._model is None:
            return traced
        from profiler.module_graph import describe

        return msgspec.structs.replace(traced, graph=describe(self._model))

    def _rest(self) -> None:
        """Leave the cores free for the next lane; what goes to stdout is the lane's log."""
        if not wait_for_rest() and not self._told_of_unrest:
            self._told_of_unrest = True
            sys.stderr.write("Threads of this lane work on between calls, into others' turns.\n")
            sys.stderr.flush()

    def _infer(self, engine: Engine, command: Infer) -> Latencies:
        if isinstance(engine, Generator):
            return self._generated(engine, command)
        if self._callers:
            return self._called(self._callers, command)
        return self._timed(engine.infer, engine.synchronize, command.iterations, command.lead_in)

    def _generated(self, engine: Generator, command: Infer) -> Latencies:
        generations = Generations(steps_ns=())

        def lead_in() -> None:
            if command.lead_in:
                engine.generate(command.lead_in)

        def generate() -> list[int]:
            nonlocal generations
            generations = engine.generate(command.iterations)
            return [sum(steps) for steps in generations.steps_ns]

        return msgspec.structs.replace(self._turn(lead_in, generate), generations=generations)

    def _called(self, callers: Callers, command: Infer) -> Latencies:
        duration_ns = 0

        def lead_in() -> None:
            if command.lead_in:
                callers.run(command.lead_in)

        def block() -> list[int]:
            nonlocal duration_ns
            latencies, duration_ns = callers.run(command.iterations)
            return latencies

        return msgspec.structs.replace(self._turn(lead_in, block), duration_ns=duration_ns)

    def _timed(
        self,
        infer: Callable[[], object],
        synchronize: Callable[[], None],
        iterations: int,
        lead_in: int = 0,
    ) -> Latencies:
        clock = time.perf_counter_ns
        latencies = [0] * iterations

        def lead() -> None:
            for _ in range(lead_in):
                infer()
                synchronize()

        def block() -> list[int]:
            for index in range(iterations):
                started = clock()
                infer()
                synchronize()
                latencies[index] = clock() - started
            return latencies

        return self._turn(lead, block)

    def _turn(self, lead_in: Callable[[], None], block: Callable[[], list[int]]) -> Latencies:
        """`lead_in` isn't timed; `block` gives its own latencies. No collection of garbage."""
        cpu_ns = time.process_time_ns()
        gc.collect()
        gc.disable()
        faults = _page_faults()
        begin_on_first_cpu()
        try:
            lead_in()
            block_started, faults = time.perf_counter_ns(), _page_faults()
            latencies = block()
        finally:
            minor, major = (now - then for now, then in zip(_page_faults(), faults, strict=True))
            gc.enable()
            self._rest()
            cpu_ns = time.process_time_ns() - cpu_ns
        return Latencies(
            started_ns=block_started,
            latencies_ns=tuple(latencies),
            cpu_time_ns=cpu_ns,
            peak_rss_bytes=self._peak_rss_bytes or _peak_rss_bytes(self._process),
            minor_page_faults=minor,
            major_page_faults=major,
        )


def _traced(engine: Engine, command: Trace) -> Traced:
    """With what others took of the CPU meanwhile."""
    load, cpu_ns = ForeignLoad(), time.process_time_ns()
    traced = engine.trace(command.iterations, command.warmup)
    foreign, steal = load.shares(time.process_time_ns() - cpu_ns)
    return msgspec.structs.replace(traced, foreign_cpu_share=foreign, steal_share=steal)


def shifted_heap(command: Load) -> bytearray:
    """A block of random size that stays allocated, so that what follows lies elsewhere.

    Where a program's memory lies decides about its time, by several percent (Mytkowicz et al. 2009,
    "Producing wrong data without doing anything obviously wrong!"). The system moves the heap by
    whole pages only: without this, one launch would lie within its pages as the next does, and a
    lane be lucky in all of a run.
    """
    seed = f"{command.seed} {command.launch} {command.spec.label}"
    return bytearray(random.Random(seed).randrange(1 << 10, 1 << 16, 16))


def _page_faults() -> tuple[int, int]:
    """(minor, major) of this process so far; zeros where the system doesn't count them."""
    try:
        import resource
    except ImportError:
        return 0, 0
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_minflt, usage.ru_majflt


def _peak_rss_bytes(process: psutil.Process) -> int:
    """Highest resident set so far; where the system doesn't keep it, the present one."""
    memory = process.memory_info()
    if hasattr(memory, "peak_wset"):
        return int(memory.peak_wset)
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: on Linux a child starts with its parent's.
        match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
        return int(match[1]) * 1024 if match else int(memory.rss)
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
