"""Which original nodes an optimized node stands for, on graphs that ONNX Runtime optimized."""

from __future__ import annotations

import platform
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx import helper

from profiler.onnx_light import load_light
from profiler.onnx_source import SourceMap
from tests.profiler.onnx_torch import models

on_x86 = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="blocked layouts are for x86"
)


def optimized(content: bytes, folder: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The original graph and what ONNX Runtime makes of it."""
    path = models.write(content, folder)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return load_light(path), load_light(folder / "optimized.onnx")


def covered_types(original: onnx.ModelProto, result: onnx.ModelProto) -> dict[str, list[str]]:
    """By optimized node: the types of the original nodes that it stands for."""
    types = {node.output[0]: node.op_type for node in original.graph.node}
    found = SourceMap(original, result).by_node_name()
    return {name: [types[value] for value in values] for name, values in found.items()}


def test_an_unchanged_graph_maps_to_itself() -> None:
    model = onnx.load_from_string(models.mlp())
    assert SourceMap(model, model).by_node_name() == {
        "layer/first": ("hidden",),
        "layer/relu": ("active",),
        "layer/second": ("y",),
    }


def test_covers_gives_the_own_result_first() -> None:
    original = onnx.load_from_string(models.mlp())
    fused = helper.make_node("Fused", ["x", "first"], ["active"], name="fused", domain="d")
    last = original.graph.node[2]
    result = onnx.ModelProto()
    result.graph.node.extend([fused, last])
    sources = SourceMap(original, result)
    assert sources.covers(result.graph.node[0]) == ("active", "hidden")
    assert sources.covers(last) == ("y",)
    assert sources.covers(helper.make_node("Other", [], ["z"])) == ()


@on_x86
def test_fused_convolutions_of_a_resnet(tmp_path: Path) -> None:
    original, result = optimized(models.resnet(), tmp_path)
    types = covered_types(original, result)
    convolutions = [n for n in result.graph.node if n.op_type == "Conv"]
    assert {n.domain for n in convolutions} == {"com.microsoft.nchwc"}
    plain = {n.name: [t for t in types[n.name] if t != "Identity"] for n in convolutions}
    assert Counter(tuple(found) for found in plain.values()) == {
        ("Relu", "Conv"): 5,
        ("Relu", "Add", "Conv"): 2,
        ("Conv",): 1,
    }


@on_x86
def test_every_node_of_a_resnet_has_sources_but_those_that_change_layout(tmp_path: Path) -> None:
    original, result = optimized(models.resnet(), tmp_path)
    types = covered_types(original, result)
    without = [n.op_type for n in result.graph.node if not types[n.name]]
    assert without == ["ReorderOutput"]
    counts = Counter(kind for found in types.values() for kind in found)
    expected = Counter(node.op_type for node in original.graph.node)
    compute = ("Conv", "Relu", "Add", "MaxPool", "GlobalAveragePool", "Flatten", "Gemm")
    assert {kind: counts[kind] for kind in compute} == {kind: expected[kind] for kind in compute}


def test_a_value_that_is_brought_back_belongs_to_its_convolution() -> None:
    original = onnx.ModelProto()
    original.graph.node.extend(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
            helper.make_node("Relu", ["c"], ["r"], name="relu"),
        ]
    )
    blocked = "com.microsoft.nchwc"
    result = onnx.ModelProto()
    result.graph.node.extend(
        [
            helper.make_node("Conv", ["x", "v"], ["reorder"], name="r_nchwc", domain=blocked),
            helper.make_node("ReorderOutput", ["reorder"], ["r"], name="back", domain=blocked),
        ]
    )
    assert SourceMap(original, result).by_node_name() == {"r_nchwc": ("r", "c"), "back": ()}


def test_nearly_every_node_of_a_bert_has_sources(tmp_path: Path) -> None:
    original, result = optimized(models.bert(), tmp_path)
    types = covered_types(original, result)
    without = [n for n in result.graph.node if not types[n.name]]
    # ONNX Runtime splits a Shape with bounds in two; the source goes to the node with its result.
    assert {n.op_type for n in without} <= {"Shape"}
    assert len(without) <= 2
    assert len(result.graph.node) > 150
    fused = {n.op_type: types[n.name] for n in result.graph.node if n.domain == "com.microsoft"}
    assert {"Mul", "Add", "Erf", "Div"} <= set(fused["BiasGelu"])
    assert {"Tanh", "Gemm"} <= set(fused["FusedGemm"])


def test_every_node_of_the_demo_model_has_sources_but_those_that_change_layout(
    tmp_path: Path,
) -> None:
    original, result = optimized(models.demo(), tmp_path)
    types = covered_types(original, result)
    without = [n for n in result.graph.node if not types[n.name]]
    assert {n.op_type for n in without} <= {"ReorderInput", "ReorderOutput"}
    splits = [types[n.name] for n in result.graph.node if n.op_type == "Split"]
    assert all("Slice" in found for found in splits)


@pytest.mark.parametrize(
    "build", [models.resnet, models.bert, models.demo], ids=["resnet", "bert", "demo"]
)
def test_an_original_node_belongs_to_one_optimized_node_at_most(
    build: object, tmp_path: Path
) -> None:
    assert callable(build)
    original, result = optimized(build(), tmp_path)
    found = SourceMap(original, result).by_node_name()
    owned = [value for values in found.values() for value in values]
    assert len(owned) == len(set(owned))
    assert set(owned) <= {node.output[0] for node in original.graph.node}


def test_nodes_without_names_are_told_apart_as_the_profile_does() -> None:
    nodes = [helper.make_node("Exp", ["x"], ["a"]), helper.make_node("Exp", ["a"], ["y"])]
    model = onnx.load_from_string(models.model_bytes(nodes, {"x": [2]}, {"y": [2]}))
    assert SourceMap(model, model).by_node_name() == {"Exp_0": ("a",), "Exp_1": ("y",)}


def test_only_the_graph_is_read(tmp_path: Path) -> None:
    model = onnx.load_from_string(models.mlp())
    path = tmp_path / "external.onnx"
    onnx.save(model, str(path), save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "weights").unlink()
    assert [node.name for node in load_light(path).graph.node] == [
        "layer/first",
        "layer/relu",
        "layer/second",
    ]
