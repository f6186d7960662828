"""ONNX Runtime's engine in this process: results, traces, options, errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from profiler.engines import create_engine
from profiler.engines.ort import OrtEngine, read_profile
from profiler.errors import EngineError
from profiler.inputs import make_arrays
from profiler.model_file import identify
from profiler.outputs import load_outputs
from profiler.types import EngineKind, InputSpec
from tests.profiler.engine_commands import PIXELS, TOKENS, X, load_command
from tests.profiler.onnx_torch import models

ORT = EngineKind.ORT


def loaded(
    content: bytes, inputs: tuple[InputSpec, ...], folder: Path, **options: str | int | bool
) -> OrtEngine:
    engine = create_engine(load_command(ORT, content, inputs, folder, **options))
    assert isinstance(engine, OrtEngine)
    engine.load()
    return engine


def test_outputs_are_the_models_and_saved_in_order(tmp_path: Path) -> None:
    engine = loaded(models.mlp(), X, tmp_path)
    engine.save_outputs(tmp_path / "out.npz")
    (actual,) = load_outputs(tmp_path / "out.npz")
    tensors = onnx.load_from_string(models.mlp()).graph.initializer
    first, second = (onnx.numpy_helper.to_array(tensor) for tensor in tensors)
    expected = np.maximum(make_arrays(X)["x"] @ first, 0) @ second
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert engine.output_names(engine.infer()) == ("y",)
    assert engine.weights_bytes() == (8 * 4 + 4 * 4) * 4
    assert engine.version.startswith("onnxruntime 1.")


def test_infer_returns_what_a_session_returns(tmp_path: Path) -> None:
    engine = loaded(models.resnet(), PIXELS, tmp_path)
    outputs: Any = engine.infer()
    assert [value.shape for value in outputs] == [(1, 10)]
    engine.synchronize()
    engine.close()


def test_a_trace_has_every_operator_of_every_call(tmp_path: Path) -> None:
    traced = loaded(models.mlp(), X, tmp_path).trace(3, 2)
    assert len(traced.latencies_ns) == 3
    by_call = [[op for op in traced.ops if op.iteration == i] for i in range(3)]
    names = [[(op.name, op.op_type, op.source_nodes) for op in ops] for ops in by_call]
    assert names[0] == names[1] == names[2]
    assert [op_type for _, op_type, _ in names[0]] == ["MatMul", "Relu", "MatMul"]
    assert [sources for *_, sources in names[0]] == [("hidden",), ("active",), ("y",)]
    for ops, latency in zip(by_call, traced.latencies_ns, strict=True):
        assert all(op.start_ns >= 0 and op.start_ns + op.duration_ns <= latency for op in ops)
    assert {op.provider for op in traced.ops} == {"CPUExecutionProvider"}
    assert traced.ops[0].shapes == "float[1, 8] -> float[1, 4]"
    first = traced.ops[0]
    assert (first.input_bytes, first.weights_bytes, first.output_bytes) == (32, 128, 16)
    assert first.threads >= 1


@pytest.mark.parametrize(
    ("build", "inputs", "without_source"),
    [(models.resnet, PIXELS, {"ReorderInput", "ReorderOutput"}), (models.bert, TOKENS, {"Shape"})],
    ids=["resnet", "bert"],
)
def test_sources_are_values_of_the_original_graph(
    build: Callable[[], bytes],
    inputs: tuple[InputSpec, ...],
    without_source: set[str],
    tmp_path: Path,
) -> None:
    traced = loaded(build(), inputs, tmp_path).trace(1, 2)
    original = {v for n in onnx.load_from_string(build()).graph.node for v in n.output}
    assert {value for op in traced.ops for value in op.source_nodes} <= original
    assert {op.op_type for op in traced.ops if not op.source_nodes} <= without_source
    with_source = sum(1 for op in traced.ops if op.source_nodes)
    assert with_source / len(traced.ops) > 0.9


def test_a_trace_leaves_no_file_behind_and_can_be_repeated(tmp_path: Path) -> None:
    engine = loaded(models.mlp(), X, tmp_path)
    names = [op.name for op in engine.trace(1, 2).ops]
    assert [op.name for op in engine.trace(1, 2).ops] == names
    assert [path.name for path in (tmp_path / "work-ort").iterdir()] == ["optimized.onnx"]


def test_nameless_nodes_have_sources(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Exp", ["x"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Exp", ["b"], ["y"]),
    ]
    content = models.model_bytes(nodes, {"x": [1, 8]}, {"y": [1, 8]})
    traced = loaded(content, X, tmp_path).trace(1, 2)
    assert [op.source_nodes for op in traced.ops] == [("a",), ("b",), ("y",)]


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    """The optimized model is in another folder, where the original's weights are not."""
    path = tmp_path / "external.onnx"
    model = onnx.load_from_string(models.resnet())
    onnx.save(model, str(path), save_as_external_data=True, location="weights", size_threshold=0)
    command = load_command(ORT, models.resnet(), PIXELS, tmp_path)
    engines = [create_engine(command)]
    second = tmp_path / "second"
    second.mkdir()
    changes = {"model": identify(path), "work_dir": str(second)}
    engines.append(create_engine(msgspec.structs.replace(command, **changes)))
    results = []
    for engine in engines:
        engine.load()
        engine.save_outputs(tmp_path / "out.npz")
        results.append(load_outputs(tmp_path / "out.npz")[0])
    np.testing.assert_array_equal(results[0], results[1])
    assert engines[0].weights_bytes() == engines[1].weights_bytes() > 10_000
    names = [op.name for op in engines[1].trace(1, 2).ops]
    assert "/model/classifier/classifier.1/Gemm" in names
    assert (second / "optimized.weights").stat().st_size > 10_000


