"""An engine process that follows a script: exact latencies, a crash, a hang, on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from profiler.errors import EngineError
from profiler.outputs import save_outputs
from profiler.types import (
    AnyCommand,
    AnyReply,
    EngineKind,
    EngineSpec,
    Failed,
    ForeignProcess,
    Infer,
    InputSpec,
    Latencies,
    Load,
    Loaded,
    ModelKind,
    ModelSource,
    OpTiming,
    OutputsSaved,
    RunPlan,
    SaveOutputs,
    SaveValues,
    StoppingRule,
    Trace,
    Traced,
    TryInputs,
    ValuesSaved,
)


@dataclass
class Script:
    """What a lane does. `latencies_ns` gives one value a turn."""

    latencies_ns: Iterable[int] = field(default_factory=lambda: repeat(1_000_000))
    output: float = 1.0
    load_s: float = 0.0
    load_error: Failed | None = None
    # So many launches load before `load_error` comes.
    loads_well: int = 0
    trace_error: Failed | None = None
    # As long as its calls would take, if not said.
    trace_s: float | None = None
    dies_at_turn: int | None = None
    hangs_at_turn: int | None = None
    hangs_in_trace: bool = False
    size_error: Failed | None = None
    hangs_with_new_size: bool = False
    log: tuple[str, ...] = ()


def scripted_plan(*labels: str, **stopping: Any) -> RunPlan:
    """ONNX Runtime lanes without inputs; the first is the baseline. `stopping`: of its rule."""
    return RunPlan(
        model=ModelSource(path="m.onnx", kind=ModelKind.ONNX, sha256="0", size_bytes=1),
        inputs=(),
        engines=tuple(EngineSpec(label=label, engine=EngineKind.ORT) for label in labels),
        baseline=labels[0],
        stopping=StoppingRule(**stopping),
    )


@dataclass
class Clock:
    """Seconds that pass only while a scripted lane works, or is waited for."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


class ScriptedLoad:
    """Stands in for `ForeignLoad`: what others took of the CPU in each turn, over all lanes."""

    def __init__(self, shares: Iterator[float]) -> None:
        self._shares = shares

    def shares(self, engine_cpu_time_ns: int) -> tuple[float, float]:
        del engine_cpu_time_ns
        return next(self._shares), 0.0


class ScriptedTable:
    """Stands in for `ProcessTable`: it is always the backup."""

    def look(self, own: Set[int]) -> tuple[ForeignProcess, ...]:
        assert own == {4242}
        return (ForeignProcess(name="backup", pid=7, cpu_ns=1_000_000),)


class ScriptedProcess:
    """Stands in for `EngineProcess`; `journal` notes every command of every lane in order."""

    def __init__(
        self,
        spec: EngineSpec,
        script: Script,
        turns: Iterator[int],
        journal: list[tuple[str, str]],
        clock: Clock,
        launch: int,
    ) -> None:
        self.spec = spec
        self._clock = clock
        self._launch = launch
        self.pid = 4242
        self.alive = True
        self.closed = False
        self._script = script
        self._turns = turns
        self._count = 0
        self._journal = journal
        self._reply: AnyReply | None = None
        # So long it works on before it replies.
        self._owed_s = 0.0
        self._log = list(script.log)
        self.tried: list[tuple[InputSpec, ...]] = []

    def send(self, command: AnyCommand) -> None:
        self._journal.append((self.spec.label, type(command).__name__))
        self._reply = self._answer(command)

    def receive(self, timeout_s: float) -> AnyReply | None:
        if not self.alive:
            raise EngineError(f"{self.spec.label} died with SIGKILL.", "Look at the log.")
        works_s = timeout_s if self._reply is None else min(self._owed_s, timeout_s)
        self._clock.now_s += works_s
        self._owed_s -= works_s
        if self._owed_s > 0:
            return None
        reply, self._reply = self._reply, None
        return reply

    def log_lines(self) -> list[str]:
        lines, self._log = self._log, []
        return lines

    def log_tail(self, count: int = 20) -> tuple[str, ...]:
        return self._script.log[-count:]

    def close(self, timeout_s: float = 2.0) -> None:
        del timeout_s
        self.closed = True
        self.alive = False

    def ask_to_leave(self) -> None:
        """It has nothing to end."""

    def _answer(self, command: AnyCommand) -> AnyReply | None:
        script = self._script
        match command:
            case Load():
                self._owed_s = script.load_s
                loaded = Loaded(
                    load_time_ns=5, first_iteration_ns=6, engine_version="1", output_names=("y",)
                )
                fails = self._launch >= script.loads_well
                return (script.load_error if fails else None) or loaded
            case Infer(iterations=iterations, lead_in=lead_in):
                return self._latencies(iterations, lead_in)
            case SaveOutputs(path=path):
                save_outputs(Path(path), [np.full((1, 4), script.output, dtype=np.float32)])
                return OutputsSaved(path=path)
            case SaveValues(path=path, names=names):
                value = np.full((1, 4), script.output, dtype=np.float32)
                save_outputs(Path(path), [value] * len(names))
                return ValuesSaved(path=path, names=names, size_bytes=Path(path).stat().st_size)
            case Trace(iterations=iterations):
                if script.hangs_in_trace:
                    return None
                op = OpTiming(name="a", op_type="Conv", start_ns=0, duration_ns=9)
                calls_s = next(self._turns) * iterations / 1e9
                self._owed_s = calls_s if script.trace_s is None else script.trace_s
                traced = Traced(started_ns=0, latencies_ns=(9,) * iterations, ops=(op,))
                return script.trace_error or traced
            case TryInputs(inputs=inputs, iterations=iterations):
                self.tried.append(inputs)
                if script.hangs_with_new_size:
                    return None
                taken_ns = (50_000_000,) + (1_000_000,) * (iterations - 1)
                return script.size_error or Latencies(
                    started_ns=0, latencies_ns=taken_ns, cpu_time_ns=0, peak_rss_bytes=1
                )
        return None

    def _latencies(self, iterations: int, lead_in: int) -> Latencies | None:
        turn = self._count
        self._count += 1
        if turn == self._script.hangs_at_turn:
            return None
        if turn == self._script.dies_at_turn:
            self.alive = False
            return None
        value = next(self._turns)
        self._owed_s = value * (lead_in + iterations) / 1e9
        return Latencies(
            started_ns=turn, latencies_ns=(value,) * iterations, cpu_time_ns=0, peak_rss_bytes=1
        )


def scripted(
    scripts: dict[str, Script], journal: list[tuple[str, str]], clock: Clock | None = None
) -> Callable[..., ScriptedProcess]:
    """A replacement for the `EngineProcess` class."""
    clock = clock or Clock()
    # A lane's later launches go on where the one before ended.
    turns = {label: iter(script.latencies_ns) for label, script in scripts.items()}

    def make(spec: EngineSpec, work_dir: Path, launch: int = 0) -> ScriptedProcess:
        del work_dir
        journal.append((spec.label, f"launch {launch}"))
        return ScriptedProcess(spec, scripts[spec.label], turns[spec.label], journal, clock, launch)

    return make
