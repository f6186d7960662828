"""Values inside of the model, from each engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from profiler.engines import create_engine
from profiler.engines.base import Engine
from profiler.errors import EngineError
from profiler.inputs import make_arrays
from profiler.model_file import identify
from profiler.outputs import Array, load_outputs
from profiler.types import EngineKind, EngineSpec, InputSpec, Load
from tests.profiler.engine_commands import X, load_command
from tests.profiler.faults import SIDE, export_small
from tests.profiler.onnx_torch import models
from tests.traced_lanes import inputs_of


def loaded(path: Path, engine: EngineKind, inputs: tuple[InputSpec, ...]) -> Engine:
    spec = EngineSpec(label=engine.value, engine=engine)
    work = path.parent / f"work-{engine.value}"
    work.mkdir(exist_ok=True)
    one = create_engine(Load(spec=spec, model=identify(path), inputs=inputs, work_dir=str(work)))
    one.load()
    return one


def values(engine: Engine, names: tuple[str, ...], path: Path) -> dict[str, Array]:
    try:
        return dict(zip(engine.save_values(names, path), load_outputs(path), strict=True))
    finally:
        engine.close()


@pytest.mark.parametrize("engine", [EngineKind.ORT, EngineKind.TORCH_EAGER])
def test_values_of_an_onnx_file_go_by_their_names(engine: EngineKind, tmp_path: Path) -> None:
    one = create_engine(load_command(engine, models.mlp(), X, tmp_path))
    one.load()
    graph = onnx.load_from_string(models.mlp()).graph
    first = graph.node[0].output[0]
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer]
    found = values(one, (first, "no such value", "y"), tmp_path / "values.npz")
    assert set(found) == {first, "y"}
    expected = make_arrays(X)["x"] @ weights[0]
    np.testing.assert_allclose(found[first], expected, rtol=1e-5, atol=1e-6)


def test_a_module_s_operators_go_by_their_names_in_a_trace(tmp_path: Path) -> None:
    """A ReLU that writes over its input: each value is as it was at the time."""
    module = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU(inplace=True)).eval()
    torch.save(module, tmp_path / "model.pt")
    engine = loaded(tmp_path / "model.pt", EngineKind.TORCH_EAGER, X)
    names = tuple(op.name for op in engine.trace(1, 1).ops)
    assert len(names) == 2
    found = values(engine, names, tmp_path / "values.npz")
    before, after = (found[name] for name in names)
    assert (before < 0).any()
    np.testing.assert_array_equal(np.maximum(before, 0), after)


def test_operators_of_torchscript_too(tmp_path: Path) -> None:
    module = torch.jit.trace(
        torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh()).eval(), torch.zeros(1, 8)
    )
    module.save(tmp_path / "model.pt")
    engine = loaded(tmp_path / "model.pt", EngineKind.TORCH_SCRIPT, X)
    names = tuple(op.name for op in engine.trace(1, 1).ops)
    found = values(engine, names, tmp_path / "values.npz")
    assert [array.shape for array in found.values()] == [(1, 8), (1, 8)]


def test_nodes_of_an_exported_program(tmp_path: Path) -> None:
    program = export_small(tmp_path).with_name("small.pt2")
    inputs = inputs_of(program)
    engine = loaded(program, EngineKind.TORCH_EXPORT, inputs)
    found = values(engine, ("conv2d", "relu"), tmp_path / "values.npz")
    assert found["conv2d"].shape == (1, 8, SIDE, SIDE)
    assert found["relu"].min() == 0


def test_compiled_kernels_have_none(tmp_path: Path) -> None:
    """It isn't compiled: nothing was called."""
    torch.save(torch.nn.Sequential(torch.nn.Linear(8, 8)), tmp_path / "model.pt")
    engine = loaded(tmp_path / "model.pt", EngineKind.TORCH_COMPILE, X)
    with pytest.raises(EngineError, match="no values inside"):
        engine.save_values(("a",), tmp_path / "values.npz")


def test_quantized_values_come_as_floats_and_sequences_not_at_all(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Neg", ["x"], ["n"]),
        helper.make_node("QuantizeLinear", ["n", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("SplitToSequence", ["d"], ["parts"], axis=1),
        helper.make_node("SequenceAt", ["parts", "at"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1])],
        [
            onnx.numpy_helper.from_array(np.array(0.1, np.float32), "scale"),
            onnx.numpy_helper.from_array(np.array(128, np.uint8), "zero"),
            onnx.numpy_helper.from_array(np.array(2), "at"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    engine = loaded(tmp_path / "model.onnx", EngineKind.ORT, X)
    found = values(engine, ("n", "q", "parts", "y"), tmp_path / "values.npz")
    assert set(found) == {"n", "q", "y"}
    assert found["q"].dtype == np.float32
    np.testing.assert_allclose(found["q"], found["n"], atol=0.051)
