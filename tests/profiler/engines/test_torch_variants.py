"""TorchScript, torch.compile and torch.export as engines, on each kind of file they take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from profiler.engines import create_engine
from profiler.engines.torch_compile import TorchCompileEngine
from profiler.engines.torch_engine import TorchEngine
from profiler.engines.torch_script import TorchScriptEngine
from profiler.errors import EngineError
from profiler.inputs import make_arrays
from profiler.model_file import identify
from profiler.outputs import load_outputs
from profiler.types import EngineKind, EngineSpec, InputSpec, Load
from tests.model_zoo import save_script

X = (InputSpec(name="x", dtype="float32", shape=(1, 8)),)


class Network(torch.nn.Module):
    """Two layers; the class is not one of torch.nn."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = torch.nn.Linear(8, 4)
        self.second = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.second(torch.relu(self.first(x)))
        return found


def sequential() -> torch.nn.Module:
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()


def pickled(folder: Path) -> Path:
    torch.save(sequential(), folder / "model.pt")
    return folder / "model.pt"


def scripted(folder: Path) -> Path:
    save_script(Network().eval(), folder / "scripted.pt")
    return folder / "scripted.pt"


def exported(folder: Path) -> Path:
    program = torch.export.export(Network().eval(), (torch.zeros(1, 8),))
    torch.export.save(program, folder / "model.pt2")
    return folder / "model.pt2"


Made = Callable[..., TorchEngine]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Loads a file in an engine, calls it once, and closes it at the end."""
    engines: list[TorchEngine] = []

    def make(engine: EngineKind, path: Path, **options: str | int | float | bool) -> TorchEngine:
        spec = EngineSpec(label="x", engine=engine, options=options)
        load = Load(spec=spec, model=identify(path), inputs=X, work_dir=str(tmp_path))
        created = create_engine(load)
        assert isinstance(created, TorchEngine)
        engines.append(created)
        created.load()
        return created

    yield make
    for engine in engines:
        engine.close()


def check_outputs(engine: TorchEngine, folder: Path) -> None:
    """They are those of the network that every file here holds."""
    engine.save_outputs(folder / "out.npz")
    (actual,) = load_outputs(folder / "out.npz")
    with torch.inference_mode():
        expected = sequential()(torch.from_numpy(make_arrays(X)["x"])).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("save", "freeze", "note"),
    [
        (scripted, False, "TorchScript"),
        (scripted, True, "TorchScript, frozen"),
        (pickled, False, "traced from nn.Module"),
    ],
)
def test_torch_script(
    made: Made, tmp_path: Path, save: Callable[[Path], Path], freeze: bool, note: str
) -> None:
    engine = made(EngineKind.TORCH_SCRIPT, save(tmp_path), freeze=freeze)
    assert isinstance(engine, TorchScriptEngine)
    assert isinstance(engine._module, torch.jit.ScriptModule)
    check_outputs(engine, tmp_path)
    assert engine.graph_note == note
    assert engine.after_first_call() == 0
    assert {op.op_type for op in engine.trace(1, 2).ops} >= {"aten::linear"}


def test_operators_of_one_name_are_numbered(made: Made, tmp_path: Path) -> None:
    traced = made(EngineKind.TORCH_SCRIPT, scripted(tmp_path)).trace(2, 2)
    first = ["aten::linear", "aten::relu", "aten::linear #2"]
    assert [op.name for op in traced.ops] == first * 2


@pytest.mark.parametrize("save", [scripted, pickled], ids=["scripted", "traced"])
def test_operators_of_torchscript_know_their_modules(
    made: Made, tmp_path: Path, save: Callable[[Path], Path]
) -> None:
    ops = made(EngineKind.TORCH_SCRIPT, save(tmp_path)).trace(2, 2).ops
    linear = [op.scope for op in ops if op.op_type == "aten::linear"]
    modules = ["first", "second"] if save is scripted else ["0", "2"]
    assert linear == modules * 2


def test_a_frozen_program_has_no_modules(made: Made, tmp_path: Path) -> None:
    ops = made(EngineKind.TORCH_SCRIPT, scripted(tmp_path), freeze=True).trace(1, 2).ops
    assert {op.scope for op in ops} == {""}


def test_torch_export_runs_the_program_as_it_is(made: Made, tmp_path: Path) -> None:
    engine = made(EngineKind.TORCH_EXPORT, exported(tmp_path))
    check_outputs(engine, tmp_path)
    assert engine.graph_note == "exported program"
    names = [op.op_type for op in engine.trace(1, 1).ops]
    assert names == ["aten::linear", "aten::relu", "aten::linear"]


@pytest.mark.parametrize(
    ("save", "source"),
    [
        (pickled, "nn.Module"),
        (scripted, "converted from TorchScript"),
        (exported, "exported program"),
    ],
)
def test_torch_compile(
    made: Made, tmp_path: Path, save: Callable[[Path], Path], source: str
) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    engine = made(EngineKind.TORCH_COMPILE, save(tmp_path))
    assert isinstance(engine, TorchCompileEngine)
    check_outputs(engine, tmp_path)
    assert engine.after_first_call() > 0
    assert engine.graph_note == f"{source}, compiled into one graph"
    kinds = {op.op_type for op in engine.trace(2, 1).ops}
    assert any(kind.startswith("graph_") for kind in kinds), kinds


def test_graph_breaks_are_told(made: Made, tmp_path: Path) -> None:
    class Broken(Network):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            torch._dynamo.graph_break()
            return super().forward(torch.cat([x, x], 1))

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    engine = made(EngineKind.TORCH_COMPILE, pickled(tmp_path))
    engine._module = engine.prepared(Broken().eval())
    engine.infer()
    engine.after_first_call()
    assert engine.graph_note == "nn.Module, compiled into 2 graphs (1 graph break)"


def test_nodes_that_break_the_graph_of_an_import_are_named(made: Made, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Exp", ["x"], ["e"]),
        helper.make_node("NonZero", ["e"], ["n"], name="positions"),
        helper.make_node("Cast", ["n"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Exp", ["f"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    values[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])
    graph = helper.make_graph(nodes, "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    engine = made(EngineKind.TORCH_COMPILE, tmp_path / "model.onnx")
    engine.infer()
    engine.after_first_call()
    assert engine.graph_note.endswith("; data decides the work of positions")


def test_a_model_of_which_nothing_is_compiled_is_refused(made: Made, tmp_path: Path) -> None:
    torch._dynamo.utils.counters.clear()
    engine = made(EngineKind.TORCH_COMPILE, pickled(tmp_path))
    engine._module = sequential()
    engine.infer()
    with pytest.raises(EngineError, match="nothing in this model"):
        engine.after_first_call()


def test_torchscript_that_has_no_other_form_is_refused(made: Made, tmp_path: Path) -> None:
    class Counter(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while bool(x.sum() < 100):
                x = x * 2 + 1
            return x

    save_script(Counter(), tmp_path / "loop.pt")
    with pytest.raises(EngineError, match="can't be run by torch-eager") as caught:
        made(EngineKind.TORCH_EAGER, tmp_path / "loop.pt")
    assert "torch-script" in caught.value.hint
