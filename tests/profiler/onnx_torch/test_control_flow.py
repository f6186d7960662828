"""Branches, loops and sequences through the import."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from profiler.onnx_torch import import_onnx
from tests import model_zoo
from tests.profiler.onnx_torch import models


def value(
    name: str, shape: list[int | str] | None, kind: int = TensorProto.FLOAT
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def branch(op_type: str, output: str, shape: list[int | str] | None) -> onnx.GraphProto:
    node = helper.make_node(op_type, ["x"], [output])
    return helper.make_graph([node], output, [], [value(output, shape)])


def saved(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    folder: Path,
) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return models.write(model.SerializeToString(), folder)


def if_by(
    condition: list[onnx.NodeProto], shapes: tuple[list[int | str], list[int | str]]
) -> list[onnx.NodeProto]:
    then, otherwise = branch("Exp", "t", shapes[0]), branch("Neg", "e", shapes[1])
    choice = helper.make_node(
        "If", ["c"], ["y"], name="choice", then_branch=then, else_branch=otherwise
    )
    return [*condition, choice]


def test_a_branch_on_data_is_one_graph_where_both_sides_are_alike(tmp_path: Path) -> None:
    inputs = [value("x", [3]), value("c", [], TensorProto.BOOL)]
    path = saved(if_by([], ([3], [3])), inputs, [value("y", [3])], tmp_path)
    module = import_onnx(path)
    assert module.meta["data_dependent"] == []
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    x = torch.tensor([0.0, 1.0, -1.0])
    for flag, expected in ((True, torch.exp(x)), (False, -x)):
        for run in (module, compiled):
            with torch.inference_mode():
                (found,) = run(x, torch.tensor(flag))
            torch.testing.assert_close(found, expected)


def test_a_branch_on_data_with_other_shapes_is_named(tmp_path: Path) -> None:
    then, otherwise = branch("Exp", "t", [2, 3]), branch("Transpose", "e", [3, 2])
    node = helper.make_node(
        "If", ["c"], ["y"], name="choice", then_branch=then, else_branch=otherwise
    )
    inputs = [value("x", [2, 3]), value("c", [], TensorProto.BOOL)]
    module = import_onnx(saved([node], inputs, [value("y", None)], tmp_path))
    assert module.meta["data_dependent"] == ["choice"]
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(module(x, torch.tensor(False))[0], x.t())
    assert torch.equal(module(x, torch.tensor(True))[0], torch.exp(x))


def test_a_branch_on_a_size_is_no_branch_on_data(tmp_path: Path) -> None:
    condition = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Constant", [], ["zero"], value_int=0),
        helper.make_node("Constant", [], ["three"], value_int=3),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Greater", ["n", "three"], ["c"]),
    ]
    path = saved(
        if_by(condition, (["n"], ["n"])), [value("x", ["n"])], [value("y", ["n"])], tmp_path
    )
    module = import_onnx(path)
    assert module.meta["data_dependent"] == []
    torch._dynamo.reset()
    compiled = torch.compile(module, backend="eager", fullgraph=True, dynamic=True)
    for run in (module, compiled):
        for count in (2, 5):
            x = torch.ones(count)
            (found,) = run(x)
            torch.testing.assert_close(found, torch.exp(x) if count > 3 else -x)


def loop_body() -> onnx.GraphProto:
    """total += step; each total is scanned."""
    nodes = [
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["total", "f"], ["next"]),
        helper.make_node("Identity", ["going"], ["after"]),
        helper.make_node("Mul", ["next", "x"], ["seen"]),
    ]
    inputs = [
        value("i", [], TensorProto.INT64),
        value("going", [], TensorProto.BOOL),
        value("total", [1]),
    ]
    outputs = [value("after", [], TensorProto.BOOL), value("next", [1]), value("seen", [1])]
    return helper.make_graph(nodes, "body", inputs, outputs)


@pytest.mark.parametrize("trips", [0, 4])
def test_a_loop_that_counts_compiles_to_one_graph(trips: int, tmp_path: Path) -> None:
    count = onnx.numpy_helper.from_array(np.array(trips), "n")
    yes = onnx.numpy_helper.from_array(np.array(True), "go")
    nodes = [
        helper.make_node("Constant", [], ["n"], value=count),
        helper.make_node("Constant", [], ["go"], value=yes),
        helper.make_node("Loop", ["n", "go", "x"], ["y", "all"], name="loop", body=loop_body()),
    ]
    path = saved(nodes, [value("x", [1])], [value("y", [1]), value("all", ["steps", 1])], tmp_path)
    module = import_onnx(path)
    assert module.meta["data_dependent"] == []
    feeds = {"x": np.array([2.0], dtype=np.float32)}
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = session.run(None, feeds)
    torch._dynamo.reset()
    for run in (module, torch.compile(module, backend="eager", fullgraph=True)):
        for actual, wanted in zip(run(torch.tensor([2.0])), expected, strict=True):
            np.testing.assert_array_equal(actual.numpy(), wanted)


def data_loop(after: list[onnx.NodeProto], carried: list[int | str]) -> onnx.NodeProto:
    """total = 1.5 total + i, for "n" steps, or as the nodes that make "after" say."""
    nodes = [
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["total", "factor"], ["grown"]),
        helper.make_node("Add", ["grown", "f"], ["next"]),
        *after,
    ]
    inputs = [value("i", [], TensorProto.INT64), value("going", [], TensorProto.BOOL)]
    # Exporters may leave out the shape of what is carried.
    inputs.append(value("total", None))
    outputs = [value("after", [], TensorProto.BOOL), value("next", carried)]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    return helper.make_node("Loop", ["n", "go", "x"], ["y"], name="loop", body=body)


def factor() -> onnx.NodeProto:
    number = onnx.numpy_helper.from_array(np.array(1.5, dtype=np.float32), "factor")
    return helper.make_node("Constant", [], ["factor"], value=number)


def agree_in_all_forms(
    path: Path, feeds: list[dict[str, np.ndarray[Any, Any]]], dynamic: Any = None
) -> None:
    """Eager, exported and compiled to one graph, each gives what ONNX Runtime gives."""
    module = import_onnx(path)
    assert module.meta["data_dependent"] == []
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = module.meta["input_names"]
    first = tuple(torch.from_numpy(feeds[0][name]) for name in names)
    torch._dynamo.reset()
    exported = torch.export.export(module, first, dynamic_shapes=dynamic).module()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    for feed in feeds:
        expected = session.run(None, feed)
        for run in (module, exported, compiled):
            found = run(*(torch.from_numpy(feed[name]) for name in names))
            for actual, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(actual.numpy(), wanted, rtol=1e-5)


def test_a_loop_with_a_count_of_run_time_is_one_graph(tmp_path: Path) -> None:
    same = [helper.make_node("Identity", ["going"], ["after"])]
    yes = onnx.numpy_helper.from_array(np.array(True), "go")
    go = helper.make_node("Constant", [], ["go"], value=yes)
    inputs = [value("x", [2]), value("n", [], TensorProto.INT64)]
    nodes = [factor(), go, data_loop(same, [2])]
    path = saved(nodes, inputs, [value("y", [2])], tmp_path)
    x = np.array([1.0, 2.0], dtype=np.float32)
    agree_in_all_forms(path, [{"x": x, "n": np.array(count)} for count in (3, 0, 7)])


def test_a_loop_of_many_steps_is_one_graph(tmp_path: Path) -> None:
    same = [helper.make_node("Identity", ["going"], ["after"])]
    yes = onnx.numpy_helper.from_array(np.array(True), "go")
    nodes = [
        factor(),
        helper.make_node("Constant", [], ["go"], value=yes),
        helper.make_node("Constant", [], ["n"], value_int=40),
        data_loop(same, [2]),
    ]
    path = saved(nodes, [value("x", [2])], [value("y", [2])], tmp_path)
    agree_in_all_forms(path, [{"x": np.array([1.0, 2.0], dtype=np.float32)}])


def test_a_loop_that_data_end_is_one_graph(tmp_path: Path) -> None:
    """Until the sum is above 50."""
    fifty = onnx.numpy_helper.from_array(np.array(50.0, dtype=np.float32), "fifty")
    test = [
        helper.make_node("ReduceSum", ["next"], ["sum"], keepdims=0),
        helper.make_node("Less", ["sum", "fifty"], ["after"]),
    ]
    nodes = [
        factor(),
        helper.make_node("Constant", [], ["fifty"], value=fifty),
        data_loop(test, ["k"]),
    ]
    nodes[-1].input[0] = ""
    inputs = [value("x", ["k"]), value("go", [], TensorProto.BOOL)]
    path = saved(nodes, inputs, [value("y", ["k"])], tmp_path)
    feeds = [
        {"x": np.array(x, dtype=np.float32), "go": np.array(go)}
        for x, go in (([1.0, 2.0], True), ([30.0, 1.0, 1.0], True), ([1.0, 2.0, 3.0, 4.0], False))
    ]
    dim = torch.export.Dim.DYNAMIC
    agree_in_all_forms(path, feeds, dynamic=({0: dim}, {}))


def test_a_loop_that_changes_a_shape_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Concat", ["total", "total"], ["next"], axis=0),
        helper.make_node("Identity", ["going"], ["after"]),
    ]
    inputs = [value("i", [], TensorProto.INT64), value("going", [], TensorProto.BOOL)]
    outputs = [value("after", [], TensorProto.BOOL), value("next", None)]
    body = helper.make_graph(nodes, "body", [*inputs, value("total", None)], outputs)
    node = helper.make_node("Loop", ["n", "go", "x"], ["y"], name="doubling", body=body)
    given = [
        value("x", [1]),
        value("n", [], TensorProto.INT64),
        value("go", [], TensorProto.BOOL),
    ]
    module = import_onnx(saved([node], given, [value("y", None)], tmp_path))
    assert module.meta["data_dependent"] == ["doubling"]
    (found,) = module(torch.ones(1), torch.tensor(3), torch.tensor(True))
    assert found.shape == (8,)


class SquareRoot(torch.nn.Module):
    """Newton's steps until they stand still: a loop whose length is in the data."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        guess = x
        while bool((guess * guess - x).abs().max() > 1e-3):
            guess = 0.5 * (guess + x / guess)
        return guess


