"""The import of whole models: names, weights, what is missing, equality with ONNX Runtime."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from profiler.errors import ConversionError, ModelFileError
from profiler.onnx_torch import import_onnx, missing_ops
from tests.profiler.onnx_torch import models

Feeds = dict[str, NDArray[Any]]


def resnet_feeds(batch: int) -> Feeds:
    rng = np.random.default_rng(0)
    return {"pixels": rng.standard_normal((batch, 3, 64, 64)).astype(np.float32)}


def demo_feeds(batch: int) -> Feeds:
    rng = np.random.default_rng(0)
    return {"image": rng.standard_normal((batch, 3, 96, 96)).astype(np.float32)}


def bert_feeds(batch: int) -> Feeds:
    rng = np.random.default_rng(0)
    mask = np.ones((batch, 16), dtype=np.int64)
    mask[:, 12:] = 0
    return {"ids": rng.integers(0, 100, (batch, 16)), "mask": mask}


def by_onnx_runtime(path: Path, feeds: Feeds) -> list[NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(None, feeds)
    return found


def by_torch(module: Callable[..., Any], feeds: Feeds) -> list[NDArray[Any]]:
    with torch.inference_mode():
        return [t.numpy() for t in module(*map(torch.from_numpy, feeds.values()))]


MODELS = [
    (models.resnet, resnet_feeds),
    (models.bert, bert_feeds),
    (models.demo, demo_feeds),
]
each_model = pytest.mark.parametrize(("build", "feeds"), MODELS, ids=["resnet", "bert", "demo"])


@each_model
@pytest.mark.parametrize("batch", [1, 3])
def test_outputs_equal_onnx_runtimes(
    build: Callable[[], bytes], feeds: Callable[[int], Feeds], batch: int, tmp_path: Path
) -> None:
    path = models.write(build(), tmp_path)
    given = feeds(batch)
    (expected,) = by_onnx_runtime(path, given)
    (actual,) = by_torch(import_onnx(path), given)
    assert actual.shape == (batch, expected.shape[1])
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@each_model
def test_compiles_as_one_graph_with_a_dynamic_batch(
    build: Callable[[], bytes], feeds: Callable[[int], Feeds], tmp_path: Path
) -> None:
    path = models.write(build(), tmp_path)
    module = import_onnx(path)
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True, dynamic=True)
    for batch in (2, 3):
        expected = by_torch(module, feeds(batch))
        np.testing.assert_allclose(by_torch(compiled, feeds(batch)), expected, rtol=1e-5)


@each_model
def test_every_call_is_named_after_its_onnx_node(
    build: Callable[[], bytes], feeds: Callable[[int], Feeds], tmp_path: Path
) -> None:
    del feeds
    content = build()
    nodes = {n.name: n for n in onnx.load_from_string(content).graph.node}
    module = import_onnx(models.write(content, tmp_path))
    calls = [node for node in module.graph.nodes if node.op == "call_function"]
    assert len(calls) > 15
    for call in calls:
        origin = nodes[call.meta["onnx_node"]]
        plain = re.sub(r"[^0-9A-Za-z_]", "_", origin.name)
        assert re.fullmatch(rf"{plain}(__\d+)?", call.name)
        assert call.meta["onnx_op_type"] == origin.op_type
        assert call.meta["onnx_output"] == origin.output[0]


def test_names_of_inputs_outputs_and_weights_are_kept(tmp_path: Path) -> None:
    module = import_onnx(models.write(models.resnet(), tmp_path))
    assert module.meta["input_names"] == ["pixels"]
    assert module.meta["output_names"] == ["logits"]
    parameters = dict(module.named_parameters())
    weight = parameters["model.classifier.1.weight"]
    original = onnx.load_from_string(models.resnet())
    tensors = {t.name: t for t in original.graph.initializer}
    expected = onnx.numpy_helper.to_array(tensors["model.classifier.1.weight"])
    np.testing.assert_array_equal(weight.numpy(), expected)
    assert not any(p.requires_grad for p in parameters.values())


def test_a_slash_in_a_name_becomes_an_underscore(tmp_path: Path) -> None:
    module = import_onnx(models.write(models.mlp(), tmp_path))
    calls = [node.name for node in module.graph.nodes if node.op == "call_function"]
    assert calls == ["layer_first", "layer_relu", "layer_second"]


def test_nodes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Exp", ["x"], ["a"], name="same"),
        helper.make_node("Tanh", ["a"], ["y"], name="same"),
    ]
    content = models.model_bytes(nodes, {"x": [2]}, {"y": [2]})
    module = import_onnx(models.write(content, tmp_path))
    calls = {n.name: n.meta["onnx_output"] for n in module.graph.nodes if n.op == "call_function"}
    assert calls == {"same": "a", "same_1": "y"}


def test_a_node_without_a_name_is_named_after_its_output(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", ["x"], ["decoder.out"])]
    content = models.model_bytes(nodes, {"x": [2]}, {"decoder.out": [2]})
    module = import_onnx(models.write(content, tmp_path))
    (call,) = [node for node in module.graph.nodes if node.op == "call_function"]
    assert call.name == "decoder_out"


def test_everything_that_is_missing_is_listed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("StringNormalizer", ["x"], ["a"]),
        helper.make_node("ImageDecoder", ["x"], ["b"]),
        helper.make_node("Exp", ["x"], ["c"]),
        helper.make_node("Special", ["x"], ["y"], domain="my.domain"),
        helper.make_node("NoSuchThing", ["x"], ["d"], domain="com.microsoft"),
    ]
    content = models.model_bytes(nodes, {"x": [2, 2]}, {"y": [2, 2]})
    expected = (
        "ImageDecoder",
        "StringNormalizer",
        "com.microsoft::NoSuchThing",
        "my.domain::Special",
    )
    assert missing_ops(onnx.load_from_string(content)) == expected
    with pytest.raises(ConversionError) as caught:
        import_onnx(models.write(content, tmp_path))
    assert all(name in caught.value.message for name in expected)
    assert "ONNX Runtime lane still runs" in caught.value.hint


def test_what_a_branch_lacks_is_listed(tmp_path: Path) -> None:
    def branch(op_type: str, output: str) -> onnx.GraphProto:
        values = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        return helper.make_graph([helper.make_node(op_type, ["x"], [output])], output, [], values)

    condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=condition),
        helper.make_node(
            "If",
            ["c"],
            ["y"],
            then_branch=branch("Exp", "t"),
            else_branch=branch("ImageDecoder", "e"),
        ),
    ]
    content = models.model_bytes(nodes, {"x": [2, 2]}, {"y": []})
    assert missing_ops(onnx.load_from_string(content)) == ("ImageDecoder",)
    with pytest.raises(ConversionError, match="The PyTorch import has no ImageDecoder"):
        import_onnx(models.write(content, tmp_path))


def test_a_variant_that_is_not_supported_names_its_node(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["t"], value=helper.make_tensor("t", 9, [], [True])),
        helper.make_node("Dropout", ["x", "", "t"], ["y"], name="pick"),
    ]
    content = models.model_bytes(nodes, {"x": [2, 2]}, {"y": [2, 2]})
    with pytest.raises(ConversionError, match=r"Dropout \(pick\): training mode"):
        import_onnx(models.write(content, tmp_path))


def test_linear_attention_without_past_decay_and_beta(tmp_path: Path) -> None:
    """ONNX has no definition of it then."""
    nodes = [
        helper.make_node(
            "LinearAttention",
            ["x", "x", "x"],
            ["y", "state"],
            q_num_heads=1,
            kv_num_heads=1,
            update_rule="linear",
            scale=1.0,
        )
    ]
    content = models.model_bytes(nodes, {"x": [1, 3, 4]}, {"y": [1, 3, 4]}, opset=28)
    module = import_onnx(models.write(content, tmp_path))
    x = np.random.default_rng(0).standard_normal((1, 3, 4)).astype(np.float32)
    (actual,) = by_torch(module, {"x": x})
    state, expected = np.zeros((4, 4)), []
    for row in x[0]:
        state = state + np.outer(row, row)
        expected.append(row @ state)
    np.testing.assert_allclose(actual[0], expected, rtol=1e-4)
    assert {n.meta["onnx_output"] for n in module.graph.nodes if n.op == "call_function"} == {"y"}


def test_defaults_of_an_operator_that_is_written_out_are_kept(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Selu", ["x"], ["s"], name="activation"),
        helper.make_node("MeanVarianceNormalization", ["s"], ["y"], name="norm"),
    ]
    content = models.model_bytes(nodes, {"x": [2, 3, 4, 4]}, {"y": [2, 3, 4, 4]})
    path = models.write(content, tmp_path)
    feeds = {"x": np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32)}
    module = import_onnx(path)
    (expected,), (actual,) = by_onnx_runtime(path, feeds), by_torch(module, feeds)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    sources = {n.meta["onnx_output"] for n in module.graph.nodes if n.op == "call_function"}
    assert sources == {"s", "y"}


def test_functions_of_the_model_are_written_out(tmp_path: Path) -> None:
    body = [
        helper.make_node("Exp", ["p"], ["e"], name="inner"),
        helper.make_node("Neg", ["e"], ["q"]),
    ]
    function = helper.make_function("my.domain", "NegExp", ["p"], ["q"], body, [_opset()])
    nodes = [
        helper.make_node("NegExp", ["x"], ["h"], name="first", domain="my.domain"),
        helper.make_node("NegExp", ["h"], ["y"], name="second", domain="my.domain"),
    ]
    content = models.model_bytes(nodes, {"x": [3]}, {"y": [3]}, functions=[function])
    module = import_onnx(models.write(content, tmp_path))
    feeds = {"x": np.array([0.0, 1.0, -1.0], dtype=np.float32)}
    (actual,) = by_torch(module, feeds)
    np.testing.assert_allclose(actual, -np.exp(-np.exp(feeds["x"])), rtol=1e-6)
    sources = [n.meta["onnx_output"] for n in module.graph.nodes if n.op == "call_function"]
    assert sources == ["h", "h", "y", "y"]


def test_an_input_that_is_no_tensor_of_a_known_type_is_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("text", TensorProto.STRING, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["text"], ["y"])], "g", [value], [])
    graph.output.append(helper.make_tensor_value_info("y", TensorProto.STRING, [1]))
    model = helper.make_model(graph, opset_imports=[_opset()])
    with pytest.raises(ConversionError, match="The input text"):
        import_onnx(models.write(model.SerializeToString(), tmp_path))


def test_weights_beside_the_model(tmp_path: Path) -> None:
    model = onnx.load_from_string(models.mlp())
    path = tmp_path / "external.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="weights", size_threshold=0)
    assert (tmp_path / "weights").is_file()
    inside = import_onnx(models.write(models.mlp(), tmp_path))
    feeds = {"x": np.ones((1, 8), dtype=np.float32)}
    np.testing.assert_array_equal(by_torch(import_onnx(path), feeds), by_torch(inside, feeds))
    (tmp_path / "weights").unlink()
    with pytest.raises(ModelFileError, match="weights"):
        import_onnx(path)


def test_weights_that_are_constant_nodes_are_parameters(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    tensor = onnx.numpy_helper.from_array(weight, "value")
    nodes = [
        helper.make_node("Constant", [], ["fc.weight"], value=tensor),
        helper.make_node("MatMul", ["x", "fc.weight"], ["y"]),
    ]
    content = models.model_bytes(nodes, {"x": [1, 64]}, {"y": [1, 64]})
    module = import_onnx(models.write(content, tmp_path))
    np.testing.assert_array_equal(dict(module.named_parameters())["fc.weight"].numpy(), weight)


def test_branches_may_use_one_name_for_two_weights(tmp_path: Path) -> None:
    def side(name: str, value: float) -> onnx.GraphProto:
        weight = onnx.numpy_helper.from_array(np.full(2, value, dtype=np.float32), "w")
        node = helper.make_node("Add", ["x", "w"], [name])
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
        return helper.make_graph([node], name, [], [output], [weight])

    branch = helper.make_node(
        "If", ["c"], ["y"], then_branch=side("t", 1.0), else_branch=side("e", 2.0)
    )
    nodes = [helper.make_node("Cast", ["flag"], ["c"], to=TensorProto.BOOL), branch]
    content = models.model_bytes(nodes, {"x": [2], "flag": []}, {"y": [2]})
    module = import_onnx(models.write(content, tmp_path))
    for flag, expected in ((1.0, [1.0, 1.0]), (0.0, [2.0, 2.0])):
        assert module(torch.zeros(2), torch.tensor(flag))[0].tolist() == expected


def test_names_that_are_python_keywords(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", ["lambda"], ["return"])]
    content = models.model_bytes(nodes, {"lambda": [2]}, {"return": [2]})
    module = import_onnx(models.write(content, tmp_path))
    assert module.meta["input_names"] == ["lambda"]
    assert module(torch.zeros(2))[0].tolist() == [1.0, 1.0]


def test_an_output_that_is_an_input_or_a_weight(tmp_path: Path) -> None:
    weight = onnx.numpy_helper.from_array(np.array([1.0, 2.0], dtype=np.float32), "w")
    content = models.model_bytes(
        [helper.make_node("Identity", ["x"], ["same"])],
        {"x": [2]},
        {"same": [2], "w": [2]},
        [weight],
    )
    module = import_onnx(models.write(content, tmp_path))
    same, constant = by_torch(module, {"x": np.array([5.0, 6.0], dtype=np.float32)})
    assert (same.tolist(), constant.tolist()) == ([5.0, 6.0], [1.0, 2.0])


def _opset() -> onnx.OperatorSetIdProto:
    return helper.make_opsetid("", models.OPSET)


def test_no_file_is_left_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime's inference does not know the shape of this operator, and would write one."""
    node = helper.make_node(
        "FusedMatMulActivation", ["x", "x"], ["h"], domain="com.microsoft", activation="Relu"
    )
    nodes = [node, helper.make_node("Exp", ["h"], ["y"])]
    path = models.write(models.model_bytes(nodes, {"x": [2, 2]}, {"y": [2, 2]}), tmp_path)
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    import_onnx(path)
    assert list(current.iterdir()) == []
