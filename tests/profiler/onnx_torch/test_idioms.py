"""What the import writes as one call, and where it must not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from onnx import helper

from profiler.onnx_torch import import_onnx
from tests.profiler.onnx_torch import models


def targets(module: torch.fx.GraphModule) -> list[object]:
    return [node.target for node in module.graph.nodes if node.op == "call_function"]


def floats(*shape: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def product_and_bias(bias: tuple[int, ...]) -> bytes:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"], name="product"),
        helper.make_node("Add", ["b", "p"], ["y"], name="sum"),
    ]
    weights = [
        onnx.numpy_helper.from_array(floats(4, 3, seed=1), "w"),
        onnx.numpy_helper.from_array(floats(*bias, seed=2), "b"),
    ]
    return models.model_bytes(nodes, {"x": [2, 4]}, {"y": [2, 3]}, weights)


def test_a_product_with_a_bias_is_linear(tmp_path: Path) -> None:
    module = import_onnx(models.write(product_and_bias((3,)), tmp_path))
    assert targets(module) == [F.linear]
    (call,) = [n for n in module.graph.nodes if n.target is F.linear]
    assert (call.name, call.meta["onnx_node"]) == ("sum_1", "sum")
    assert call.meta["onnx_outputs"] == ("y", "p")
    x = floats(2, 4)
    (found,) = module(torch.from_numpy(x))
    expected = x @ floats(4, 3, seed=1) + floats(3, seed=2)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    weight = module.get_parameter("w")
    assert (weight.shape, weight.is_contiguous()) == ((3, 4), False), "a view, not a copy"


def test_a_bias_of_zeros_that_is_cast_like_an_input_is_a_constant(tmp_path: Path) -> None:
    """As PyTorch's exporter writes a convolution without a bias where it optimizes nothing."""
    nodes = [
        helper.make_node("CastLike", ["zero", "x"], ["cast"]),
        helper.make_node("Expand", ["cast", "shape"], ["bias"]),
        helper.make_node("Conv", ["x", "w", "bias"], ["y"]),
    ]
    weights = [
        onnx.numpy_helper.from_array(np.array(0), "zero"),
        onnx.numpy_helper.from_array(np.array([4]), "shape"),
        onnx.numpy_helper.from_array(floats(4, 3, 1, 1, seed=1), "w"),
    ]
    content = models.model_bytes(nodes, {"x": [1, 3, 5, 5]}, {"y": [1, 4, 5, 5]}, weights)
    module = import_onnx(models.write(content, tmp_path))
    assert targets(module) == [torch.conv2d]
    x = floats(1, 3, 5, 5)
    expected = np.einsum("ik,bkhw->bihw", floats(4, 3, 1, 1, seed=1)[..., 0, 0], x)
    np.testing.assert_allclose(module(torch.from_numpy(x))[0].numpy(), expected, rtol=1e-4)


def test_a_matrix_that_two_products_take_keeps_its_form(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "b"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["y"]),
    ]
    weights = [
        onnx.numpy_helper.from_array(floats(3, 3, seed=1), "w"),
        onnx.numpy_helper.from_array(floats(3, seed=2), "b"),
    ]
    path = models.write(models.model_bytes(nodes, {"x": [2, 3]}, {"y": [2, 3]}, weights), tmp_path)
    module = import_onnx(path)
    assert targets(module) == [torch.t, F.linear, torch.matmul]
    x, w, b = floats(2, 3), floats(3, 3, seed=1), floats(3, seed=2)
    (found,) = module(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), (x @ w + b) @ w, rtol=1e-4)


def test_a_matrix_product_with_a_bias_needs_no_turn(tmp_path: Path) -> None:
    """Gemm as `addmm`, which takes the weight as the file has it."""
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
    weights = [
        onnx.numpy_helper.from_array(floats(4, 3, seed=1), "w"),
        onnx.numpy_helper.from_array(floats(3, seed=2), "b"),
    ]
    path = models.write(models.model_bytes([node], {"x": [2, 4]}, {"y": [2, 3]}, weights), tmp_path)
    module = import_onnx(path)
    assert targets(module) == [torch.addmm]
    (found,) = module(torch.from_numpy(floats(2, 4)))
    expected = floats(2, 4) @ floats(4, 3, seed=1) + floats(3, seed=2)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_a_power_with_a_constant_takes_a_number(tmp_path: Path) -> None:
    three = onnx.numpy_helper.from_array(np.array(3.0, dtype=np.float32), "three")
    node = helper.make_node("Pow", ["x", "three"], ["y"])
    content = models.model_bytes([node], {"x": [4]}, {"y": [4]}, [three])
    module = import_onnx(models.write(content, tmp_path))
    (call,) = [n for n in module.graph.nodes if n.op == "call_function"]
    assert call.args[1] == 3.0
    x = floats(4)
    np.testing.assert_allclose(module(torch.from_numpy(x))[0].numpy(), x**3, rtol=1e-5)


