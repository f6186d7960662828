"""Searches with real engines on a model whose fastest configuration is known, by a wide margin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from profiler.model_file import identify
from profiler.search.result import found_by, winner
from profiler.search.runner import search
from profiler.session import Session
from profiler.types import ArmState, EngineKind, InputSpec, SearchPlan


def constant_product(folder: Path) -> Path:
    """A product of constants, which a graph that isn't optimized works out in every call."""
    weights = np.random.default_rng(0).standard_normal((700, 700)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["a", "a"], ["product"]),
        helper.make_node("ReduceMax", ["product"], ["top"], keepdims=0),
        helper.make_node("Add", ["x", "top"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1000])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1000])],
        [numpy_helper.from_array(weights, "a")],
    )
    path = folder / "constant.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))
    return path


def searched(path: Path, length: int, engines: Sequence[EngineKind], budget_s: float) -> Session:
    plan = SearchPlan(
        model=identify(path),
        inputs=(InputSpec(name="x", dtype="float32", shape=(length,)),),
        engines=tuple(engines),
        budget_s=budget_s,
    )
    session = Session()
    for event in search(plan):
        session.apply(event)
    return session


def test_an_optimized_graph_beats_one_that_is_not(tmp_path: Path) -> None:
    session = searched(constant_product(tmp_path), 1000, [EngineKind.ORT], 30.0)
    tried = {item.label: item for item in session.search.tried()}
    disabled = tried["ort,graph_optimization_level=disable"]
    assert disabled.state is ArmState.SLOWER
    assert disabled.low > 2
    (found,) = found_by(session)
    assert "disable" not in found.leader
    assert winner(session) is not None
