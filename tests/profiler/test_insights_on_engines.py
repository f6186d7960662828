"""Each rule on a model with the fault and on one without, both run by real engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from profiler.insights import find_insights
from profiler.session import Session
from profiler.types import Ceiling, EngineKind, InputSpec
from tests.engine_sessions import run_engines
from tests.gui.driving import DEMO
from tests.profiler.onnx_torch import models

ORT, EAGER, PROGRAM = EngineKind.ORT, EngineKind.TORCH_EAGER, EngineKind.TORCH_EXPORT
COMPILE = EngineKind.TORCH_COMPILE
ASIS = {"graph_optimization_level": "disable"}
# So low, or so high, that operators of one unit of time are sure to lie on one side.
ANY = Ceiling(flops_per_s=1e15, bytes_per_s=1e15, how="none")
X = (InputSpec(name="x", dtype="float32", shape=(8, 8), symbols=("batch", None)),)
WIDE = (InputSpec(name="x", dtype="float64", shape=(8, 8)),)
LARGE = (InputSpec(name="x", dtype="float32", shape=(512, 512)),)
ONE = (InputSpec(name="x", dtype="float32", shape=(1, 8), symbols=("batch", None)),)


def rules(session: Session) -> dict[str, str]:
    """Which rules speak, and of which lane."""
    return {found.rule: found.label for found in find_insights(session)}


def onnx_file(
    folder: Path,
    nodes: Sequence[tuple[str, Sequence[str], str]],
    *,
    side: int = 8,
    dtype: int = TensorProto.FLOAT,
    rows: int | str | None = None,
    **attributes: Any,
) -> Path:
    """Nodes from x to y, each a name, inputs and an output; w is a weight of side x side."""
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    weight = np.random.default_rng(0).standard_normal((side, side)).astype(kind)
    made = [
        helper.make_node(
            op, list(inputs), [output], name=f"node_{output}", **attributes.get(op, {})
        )
        for op, inputs, output in nodes
    ]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", dtype, [rows or side, side])],
        [helper.make_tensor_value_info("y", dtype, None)],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return models.write(model.SerializeToString(), folder)


def plain(folder: Path, **more: Any) -> Path:
    return onnx_file(folder, [("MatMul", ["x", "w"], "h"), ("Relu", ["h"], "y")], **more)


def program(folder: Path, module: torch.nn.Module, *shape: int) -> Path:
    exported = torch.export.export(module.eval(), (torch.randn(*shape),))
    torch.export.save(exported, folder / "model.pt2")
    return folder / "model.pt2"


def test_nothing_is_said_of_a_plain_model(tmp_path: Path) -> None:
    session = run_engines(plain(tmp_path), X, {EAGER: {}, ORT: {}}, tmp_path, ceiling=ANY)
    assert rules(session) == {}


def test_nothing_is_said_of_the_demo(tmp_path: Path) -> None:
    """Of its operators, graph, threads and dtypes; times are those of a machine."""
    image = InputSpec(
        name="image", dtype="float32", shape=(2, 3, 96, 96), symbols=("batch",) + (None,) * 3
    )
    session = run_engines(DEMO, [image], {EAGER: {}, ORT: {}}, tmp_path, ceiling=ANY)
    # In units of time views weigh as much as convolutions do, which these rules go by.
    assert rules(session).keys() <= {
        "moves_and_casts",
        "missed_fusion",
        "work_that_could_be_folded",
    }


def test_moves_and_casts(tmp_path: Path) -> None:
    nodes = [
        ("Transpose", ["x"], "a"),
        ("Relu", ["a"], "b"),
        ("Cast", ["b"], "c"),
        ("Cast", ["c"], "d"),
        ("MatMul", ["d", "w"], "y"),
    ]
    path = onnx_file(tmp_path, nodes, Transpose={"perm": [1, 0]}, Cast={"to": TensorProto.FLOAT})
    found = rules(run_engines(path, X, {ORT: ASIS}, tmp_path, ceiling=ANY))
    assert found["moves_and_casts"] == "ort"


def test_data_copies(tmp_path: Path) -> None:
    class Copies(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x.clone()) + 1

    path = program(tmp_path, Copies(), 8, 8)
    found = rules(run_engines(path, X[:1], {PROGRAM: {}}, tmp_path, ceiling=ANY))
    assert found == {"data_copies": "torch-export"}


def test_wide_types(tmp_path: Path) -> None:
    path = plain(tmp_path, dtype=TensorProto.DOUBLE)
    found = rules(run_engines(path, WIDE, {EAGER: {}, ORT: {}}, tmp_path, ceiling=ANY))
    assert "wide_types" in found


def test_large_integers_are_wide_types(tmp_path: Path) -> None:
    """Small ones are shapes and positions."""
    for side, expected in ((128, {"wide_types": "ort"}), (4, {})):
        folder = tmp_path / str(side)
        folder.mkdir()
        path = onnx_file(
            folder,
            [("Mul", ["x", "w"], "h"), ("Add", ["h", "x"], "y")],
            side=side,
            dtype=TensorProto.INT64,
        )
        ids = InputSpec(name="x", dtype="int64", shape=(side, side), low=0, high=9)
        assert rules(run_engines(path, [ids], {ORT: {}}, folder, ceiling=ANY)) == expected


def test_time_outside_of_operators(tmp_path: Path) -> None:
    session = run_engines(plain(tmp_path), X, {ORT: {}}, tmp_path, ceiling=ANY, slower=3.0)
    assert rules(session) == {"engine_overhead": "ort"}


def test_optimization_off(tmp_path: Path) -> None:
    found = rules(run_engines(plain(tmp_path), X, {ORT: ASIS}, tmp_path, ceiling=ANY))
    assert found == {"optimization_off": "ort"}


def test_unused_results(tmp_path: Path) -> None:
    nodes = [
        ("MatMul", ["x", "w"], "h"),
        ("Exp", ["h"], "dead"),
        ("Sqrt", ["dead"], "deader"),
        ("Relu", ["h"], "y"),
    ]
    path = onnx_file(tmp_path, nodes)
    session = run_engines(path, X, {EAGER: {}}, tmp_path, ceiling=ANY)
    run_ops = {op.op_type for op in session.traces["torch-eager"][0].ops}
    assert ("aten::exp" in run_ops) == ("unused_results" in rules(session))
    unoptimized = run_engines(path, X, {ORT: ASIS}, tmp_path, ceiling=ANY)
    run_ops = {op.op_type for op in unoptimized.traces["ort"][0].ops}
    assert "Exp" in run_ops
    assert rules(unoptimized) == {"optimization_off": "ort", "unused_results": "ort"}


def test_constant_work(tmp_path: Path) -> None:
    nodes = [("Exp", ["w"], "e"), ("Sqrt", ["e"], "f"), ("MatMul", ["x", "f"], "y")]
    path = onnx_file(tmp_path, nodes)
    found = rules(run_engines(path, X, {ORT: ASIS}, tmp_path, ceiling=ANY))
    assert found == {"optimization_off": "ort", "constant_work": "ort"}
    optimized = tmp_path / "optimized"
    optimized.mkdir()
    assert rules(run_engines(path, X, {ORT: {}}, optimized, ceiling=ANY)) == {}


def test_threads(tmp_path: Path) -> None:
    path = plain(tmp_path, side=512)
    cases: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"intra_op_threads": 1}, {"too_few_threads": "ort"}),
        ({"intra_op_threads": 2}, {}),
        ({"intra_op_threads": 5}, {"too_many_threads": "ort"}),
    ]
    for number, (options, expected) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        session = run_engines(path, LARGE, {ORT: options}, folder, ceiling=ANY)
        assert rules(session) == expected
        used = session.examined["ort"].threads
        assert used is not None and used.threads == options["intra_op_threads"]
    # One thread is enough for small operators.
    small = tmp_path / "small"
    small.mkdir()
    assert (
        rules(run_engines(plain(small), X, {ORT: {"intra_op_threads": 1}}, small, ceiling=ANY))
        == {}
    )


def test_what_limits_operators(tmp_path: Path) -> None:
    path = plain(tmp_path, side=512)
    # The product does 268 MFLOP, in a unit of 1 µs.
    cases = {
        "memory_bound": Ceiling(flops_per_s=1e18, bytes_per_s=1e9, how="none"),
        "compute_bound": Ceiling(flops_per_s=1e11, bytes_per_s=1e18, how="none"),
    }
    for rule, ceiling in cases.items():
        folder = tmp_path / rule
        folder.mkdir()
        session = run_engines(path, LARGE, {ORT: {}}, folder, ceiling=ceiling)
        assert rules(session) == {rule: "ort"}


def test_batch_of_one(tmp_path: Path) -> None:
    path = plain(tmp_path, rows="batch")
    few = Ceiling(flops_per_s=1e12, bytes_per_s=1e15, how="none")
    for cores, inputs, expected in (
        ("64 physical, 128 logical", ONE, True),
        ("2 physical, 2 logical", ONE, False),
        ("64 physical, 128 logical", X, False),
    ):
        folder = tmp_path / f"{cores}{inputs[0].shape}"
        folder.mkdir()
        session = run_engines(path, inputs, {ORT: {}}, folder, ceiling=few, cores=cores)
        assert ("batch_of_one" in rules(session)) == expected


class Attention(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(x, x, x)


def test_missed_fusion(tmp_path: Path) -> None:
    """PyTorch has one operator for attention; the exported file has its parts."""
    exported = torch.onnx.export(
        Attention().eval(),
        (torch.randn(1, 2, 8, 4),),
        dynamo=True,
        verbose=False,
        input_names=["x"],
    )
    assert exported is not None
    exported.save(str(tmp_path / "model.onnx"))
    inputs = [InputSpec(name="x", dtype="float32", shape=(1, 2, 8, 4))]
    session = run_engines(
        tmp_path / "model.onnx", inputs, {EAGER: {}, ORT: ASIS}, tmp_path, ceiling=ANY
    )
    found = [one for one in find_insights(session) if one.rule == "missed_fusion"]
    assert [one.label for one in found] == ["ort"]
    assert "scaled_dot_product_attention" in found[0].evidence


class Step(torch.nn.Module):
    """Another attribute in each call, and a branch on a value."""

    def __init__(self, *, counts: bool, branches: bool) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)
        self.counts, self.branches, self.calls = counts, branches, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        if self.counts:
            self.calls += 1
            y = y * self.calls
        if self.branches and y.sum() > 1e9:
            y = y * 2
        return torch.relu(y)


@pytest.mark.parametrize(
    ("counts", "branches", "expected"),
    [
        (True, False, {"recompiles": "torch-compile"}),
        (False, True, {"graph_breaks": "torch-compile"}),
        (False, False, {}),
    ],
)
def test_compilation(
    counts: bool, branches: bool, expected: dict[str, str], tmp_path: Path
) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    torch._dynamo.utils.clear_compilation_metrics()

    def with_faults(engine: Any) -> None:
        module = Step(counts=counts, branches=branches).eval()
        # Dynamo alone: what it counts doesn't depend on the kernels that are made of it.
        engine._module = torch.compile(module, backend="eager")

    path = plain(tmp_path)
    session = run_engines(path, X, {COMPILE: {}}, tmp_path, ceiling=ANY, change=with_faults)
    found = rules(session)
    # A call that compiles shows Dynamo's own views of the weights among its operators.
    found.pop("moves_and_casts", None)
    assert found == expected
