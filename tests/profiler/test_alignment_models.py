"""Real engines on real architectures: enough is aligned, and it is aligned right."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from profiler.explanation import Explanation
from profiler.inputs import make_arrays
from profiler.onnx_torch import import_onnx
from profiler.op_kinds import GLUE, kind_of
from profiler.types import EngineKind, InputSpec
from tests.architectures import save
from tests.model_zoo import network, save_script
from tests.traced_lanes import explain, inputs_of, traced

EAGER, ORT = EngineKind.TORCH_EAGER, EngineKind.ORT
X = (InputSpec(name="x", dtype="float32", shape=(2, 32)),)


@pytest.fixture(scope="module", params=["ResNet-50", "BERT-base", "GPT-2", "MobileNetV2"])
def files(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    return save(request.param, tmp_path_factory.mktemp("files"), small=True)


def test_an_import_and_onnx_runtime_share_their_operators(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    """By number, not time: ONNX Runtime folded two look-ups in tables of so small a BERT.

    In PyTorch these are nine of 65 operators, since an index may be negative.
    """
    inputs = inputs_of(files[0])
    found = explain(
        traced(files[0], EAGER, inputs, tmp_path / "eager"),
        traced(files[0], ORT, inputs, tmp_path / "ort"),
    )
    check(found, at_least=0.85)


def test_a_program_and_onnx_runtime_share_their_operators(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Only module paths join these lanes.

    ONNX Runtime folded the masks that PyTorch computes in each call: a third of the operators of
    so small a BERT, by number.
    """
    inputs = inputs_of(files[0])
    found = explain(
        traced(files[1], EAGER, inputs, tmp_path / "eager"),
        traced(files[0], ORT, inputs, tmp_path / "ort"),
    )
    check(found, at_least=0.6)
    wrong = [
        region.name
        for region in found.regions
        for row in region.operators[0]
        if kind_of(row.op_type) not in GLUE and not _near(row.scope, region)
    ]
    assert wrong == [], "an operator that computes lies in a region of another module"


def test_levels_of_optimization_share_their_operators(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    inputs = inputs_of(files[0])
    found = explain(
        traced(files[0], ORT, inputs, tmp_path / "off", graph_optimization_level="disable"),
        traced(files[0], ORT, inputs, tmp_path / "all"),
    )
    check(found, at_least=0.93)


@pytest.mark.parametrize("form", ["imported", "program"])
@pytest.mark.parametrize("name", ["ResNet-50", "BERT-base"])
def test_kernels_and_onnx_runtime_share_their_operators(
    name: str, form: str, tmp_path: Path
) -> None:
    """torch.compile. What computes lies with its module, also where a kernel was divided."""
    torch._dynamo.reset()
    onnx_path, program_path = save(name, tmp_path, small=True)
    inputs = inputs_of(onnx_path)
    path = onnx_path if form == "imported" else program_path
    found = explain(
        traced(path, EngineKind.TORCH_COMPILE, inputs, tmp_path / "compile"),
        traced(onnx_path, ORT, inputs, tmp_path / "ort"),
    )
    check(found, at_least=0.98)
    assert all(row.source_nodes for region in found.regions for row in region.operators[0])
    wrong = [
        region.name
        for region in found.regions
        for row in region.operators[0]
        if row.op_type.startswith("aten::") and not _near(row.scope, region)
    ]
    assert wrong == []


def check(found: Explanation, *, at_least: float) -> None:
    """Each operator counts alike: times are units."""
    assert min(found.coverage) >= at_least
    names = [region.name for region in found.regions]
    assert len(names) == len(set(names))
    large = [r for r in found.regions if max(len(rows) for rows in r.operators) > 30]
    assert all(region.path for region in large), "a large region has a module's name"


def _near(scope: str, region: Any) -> bool:
    """Within the region's module, or an outer module of it."""
    path = ".".join(region.path)
    return scope == path or scope.startswith(f"{path}.") or path.startswith(scope) or not path


# --- known extra work -----------------------------------------------------------------------


class Block(torch.nn.Module):
    def __init__(self, repeats: int) -> None:
        super().__init__()
        self.up = torch.nn.Linear(32, 64)
        self.down = torch.nn.Linear(64, 32)
        self.repeats = repeats

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.repeats):
            x = x + self.down(torch.nn.functional.gelu(self.up(x)))
        return x


class Tower(torch.nn.Module):
    """Four blocks, of which one may do its work several times."""

    def __init__(self, slow: int = -1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = torch.nn.Sequential(*(Block(6 if i == slow else 1) for i in range(4)))

    def forward(self, x: torch.Tensor) -> Any:
        return self.blocks(x)


def export(module: torch.nn.Module, folder: Path, name: str) -> tuple[Path, Path, Path]:
    """As ONNX, as a program, and as TorchScript."""
    example = (torch.zeros(2, 32),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module.eval(), example), folder / f"{name}.pt2")
        torch.onnx.export(
            module,
            example,
            str(folder / f"{name}.onnx"),
            dynamo=True,
            external_data=False,
            input_names=["x"],
            verbose=False,
        )
    save_script(module, folder / f"{name}.pt", example[0])
    return folder / f"{name}.onnx", folder / f"{name}.pt2", folder / f"{name}.pt"


