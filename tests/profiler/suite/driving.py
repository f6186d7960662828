"""The suite on scripted lanes: exact latencies, no model is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

import pytest

from profiler import lane, lane_group, supervisor
from profiler.errors import ModelFileError
from profiler.suite import planning, run
from profiler.suite.catalogue import SuiteModel, chosen
from profiler.suite.planning import suite_plan
from profiler.suite.records import SuitePlan
from profiler.types import Capabilities, Event, ModelInfo, ModelKind, ModelSource
from tests.scripted_engine import Script, ScriptedLoad, ScriptedTable, scripted

MS = 1_000_000
HERE = Capabilities(
    execution_providers=("TensorrtExecutionProvider", "CPUExecutionProvider"), cuda_devices=0
)


def plan(*keys: str, quick: bool = True) -> SuitePlan:
    return suite_plan(chosen(list(keys)), HERE, quick=quick)


def install(
    monkeypatch: pytest.MonkeyPatch, *, eager_ns: int, ort_ns: int, fails: tuple[str, ...] = ()
) -> list[str]:
    """Put scripted lanes in the place of processes; the list gets each model that is asked for."""
    asked: list[str] = []

    def built(model: SuiteModel, cancelled: Callable[[], bool]) -> ModelInfo:
        del cancelled
        asked.append(model.key)
        if model.key in fails:
            raise ModelFileError("It can't be built.")
        source = ModelSource(path="m.onnx", kind=ModelKind.ONNX, sha256="0", size_bytes=1)
        return ModelInfo(source=source, inputs=model.inputs, outputs=())

    def prepare(models: object, cancelled: object) -> Iterator[Event]:
        del models, cancelled
        return iter(())

    scripts = {
        "torch-eager": Script(latencies_ns=repeat(eager_ns)),
        "torch-compile": Script(latencies_ns=repeat(eager_ns)),
        "ort": Script(latencies_ns=repeat(ort_ns)),
    }
    monkeypatch.setattr(run, "built", built)
    monkeypatch.setattr(run, "prepare", prepare)
    monkeypatch.setattr(run, "check_library", lambda: None)
    monkeypatch.setattr(planning, "QUICK_TARGET_WIDTH", 0.15)
    monkeypatch.setattr(lane, "EngineProcess", scripted(scripts, []))
    monkeypatch.setattr(lane_group, "ForeignLoad", lambda: ScriptedLoad(repeat(0.0)))
    monkeypatch.setattr(supervisor, "ProcessTable", ScriptedTable)
    return asked


def events(
    made: SuitePlan, folder: Path, cancelled: Callable[[], bool] = lambda: False
) -> list[Event]:
    return list(run.run_suite(made, folder, cancelled=cancelled))
