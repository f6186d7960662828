"""Sweeps on scripted lanes: exact latencies that depend on the point."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import pytest

from profiler import lane, lane_group, supervisor
from profiler.sweep import runner
from profiler.sweep.axes import parse_axis
from profiler.sweep.state import Sweep
from profiler.types import (
    AnyCommand,
    EngineKind,
    EngineSpec,
    Event,
    Failed,
    InputSpec,
    Load,
    ModelKind,
    ModelSource,
    RunPlan,
    StoppingRule,
    SweepPlan,
)
from tests.scripted_engine import Clock, Script, ScriptedLoad, ScriptedProcess, ScriptedTable

# By lane label, from the batch to the latency in ns.
Latency = Callable[[int], int]


def plan(*labels: str) -> RunPlan:
    """ONNX Runtime lanes over an input with a dynamic batch; the first is the baseline."""
    return RunPlan(
        model=ModelSource(path="m.onnx", kind=ModelKind.ONNX, sha256="0", size_bytes=1),
        inputs=(InputSpec(name="x", dtype="float32", shape=(1, 3), symbols=("batch", None)),),
        engines=tuple(EngineSpec(label=label, engine=EngineKind.ORT) for label in labels),
        baseline=labels[0],
        stopping=StoppingRule(target_width=0.15),
    )


def sweep_plan(made: RunPlan, *axes: str, seed: int = 0) -> SweepPlan:
    return SweepPlan(plan=made, axes=tuple(parse_axis(text, made) for text in axes), seed=seed)


class BatchProcess(ScriptedProcess):
    """Takes as long as its lane takes for the batch that it was loaded with."""

    latency: Latency
    fails_at: int

    def send(self, command: AnyCommand) -> None:
        if isinstance(command, Load):
            batch = command.inputs[0].shape[0]
            self._turns = repeat(self.latency(batch))
            failed = Failed(error="EngineError", message="The batch is too big.")
            self._script.load_error = failed if batch == self.fails_at else None
        super().send(command)


@dataclass
class Driver:
    """Runs sweeps; `journal` has each command of each lane."""

    latencies: dict[str, Latency]
    fails_at: int = 0
    journal: list[tuple[str, str]] = field(default_factory=list)

    def make(self, spec: EngineSpec, work_dir: Path, launch: int = 0) -> BatchProcess:
        del work_dir
        turns: Iterator[int] = repeat(1)
        process = BatchProcess(spec, Script(), turns, self.journal, Clock(), launch)
        process.latency, process.fails_at = self.latencies[spec.label], self.fails_at
        return process

    def events(
        self,
        sweep: SweepPlan,
        path: Path,
        cancelled: Callable[[], bool] = lambda: False,
        before: Sweep | None = None,
    ) -> list[Event]:
        return list(runner.run_sweep(sweep, path, cancelled=cancelled, before=before))


def install(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> None:
    """Put scripted lanes in the place of processes."""
    monkeypatch.setattr(lane, "EngineProcess", driver.make)
    monkeypatch.setattr(lane_group, "ForeignLoad", lambda: ScriptedLoad(repeat(0.0)))
    monkeypatch.setattr(supervisor, "ProcessTable", ScriptedTable)