@pytest.mark.parametrize(
    ("baseline", "candidate"),
    [
        (ORT, ORT),
        (EAGER, ORT),
        (ORT, EAGER),
        (EAGER, EAGER),
        (ORT, EngineKind.TORCH_COMPILE),
        (EngineKind.TORCH_COMPILE, EAGER),
        (ORT, EngineKind.TORCH_SCRIPT),
    ],
)
def test_extra_work_in_a_module_changes_that_region(
    baseline: EngineKind, candidate: EngineKind, tmp_path: Path
) -> None:
    """ONNX Runtime takes the ONNX file, TorchScript its own, the others the program."""
    torch._dynamo.reset()
    plain = export(Tower(), tmp_path, "plain")
    slow = export(Tower(slow=2), tmp_path, "slow")
    form = {ORT: 0, EAGER: 1, EngineKind.TORCH_COMPILE: 1, EngineKind.TORCH_SCRIPT: 2}
    found = explain(
        traced(plain[form[baseline]], baseline, X, tmp_path / "baseline"),
        traced(slow[form[candidate]], candidate, X, tmp_path / "candidate"),
    )
    changes: dict[str, float] = {}
    for region in found.regions:
        block = ".".join(region.name.replace(":", ".").split(".")[:2])
        changes[block] = changes.get(block, 0.0) + region.difference_ns
    assert set(changes) == {f"blocks.{i}" for i in range(4)}
    largest = max(changes, key=lambda block: abs(changes[block]))
    assert largest == "blocks.2"
    others = max(abs(ns) for block, ns in changes.items() if block != largest)
    assert changes[largest] > 4 * others


def test_a_pickled_module_meets_the_exporters_scopes(tmp_path: Path) -> None:
    """Operators of hooks, with a batch norm that the exporter folds."""
    module = network()
    torch.save(module, tmp_path / "model.pt")
    path = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, 32, 32),),
            str(path),
            dynamo=True,
            external_data=False,
            input_names=["x"],
            verbose=False,
        )
    inputs = (InputSpec(name="x", dtype="float32", shape=(1, 3, 32, 32)),)
    found = explain(
        traced(tmp_path / "model.pt", EAGER, inputs, tmp_path / "eager"),
        traced(path, ORT, inputs, tmp_path / "ort"),
    )
    assert found.coverage == (1.0, 1.0)
    first = found.regions[0]
    assert {row.op_type for row in first.operators[0]} >= {"aten::conv2d", "aten::batch_norm"}


# --- values at the regions' borders ----------------------------------------------------------


def test_values_at_the_borders_of_regions_agree(files: tuple[Path, Path], tmp_path: Path) -> None:
    """The last value of each shared region, in ONNX Runtime and in the import."""
    path = files[0]
    inputs = inputs_of(path)
    found = explain(
        traced(path, EAGER, inputs, tmp_path / "eager"),
        traced(path, ORT, inputs, tmp_path / "ort"),
    )
    several = {n.output[0] for n in onnx.load(str(path)).graph.node if len(n.output) > 1}
    last = [region.nodes[-1] for region in found.regions if region.shared and region.nodes]
    borders = [name for name in last if name not in several]
    arrays = make_arrays(inputs)
    expected = _onnx_values(path, borders, arrays, tmp_path)
    actual = _torch_values(path, set(borders), arrays)
    compared = [name for name in borders if name in actual]
    assert len(compared) >= 0.9 * len(borders)
    for name in compared:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def _onnx_values(
    path: Path, names: list[str], arrays: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """What ONNX Runtime computes for these values."""
    model = onnx.load(str(path))
    known = {value.name for value in model.graph.output}
    for name in names:
        if name not in known:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    onnx.save(model, str(folder / "borders.onnx"))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(folder / "borders.onnx"), options, ["CPUExecutionProvider"]
    )
    outputs = [item.name for item in session.get_outputs()]
    return dict(zip(outputs, session.run(None, arrays), strict=True))


def _torch_values(path: Path, names: set[str], arrays: dict[str, Any]) -> dict[str, Any]:
    """The last result of the import's calls that stand for each of these nodes."""
    found: dict[str, Any] = {}

    class Keeping(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            result = super().run_node(n)
            name = n.meta.get("onnx_output")
            if name in names and isinstance(result, torch.Tensor):
                found[name] = result.numpy()
            return result

    module = import_onnx(path)
    with torch.inference_mode():
        Keeping(module).run(
            *(torch.from_numpy(arrays[name]) for name in module.meta["input_names"])
        )
    return found


# --- other forms of the same model ------------------------------------------------------------


def test_an_int8_file_stands_beside_its_fp32_file(tmp_path: Path) -> None:
    """Quantizing nodes go with the operators that they are for."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    plain, _ = save("BERT-base", tmp_path, small=True)
    quantize_dynamic(str(plain), str(tmp_path / "int8.onnx"), weight_type=QuantType.QInt8)
    inputs = inputs_of(plain)
    found = explain(
        traced(plain, ORT, inputs, tmp_path / "fp32"),
        traced(tmp_path / "int8.onnx", ORT, inputs, tmp_path / "int8"),
    )
    assert found.coverage == (1.0, 1.0)
    quantized = [
        region
        for region in found.regions
        if any("Integer" in row.op_type for row in region.operators[1])
    ]
    assert len(quantized) >= 4
    for region in quantized:
        assert "matmul" in {kind_of(row.op_type) for row in region.operators[0]}, region.name


def test_a_lane_that_knows_neither_nodes_nor_modules(tmp_path: Path) -> None:
    """TorchScript made from the very file that ONNX Runtime runs: by kind and order alone."""
    path, _ = save("ResNet-50", tmp_path, small=True)
    inputs = inputs_of(path)
    found = explain(
        traced(path, EngineKind.TORCH_SCRIPT, inputs, tmp_path / "script"),
        traced(path, ORT, inputs, tmp_path / "ort"),
    )
    assert min(found.coverage) >= 0.95
    assert sum(region.shared for region in found.regions) >= 15
