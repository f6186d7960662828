"""Silero VAD, a real model with branches and recurrent state, from file to verdict."""

from __future__ import annotations

import msgspec
import numpy as np
import onnxruntime
import pytest

from profiler import supervisor
from profiler.errors import ConversionError
from profiler.inputs import apply_overrides, make_arrays
from profiler.jobs import inspect_model, onnx_form
from profiler.plan import default_plan
from profiler.session import Session
from profiler.types import EngineKind, EngineSpec, ModelInfo, ModelKind, RoundKind, WarmupRule
from tests import model_zoo

ORT = EngineSpec(label="ort", engine=EngineKind.ORT)
EAGER = EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER)


@pytest.fixture(scope="module")
def info() -> ModelInfo:
    return inspect_model(model_zoo.silero("silero_vad.onnx"))


def measured(info: ModelInfo, *engines: EngineSpec) -> Session:
    """The session of a short run, by real engine processes."""
    plan = default_plan(info, engines=engines, baseline="ort", time_limit_s=3.0)
    plan = msgspec.structs.replace(plan, warmup=WarmupRule(time_limit_s=1.0))
    session = Session()
    for event in supervisor.run(plan):
        session.apply(event)
    return session


def test_what_the_inspection_tells(info: ModelInfo) -> None:
    assert info.source.kind is ModelKind.ONNX
    assert [spec.name for spec in info.inputs] == ["input", "state", "sr"]
    by_name = {spec.name: spec for spec in info.inputs}
    assert by_name["state"].shape == (2, 1, 128)
    assert (by_name["sr"].shape, by_name["sr"].dtype) == ((), "int64")
    assert make_arrays(info.inputs)["sr"] == 16_000
    assert [output.name for output in info.outputs] == ["output", "stateN"]
    assert info.op_counts["If"] > 1
    assert info.node_count == sum(info.op_counts.values())


def test_the_proposed_inputs_run(info: ModelInfo) -> None:
    session = onnxruntime.InferenceSession(info.source.path, providers=["CPUExecutionProvider"])
    output, state = session.run(None, make_arrays(info.inputs))
    assert output.shape == (1, 1)
    assert 0 <= output[0, 0] <= 1
    assert np.isfinite(state).all()


def test_both_engines_measure_it(info: ModelInfo) -> None:
    """The size that the model was trained for: 512 samples after 64 of context."""
    inputs = apply_overrides(info.inputs, ["input=[1,576]"])
    session = measured(msgspec.structs.replace(info, inputs=inputs), ORT, EAGER)
    assert session.finished is not None
    assert session.failures == {}
    for label in ("ort", "eager"):
        timed = [r for r in session.rounds[label] if r.kind is RoundKind.TIMED]
        assert sum(len(r.latencies_ns) for r in timed) > 10
        statistics = session.latency_stats(label)
        assert statistics is not None
        assert 0 < statistics.min_ns <= statistics.p50_ns <= statistics.p99_ns
        assert session.operators(label)


def test_torchscript_with_an_argument_that_is_no_tensor_says_so() -> None:
    info = inspect_model(model_zoo.silero("silero_vad.jit"))
    assert info.source.kind is ModelKind.TORCHSCRIPT
    assert info.parameter_count > 100_000
    assert any("sr" in note and "int" in note and "can't be run" in note for note in info.notes)
    with pytest.raises(ConversionError, match="sr"):
        onnx_form(info.source, info.inputs)