def look_up(before: str) -> bytes:
    """Rows of a table by what a node makes of the input's indices."""
    arguments = ["i", "shape"] if before == "Reshape" else ["i"]
    nodes = [
        helper.make_node(before, arguments, ["r"]),
        helper.make_node("Gather", ["table", "r"], ["y"]),
    ]
    weights = [
        onnx.numpy_helper.from_array(floats(5, 2), "table"),
        onnx.numpy_helper.from_array(np.array([1, 3]), "shape"),
    ]
    inputs = [helper.make_tensor_value_info("i", onnx.TensorProto.INT64, [3])]
    outputs = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    imports = [helper.make_opsetid("", models.OPSET)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return bytes(model.SerializeToString())


def test_a_look_up_by_an_input_is_an_embedding(tmp_path: Path) -> None:
    table = floats(5, 2)
    module = import_onnx(models.write(look_up("Reshape"), tmp_path))
    assert targets(module)[-1] is F.embedding
    (found,) = module(torch.tensor([0, 4, 2]))
    np.testing.assert_array_equal(found.numpy(), table[[[0, 4, 2]]])
    # What is computed may count from the end.
    module = import_onnx(models.write(look_up("Neg"), tmp_path))
    assert targets(module)[-1] is not F.embedding
    np.testing.assert_array_equal(module(torch.tensor([0, 4, 2]))[0].numpy(), table[[0, -4, -2]])


def test_a_bias_of_one_number_or_of_more_dimensions_stays_a_sum(tmp_path: Path) -> None:
    for shape in ((1,), (2, 3)):
        module = import_onnx(models.write(product_and_bias(shape), tmp_path))
        assert targets(module) == [torch.matmul, torch.add]


def attention(guard: bool, mask: bool) -> bytes:
    """softmax(0.5 q k^T + mask) v, with what exporters put around a softmax."""
    nodes = [
        helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        helper.make_node("Mul", ["q", "half"], ["qs"]),
        helper.make_node("MatMul", ["qs", "kt"], ["s"]),
        helper.make_node("Add" if mask else "Identity", ["s", "m"] if mask else ["s"], ["sm"]),
        helper.make_node("Softmax", ["sm"], ["p"], axis=-1),
    ]
    if guard:
        nodes += [
            helper.make_node("IsNaN", ["p"], ["nan"]),
            helper.make_node("Where", ["nan", "zero", "p"], ["w"]),
        ]
    nodes.append(helper.make_node("MatMul", ["w" if guard else "p", "v"], ["y"], name="attend"))
    weights = [
        onnx.numpy_helper.from_array(np.array(0.5, dtype=np.float32), "half"),
        onnx.numpy_helper.from_array(np.array(0.0, dtype=np.float32), "zero"),
    ]
    shapes = {name: [1, 2, 3, 4] for name in ("q", "k", "v")}
    inputs = shapes | ({"m": [1, 1, 3, 3]} if mask else {})
    return models.model_bytes(nodes, inputs, {"y": [1, 2, 3, 4]}, weights)


def test_attention_is_one_call_where_the_numbers_agree(tmp_path: Path) -> None:
    for guard, mask in ((False, False), (True, True), (True, False)):
        module = import_onnx(models.write(attention(guard, mask), tmp_path))
        assert targets(module) == [F.scaled_dot_product_attention]
        q, k, v = (torch.from_numpy(floats(1, 2, 3, 4, seed=i)) for i in range(3))
        allowed = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
        bias = torch.where(allowed, 0.0, float("-inf"))[None, None]
        (found,) = module(q, k, v, *([bias] if mask else []))
        scores = 0.5 * q @ k.transpose(2, 3) + (bias if mask else 0.0)
        expected = torch.nan_to_num(torch.softmax(scores, -1), 0.0) @ v
        torch.testing.assert_close(found, expected)


def test_a_row_without_a_key_stays_not_a_number(tmp_path: Path) -> None:
    """PyTorch's attention would give 0, the model gives NaN."""
    module = import_onnx(models.write(attention(guard=False, mask=True), tmp_path))
    assert F.scaled_dot_product_attention not in targets(module)
    q, k, v = (torch.from_numpy(floats(1, 2, 3, 4, seed=i)) for i in range(3))
    (found,) = module(q, k, v, torch.full((1, 1, 3, 3), float("-inf")))
    assert torch.isnan(found).all()
