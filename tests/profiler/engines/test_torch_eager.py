"""PyTorch's eager engine in this process: each file kind, results, traces, options, errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from profiler.engines import create_engine
from profiler.engines.torch_eager import TorchEagerEngine
from profiler.errors import ConversionError, EngineError
from profiler.inputs import make_arrays
from profiler.model_file import identify
from profiler.outputs import load_outputs
from profiler.types import EngineKind, EngineSpec, InputSpec, Load
from tests.profiler.engine_commands import PIXELS, TOKENS, X, load_command
from tests.profiler.onnx_torch import models

EAGER = EngineKind.TORCH_EAGER
Loader = Callable[[Load], TorchEagerEngine]


@pytest.fixture
def load() -> Iterator[Loader]:
    """Loads engines and closes them, so that inference mode ends with the test."""
    engines: list[TorchEagerEngine] = []

    def loaded(command: Load) -> TorchEagerEngine:
        engine = create_engine(command)
        assert isinstance(engine, TorchEagerEngine)
        engines.append(engine)
        engine.load()
        return engine

    yield loaded
    for engine in reversed(engines):
        engine.close()
    assert not torch.is_inference_mode_enabled()


def network() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)).eval()


def torch_command(path: Path) -> Load:
    return Load(
        spec=EngineSpec(label="eager", engine=EAGER),
        model=identify(path),
        inputs=X,
        work_dir=str(path.parent),
    )


def pickled(folder: Path) -> Path:
    torch.save(network(), folder / "model.pt")
    return folder / "model.pt"


def scripted(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.trace(network(), torch.zeros(1, 8))
    module.save(folder / "model.pt")
    return folder / "model.pt"


def exported(folder: Path) -> Path:
    program = torch.export.export(network(), (torch.zeros(1, 8),))
    torch.export.save(program, folder / "model.pt2")
    return folder / "model.pt2"


each_kind = pytest.mark.parametrize(
    ("save", "note"),
    [
        (pickled, "nn.Module"),
        (scripted, "converted from TorchScript"),
        (exported, "exported program"),
    ],
    ids=["pickled", "scripted", "exported"],
)


@each_kind
def test_each_kind_of_file_gives_its_own_outputs(
    save: Callable[[Path], Path], note: str, load: Loader, tmp_path: Path
) -> None:
    engine = load(torch_command(save(tmp_path)))
    engine.save_outputs(tmp_path / "out.npz")
    (actual,) = load_outputs(tmp_path / "out.npz")
    with torch.inference_mode():
        expected = network()(torch.from_numpy(make_arrays(X)["x"])).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert engine.graph_note == note
    assert engine.weights_bytes() == (8 * 4 + 4 + 4 * 2 + 2) * 4
    assert len(engine.output_names(engine.infer())) == 1


@each_kind
def test_each_kind_of_file_can_be_traced(
    save: Callable[[Path], Path], note: str, load: Loader, tmp_path: Path
) -> None:
    del note
    traced = load(torch_command(save(tmp_path))).trace(2, 1)
    for iteration in range(2):
        operators = [op.op_type for op in traced.ops if op.iteration == iteration]
        assert operators == ["aten::linear", "aten::relu", "aten::linear"]


def test_an_imported_model_gives_onnx_runtimes_outputs(load: Loader, tmp_path: Path) -> None:
    engine = load(load_command(EAGER, models.bert(), TOKENS, tmp_path))
    ort = create_engine(load_command(EngineKind.ORT, models.bert(), TOKENS, tmp_path))
    ort.load()
    results = []
    for index, one in enumerate((engine, ort)):
        one.save_outputs(tmp_path / f"{index}.npz")
        results.append(load_outputs(tmp_path / f"{index}.npz"))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-5)
    assert engine.graph_note == "imported from ONNX"
    assert engine.output_names(engine.infer()) == ort.output_names(ort.infer()) == ("logits",)
    # Both lanes tell the size of the same weights; the import may add small constants.
    assert engine.weights_bytes() >= 100 * 32 * 4


@pytest.mark.parametrize(
    ("build", "inputs"), [(models.resnet, PIXELS), (models.bert, TOKENS)], ids=["resnet", "bert"]
)
def test_every_operator_of_an_import_names_its_node(
    build: Callable[[], bytes], inputs: tuple[InputSpec, ...], load: Loader, tmp_path: Path
) -> None:
    traced = load(load_command(EAGER, build(), inputs, tmp_path)).trace(2, 1)
    graph = onnx.load_from_string(build()).graph
    original = {value: node for node in graph.node for value in node.output}
    assert len(traced.latencies_ns) == 2
    assert all(op.source_nodes for op in traced.ops)
    assert {op.source_nodes[0] for op in traced.ops} <= original.keys()
    heavy = {"Conv": "aten::conv2d", "LayerNormalization": "aten::layer_norm"}
    found = [(original[op.source_nodes[0]].op_type, op.op_type) for op in traced.ops]
    for onnx_type, aten in heavy.items():
        expected = [node.op_type for node in graph.node if node.op_type == onnx_type] * 2
        assert [(kind, name) for kind, name in found if kind == onnx_type] == [
            (kind, aten) for kind in expected
        ]


def test_times_lie_within_their_iteration(load: Loader, tmp_path: Path) -> None:
    traced = load(load_command(EAGER, models.mlp(), X, tmp_path)).trace(3, 1)
    for iteration, latency in enumerate(traced.latencies_ns):
        ops = [op for op in traced.ops if op.iteration == iteration]
        assert [op.name for op in ops] == ["layer_first", "layer_relu", "layer_second"]
        starts = [op.start_ns for op in ops]
        assert starts == sorted(starts)
        assert starts[0] >= 0
        assert ops[-1].start_ns + ops[-1].duration_ns <= latency
        assert sum(op.duration_ns for op in ops) <= latency


def test_a_modules_operators_have_its_path_as_scope(load: Loader, tmp_path: Path) -> None:
    engine = load(torch_command(pickled(tmp_path)))
    traced = engine.trace(1, 1)
    assert [(op.scope, op.name) for op in traced.ops] == [
        ("0", "0/aten::linear"),
        ("1", "1/aten::relu"),
        ("2", "2/aten::linear"),
    ]
    hooks = [m for m in engine._module.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert hooks == []


def test_a_scalar_input_stays_a_scalar(load: Loader, tmp_path: Path) -> None:
    from onnx import helper

    nodes = [helper.make_node("Exp", ["x"], ["y"])]
    content = models.model_bytes(nodes, {"x": []}, {"y": []})
    scalar = (InputSpec(name="x", dtype="float32", shape=()),)
    engine = load(load_command(EAGER, content, scalar, tmp_path))
    engine.save_outputs(tmp_path / "out.npz")
    (actual,) = load_outputs(tmp_path / "out.npz")
    assert actual.shape == ()


def test_threads_reach_pytorch(load: Loader, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        load(load_command(EAGER, models.mlp(), X, tmp_path, intra_op_threads=before + 1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_an_input_without_values_is_named(load: Loader, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no values: mask"):
        load(load_command(EAGER, models.bert(), TOKENS[:1], tmp_path))


def test_an_operator_that_is_missing_is_told(load: Loader, tmp_path: Path) -> None:
    from onnx import helper

    nodes = [helper.make_node("Special", ["x"], ["y"], domain="my.domain")]
    content = models.model_bytes(nodes, {"x": [1, 8]}, {"y": [1, 8]})
    with pytest.raises(ConversionError, match=r"my\.domain::Special"):
        load(load_command(EAGER, content, X, tmp_path))
