"""Models in other precisions: ONNX files converted, PyTorch modules cast or quantized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from profiler.conversion_time import conversion_ns
from profiler.engines.torch_precision import cast, in_precision, packed_bytes
from profiler.errors import ConversionError, EngineError
from profiler.inputs import make_arrays
from profiler.lanes import forms
from profiler.model_file import identify
from profiler.precision import convert_precision
from profiler.types import EngineKind, EngineSpec, InputSpec
from tests.model_zoo import network, onnx_mlp


def mlp_inputs(path: Path) -> list[InputSpec]:
    value = onnx.load(str(path)).graph.input[0]
    dims = [d.dim_value or 2 for d in value.type.tensor_type.shape.dim]
    return [InputSpec(name=value.name, dtype="float32", shape=tuple(dims))]


def run(path: str, feeds: dict[str, Any]) -> list[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


@pytest.mark.parametrize("precision", ["int8", "int8-static"])
def test_a_file_with_weights_and_shapes_beside_it_is_quantized(
    tmp_path: Path, precision: str
) -> None:
    """As PyTorch's exporter writes them: data in another file, and shapes noted for weights."""
    weight = np.random.default_rng(0).normal(size=(96, 64)).astype(np.float32)
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
        "linear",
        [onnx.helper.make_tensor_value_info("x", floats, [2, 64])],
        [onnx.helper.make_tensor_value_info("y", floats, [2, 96])],
        [onnx.numpy_helper.from_array(weight, "w")],
        value_info=[onnx.helper.make_tensor_value_info("w", floats, [96, 64])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    path = tmp_path / "beside.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="beside.data")
    inputs = mlp_inputs(path)
    found, _ = convert_precision(identify(path), precision, inputs, tmp_path / "out", print)
    feeds = make_arrays(inputs)
    (expected, *_), (actual, *_) = run(str(path), feeds), run(found.path, feeds)
    assert np.abs(actual - expected).max() <= 0.2 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("precision", "operator", "bound"),
    [
        ("fp16", "Cast", 0.02),
        ("int8", "MatMulInteger", 0.2),
        ("int8-static", "QuantizeLinear", 0.2),
    ],
)
def test_an_onnx_file_is_converted_once(
    tmp_path: Path, precision: str, operator: str, bound: float
) -> None:
    source = identify(onnx_mlp(tmp_path))
    inputs = mlp_inputs(Path(source.path))
    said: list[str] = []
    found, notes = convert_precision(source, precision, inputs, tmp_path / "out", said.append)
    assert said == [f"weights to {precision}"]
    assert notes
    assert operator in {node.op_type for node in onnx.load(found.path).graph.node}
    feeds = make_arrays(inputs)
    (expected, *_), (actual, *_) = run(source.path, feeds), run(found.path, feeds)
    assert actual.dtype == expected.dtype
    assert np.abs(actual - expected).max() <= bound * np.abs(expected).max()
    again, _ = convert_precision(source, precision, inputs, tmp_path / "out", said.append)
    assert again == found
    assert len(said) == 1
    assert conversion_ns(found) > 0
    assert not list((tmp_path / "out").glob("*.part"))


def test_a_file_that_is_damaged_says_why(tmp_path: Path) -> None:
    path = onnx_mlp(tmp_path)
    source = identify(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ConversionError, match="could not be converted to fp16"):
        convert_precision(source, "fp16", [], tmp_path / "out", lambda _: None)


def test_a_module_and_its_inputs_are_cast() -> None:
    module = in_precision(network(), "bf16")
    assert {p.dtype for p in module.parameters()} == {torch.bfloat16}
    tensors = cast([torch.zeros(2), torch.zeros(2, dtype=torch.int64)], "bf16")
    assert [t.dtype for t in tensors] == [torch.bfloat16, torch.int64]
    assert packed_bytes(module) == 0


def test_linear_layers_are_quantized() -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(32, 8), torch.nn.ReLU()).eval()
    values = torch.randn(4, 32)
    expected = module(values).detach()
    with torch.inference_mode():
        quantized = in_precision(module, "int8")
        actual = quantized(*cast([values], "int8"))
    assert packed_bytes(quantized) == 32 * 8
    assert float((actual - expected).abs().max()) < 0.05
    with pytest.raises(EngineError, match="no linear layer"):
        in_precision(torch.nn.Sequential(torch.nn.ReLU()), "int8")


def test_onnx_runtime_needs_another_file_and_pytorch_does_not(tmp_path: Path) -> None:
    onnx_file = identify(onnx_mlp(tmp_path))

    def wanted(engine: EngineKind, **options: str) -> list[str]:
        return forms(EngineSpec(label="a", engine=engine, options={**options}), onnx_file)

    assert wanted(EngineKind.ORT, precision="int8") == ["int8"]
    assert wanted(EngineKind.ORT, precision="fp32") == wanted(EngineKind.ORT) == []
    assert wanted(EngineKind.TORCH_EAGER, precision="bf16") == []
