"""ONNX Runtime's operators in bodies and functions, from real traces."""

from __future__ import annotations

from pathlib import Path

from profiler.engines import create_engine
from profiler.heat import memory_heat, operator_heat
from profiler.model_file import identify
from profiler.operators import OperatorTotals
from profiler.types import EngineKind, EngineSpec, Load, OperatorRow, OpTimings, Traced
from tests.nested_models import SIDE, TRIPS, control_flow, functions
from tests.traced_lanes import inputs_of

SQUARE_BYTES = SIDE * SIDE * 4


def traced(path: Path, engine: EngineKind = EngineKind.ORT) -> Traced:
    """Two calls."""
    spec = EngineSpec(label="lane", engine=engine)
    load = Load(spec=spec, model=identify(path), inputs=inputs_of(path), work_dir=str(path.parent))
    one = create_engine(load)
    one.load()
    try:
        return one.trace(2, 1)
    finally:
        one.close()


def rows(found: Traced, *, inner: bool) -> list[OperatorRow]:
    totals = OperatorTotals()
    totals.add(
        OpTimings(
            time_ns=0,
            label="lane",
            round=0,
            iterations=2,
            traced_latencies_ns=found.latencies_ns,
            ops=found.ops,
            inner=found.inner,
        ),
        inner=inner,
    )
    return totals.rows("lane")


def test_nodes_of_bodies_are_told_apart_and_not_counted_twice(tmp_path: Path) -> None:
    found = traced(control_flow(tmp_path / "control.onnx"))
    outer, inner = rows(found, inner=False), rows(found, inner=True)
    assert {row.op_type for row in outer} >= {"Loop", "If", "MatMul"}
    calls = {row.source_nodes[-1]: row.calls for row in inner}
    # The branch that was not taken has no operator, though a value of the same name.
    assert calls["looped › body › loop_mm"] == calls["looped › body › h_out"] == TRIPS
    assert calls["y › then_branch › mm"] == calls["y › then_branch › br"] == 1
    assert not any("else_branch" in name for name in calls)
    loop = next(row for row in outer if row.op_type == "Loop")
    within = sum(row.traced_ns for row in inner if row.source_nodes[-1].startswith("looped"))
    assert 0 < within <= loop.traced_ns


def test_memory_is_what_the_nodes_give(tmp_path: Path) -> None:
    found = traced(control_flow(tmp_path / "control.onnx"))
    heat = memory_heat([*rows(found, inner=False), *rows(found, inner=True)])
    assert heat["first"].amount == SQUARE_BYTES
    assert heat["looped › body › h_out"].amount == TRIPS * SQUARE_BYTES
    eager = traced(control_flow(tmp_path / "control.onnx"), EngineKind.TORCH_EAGER)
    assert memory_heat(rows(eager, inner=False))["first"].amount == SQUARE_BYTES


def test_functions_are_told_apart_by_call(tmp_path: Path) -> None:
    found = traced(functions(tmp_path / "functions.onnx"))
    assert found.inner == ()
    table = {row.source_nodes for row in rows(found, inner=False)}
    assert ("a", "a › t") in table
    assert ("b", "b › t") in table
    assert ("b", "b › y") in table
    assert found.graph is not None
    assert [node.name for node in found.graph.nodes] == ["a", "b", "y"]
    heat = operator_heat(rows(found, inner=False))
    parts = sum(heat[f"a › {name}"].amount for name in "tuy")
    assert heat["a"].amount == parts
    assert heat["a"].nodes == 1
