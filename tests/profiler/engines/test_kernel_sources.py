"""Which nodes the kernels of torch.compile come from, on models that are compiled here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from profiler.engines import create_engine
from profiler.engines.kernel_sources import Kernel, KernelSources, _once, load_sources
from profiler.model_file import identify
from profiler.types import EngineKind, EngineSpec, InputSpec, KernelPart, Load, OpTiming, Traced
from tests.traced_lanes import node

INPUTS = (InputSpec(name="x", dtype="float32", shape=(1, 3, 16, 16)),)


class Twins(torch.nn.Module):
    """Two convolutions side by side, whose weights one kernel brings into another layout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left = torch.nn.Conv2d(3, 8, 3)
        self.right = torch.nn.Conv2d(3, 8, 3)
        self.norm = torch.nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.relu(self.norm(self.left(x))) * self.right(x)
        return found


@pytest.fixture(scope="module", params=["program", "onnx"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def traced(form: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp(form)
    module, example = Twins().eval(), torch.zeros(1, 3, 16, 16)
    program = torch.export.export(module, (example,))
    path = folder / f"twins.{'pt2' if form == 'program' else 'onnx'}"
    if form == "program":
        torch.export.save(program, path)
    else:
        torch.onnx.export(program, (), str(path), input_names=["x"], verbose=False)
    torch._dynamo.reset()
    spec = EngineSpec(label="compile", engine=EngineKind.TORCH_COMPILE)
    load = Load(spec=spec, model=identify(path), inputs=INPUTS, work_dir=str(folder))
    engine = create_engine(load)
    engine.load()
    engine.infer()
    engine.after_first_call()
    yield engine.trace(1, 1)
    engine.close()
    assert load_sources(folder / "kernels.msgpack").kernels


def test_every_kernel_has_nodes_of_the_graph(traced: Traced) -> None:
    assert traced.graph is not None
    known = {node.name for node in traced.graph.nodes}
    assert traced.ops
    for op in traced.ops:
        assert op.source_nodes, op.name
        assert set(op.source_nodes) <= known


def test_a_library_call_is_the_module_that_it_was_written_for(traced: Traced) -> None:
    assert traced.graph is not None
    scopes = {node.name: node.scope for node in traced.graph.nodes}
    calls = [op for op in traced.ops if op.op_type.endswith("convolution")]
    modules = [{scopes[name] for name in op.source_nodes} for op in calls]
    # An exporter folds the batch norm into the convolution before it.
    assert {min(m) for m in modules} == {"left", "right"} or {"norm", "right"} == {
        min(m) for m in modules
    }


def test_a_kernel_for_both_convolutions_has_two_parts(traced: Traced) -> None:
    assert traced.graph is not None
    (parts,) = traced.graph.parts.values()
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert len(parts) >= 2
    assert all(0 < part.share < 1 for part in parts)
    names = [name for part in parts for name in part.nodes]
    assert len(names) == len(set(names)), "parts have no node in common"


def test_kernels_of_one_name_are_told_apart_by_order() -> None:
    kernels = [
        Kernel("extern_kernels.addmm", (KernelPart(nodes=("a",), share=1.0),)),
        Kernel("cpp_fused_relu_0", (KernelPart(nodes=("b",), share=1.0),)),
        Kernel("extern_kernels.addmm", (KernelPart(nodes=("c",), share=1.0),)),
    ]
    nodes = {n: node(n, "aten::mm", scope=f"m.{n}") for n in "abc"}
    ops = [
        OpTiming(name=name, op_type=op_type, start_ns=start, duration_ns=1)
        for start, (name, op_type) in enumerate(
            [
                ("1", "aten::addmm"),
                ("2", "aten::empty"),
                ("3", "graph_0_cpp_fused_relu_0"),
                ("4", "aten::addmm"),
            ]
        )
    ]
    found, parts = KernelSources(kernels=kernels, nodes=nodes).attribute(ops)
    assert [(op.source_nodes, op.scope) for op in found] == [
        (("a",), "m.a"),
        ((), ""),
        (("b",), "m.b"),
        (("c",), "m.c"),
    ]
    assert parts == {}


def test_a_node_that_several_kernels_compute_is_the_firsts() -> None:
    def kernel(*nodes: str) -> Kernel:
        return Kernel("k", (KernelPart(nodes=nodes, share=1.0),))

    found = _once([kernel("mask", "one"), kernel("mask", "two"), kernel("mask")])
    assert [k.parts[0].nodes for k in found] == [("mask", "one"), ("two",), ("mask",)]


def test_without_a_file_there_are_no_kernels(tmp_path: Path) -> None:
    assert load_sources(tmp_path / "none").kernels == []