class StructuredSquareRoot(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def goes_on(guess: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return (guess * guess - x).abs().max() > 1e-3

        def step(guess: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return 0.5 * (guess + x / guess), x.clone()

        run: Any = torch._higher_order_ops.while_loop
        found: torch.Tensor = run(goes_on, step, (x.clone(), x.clone()))[0]
        return found


@pytest.mark.parametrize("newer", [False, True])
def test_an_exported_loop_is_one_graph(newer: bool, tmp_path: Path) -> None:
    path = tmp_path / "root.onnx"
    x = torch.tensor([2.0, 9.0, 400.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = StructuredSquareRoot() if newer else torch.jit.script(SquareRoot())
        settings: Any = {"dynamo": newer, "input_names": ["x"]}
        torch.onnx.export(module, (x,), str(path), **settings)
    agree_in_all_forms(path, [{"x": x.numpy()}, {"x": np.array([1.0, 1.0, 3.0], np.float32)}])


def test_a_sequence_is_built_changed_and_joined(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("SequenceConstruct", ["x", "x"], ["s"]),
        helper.make_node("Exp", ["x"], ["e"]),
        helper.make_node("Constant", [], ["one"], value_int=1),
        helper.make_node("SequenceInsert", ["s", "e", "one"], ["t"]),
        helper.make_node("SequenceErase", ["t", "one"], ["u"]),
        helper.make_node("SequenceInsert", ["u", "e"], ["w"]),
        helper.make_node("ConcatFromSequence", ["w"], ["y"], axis=0, new_axis=1),
        helper.make_node("SequenceLength", ["w"], ["n"]),
        helper.make_node("SequenceAt", ["w", "one"], ["at"]),
        helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0),
        helper.make_node("ConcatFromSequence", ["parts"], ["z"], axis=0),
    ]
    names = ["y", "at", "z"]
    outputs = [value(name, None) for name in names] + [value("n", [], TensorProto.INT64)]
    path = saved(nodes, [value("x", [2])], outputs, tmp_path)
    x = np.array([1.0, 2.0], dtype=np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = import_onnx(path)(torch.from_numpy(x))
    for actual, wanted in zip(found, session.run(None, {"x": x}), strict=True):
        np.testing.assert_allclose(actual.numpy(), wanted, rtol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_silero_equals_onnx_runtime_at_both_rates(rate: int) -> None:
    path = Path(model_zoo.silero("silero_vad.onnx"))
    module = import_onnx(path)
    assert module.meta["data_dependent"] == ["If_0"]
    rng = np.random.default_rng(0)
    window = 576 if rate == 16000 else 288
    feeds = {
        "input": rng.standard_normal((1, window)).astype(np.float32),
        "state": rng.standard_normal((2, 1, 128)).astype(np.float32),
        "sr": np.array(rate),
    }
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        found = module(*(torch.from_numpy(feeds[n]) for n in module.meta["input_names"]))
    for actual, wanted in zip(found, session.run(None, feeds), strict=True):
        np.testing.assert_allclose(actual.numpy(), wanted, rtol=1e-3, atol=1e-5)