def test_time_of_a_branch_is_counted_once(tmp_path: Path) -> None:
    def branch(op_type: str) -> onnx.GraphProto:
        value = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 8])
        return helper.make_graph([helper.make_node(op_type, ["x"], ["out"])], op_type, [], [value])

    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], name="sum", keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"], name="greater"),
        helper.make_node(
            "If",
            ["positive"],
            ["y"],
            name="branch",
            then_branch=branch("Exp"),
            else_branch=branch("Tanh"),
        ),
    ]
    zero = onnx.numpy_helper.from_array(np.array(0, dtype=np.float32), "zero")
    content = models.model_bytes(nodes, {"x": [1, 8]}, {"y": [1, 8]}, [zero])
    traced = loaded(content, X, tmp_path).trace(2, 2)
    assert [op.name for op in traced.ops] == ["sum", "greater", "branch"] * 2


@pytest.mark.parametrize("level", ["disable", "all"])
def test_the_optimization_level_reaches_the_session(level: str, tmp_path: Path) -> None:
    traced = loaded(models.resnet(), PIXELS, tmp_path, graph_optimization_level=level).trace(1, 2)
    fused = "Relu" not in {op.op_type for op in traced.ops}
    assert fused == (level == "all")


def test_threads_and_mode_reach_the_session(tmp_path: Path) -> None:
    engine = loaded(
        models.mlp(),
        X,
        tmp_path,
        intra_op_threads=1,
        inter_op_threads=2,
        execution_mode="parallel",
        allow_spinning=False,
    )
    options = engine._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 2)
    assert options.execution_mode.name == "ORT_PARALLEL"
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (
            {"graph_optimization_level": "most"},
            "graph_optimization_level can't be 'most'",
            "disable, basic, extended, all",
        ),
        ({"execution_mode": "fast"}, "execution_mode can't be 'fast'", "sequential, parallel"),
        (
            {"execution_provider": "NoSuchProvider"},
            "has no NoSuchProvider here",
            "CPUExecutionProvider",
        ),
    ],
)
def test_an_option_that_is_not_possible_lists_what_is(
    options: dict[str, str], message: str, hint: str, tmp_path: Path
) -> None:
    with pytest.raises(EngineError) as caught:
        loaded(models.mlp(), X, tmp_path, **options)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_model_that_the_runtime_refuses_says_why(tmp_path: Path) -> None:
    nodes = [helper.make_node("Special", ["x"], ["y"], domain="my.domain")]
    content = models.model_bytes(nodes, {"x": [1, 8]}, {"y": [1, 8]})
    with pytest.raises(EngineError, match=r"can't load the model.*my\.domain"):
        loaded(content, X, tmp_path)


def test_an_opset_from_the_future_is_refused_in_one_line(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", ["x"], ["y"])]
    content = models.model_bytes(nodes, {"x": [1, 8]}, {"y": [1, 8]}, opset=99)
    with pytest.raises(EngineError, match=r"opset.*99|99.*opset") as caught:
        loaded(content, X, tmp_path)
    assert "\n" not in caught.value.message


def test_an_input_without_values_is_left_to_the_runtime(tmp_path: Path) -> None:
    engine = loaded(models.bert(), TOKENS[:1], tmp_path)
    with pytest.raises(Exception, match="mask"):
        engine.infer()


def test_a_profile_is_cut_at_its_calls() -> None:
    def event(name: str, start: int, duration: int, category: str = "Node") -> dict[str, Any]:
        return {"name": name, "ts": start, "dur": duration, "cat": category, "tid": 1, "args": {}}

    events = [
        event("model_run", 0, 10, "Session"),
        event("a_kernel_time", 1, 2),
        event("model_run", 20, 10, "Session"),
        event("a_kernel_time", 21, 2),
        event("a_fence_before", 21, 1),
        event("b_kernel_time", 24, 3),
    ]
    events[-1]["args"] = {
        "thread_scheduling_stats": {
            "main_thread": {"Run": 2, "Wait": 1},
            "sub_threads": {"7": {"num_run": 3}, "8": {"num_run": 0}},
        }
    }
    traced = read_profile(events, 1, {"a": ("x",)})
    assert [(op.threads, op.wait_ns) for op in traced.ops] == [(0, 0), (2, 1000)]
    assert traced.latencies_ns == (10_000,)
    assert [(op.name, op.start_ns, op.duration_ns, op.source_nodes) for op in traced.ops] == [
        ("a", 1_000, 2_000, ("x",)),
        ("b", 4_000, 3_000, ()),
    ]
