"""Inputs, outputs and operators of PyTorch's files; hostile ones are refused unread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from profiler import torch_inputs
from profiler.errors import ModelFileError, UnsafeModelError
from profiler.inputs import make_arrays
from profiler.inspection import inspect
from profiler.model_file import identify
from profiler.types import Fill, ModelInfo, ModelKind, ModelSource
from tests import model_zoo

PARAMETERS = 3 * 8 * 9 + 8 + 8 + 8 + 8 * 4 + 4
BUFFERS_BYTES = 8 * 4 + 8 * 4 + 8


def look(path: Path) -> ModelInfo:
    return inspect(identify(path))


def saved(folder: Path, module: torch.nn.Module) -> Path:
    path = folder / "module.pt"
    torch.save(module.eval(), path)
    return path


def test_an_onnx_file_is_inspected_by_its_own_module(tmp_path: Path) -> None:
    assert look(model_zoo.onnx_mlp(tmp_path)).node_count == 4


@pytest.mark.parametrize(
    "build", [model_zoo.torchscript, model_zoo.pickled_sequential, model_zoo.exported_program]
)
def test_weights_are_counted_in_every_kind(build: Callable[[Path], Path], tmp_path: Path) -> None:
    info = look(build(tmp_path))
    assert info.parameter_count == PARAMETERS
    assert info.weights_bytes == 4 * PARAMETERS + BUFFERS_BYTES
    assert [output.shape[-1] for output in info.outputs] == [4]
    assert info.source.producer.startswith("PyTorch")
    assert info.notes == ()


@pytest.mark.parametrize("traced", [False, True])
def test_torchscript_operators(tmp_path: Path, traced: bool) -> None:
    info = look(model_zoo.torchscript(tmp_path, traced=traced))
    (image,) = info.inputs
    assert (image.name, image.guessed) == ("input", True)
    assert (image.shape, image.symbols) == ((1, 3, 224, 224), ("batch", None, "height", "width"))
    assert info.op_counts["aten::batch_norm"] == 1


def test_an_exported_program_tells_its_inputs(tmp_path: Path) -> None:
    info = look(model_zoo.exported_program(tmp_path))
    (image,) = info.inputs
    assert (image.dtype, image.shape, image.guessed) == ("float32", (2, 3, 32, 32), False)
    assert image.symbols[0] is not None
    assert image.symbols[1:] == (None, None, None)
    assert info.op_counts["aten.conv2d.default"] == 1
    assert [output.shape for output in info.outputs] == [(2, 4)]


def test_layers_of_a_pickled_module(tmp_path: Path) -> None:
    info = look(model_zoo.pickled_sequential(tmp_path))
    assert info.op_counts == dict.fromkeys(
        ["Conv2d", "BatchNorm2d", "ReLU", "AdaptiveAvgPool2d", "Flatten", "Linear"], 1
    )


@pytest.mark.parametrize(
    ("module", "shape", "dtype"),
    [
        (torch.nn.Linear(7, 3), (1, 7), "float32"),
        (torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU()), (1, 1, 224, 224), ""),
        (torch.nn.Sequential(torch.nn.Conv1d(2, 3, 5)), (1, 2, 16_000), "float32"),
        (torch.nn.Embedding(33, 4), (1, 128), "int64"),
        (torch.nn.LSTM(6, 5, batch_first=True), (1, 128, 6), "float32"),
        (torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (1, 128, 8), "float32"),
        (
            torch.nn.Sequential(
                torch.nn.Conv2d(3, 4, 4, stride=4),
                torch.nn.Flatten(),
                torch.nn.Linear(4 * 8 * 8, 2),
            ),
            (1, 3, 32, 32),
            "float32",
        ),
    ],
)
def test_shapes_are_found_by_trial(
    tmp_path: Path, module: torch.nn.Module, shape: tuple[int, ...], dtype: str
) -> None:
    info = look(saved(tmp_path, module))
    (spec,) = info.inputs
    assert (spec.shape, spec.dtype, spec.guessed) == (shape, dtype or "float32", True)
    assert info.notes == ()
    assert info.outputs


def test_every_argument_of_a_module_gets_an_input(tmp_path: Path) -> None:
    info = look(saved(tmp_path, torch.nn.MultiheadAttention(8, 2, batch_first=True)))
    assert [spec.name for spec in info.inputs] == ["query", "key", "value"]
    assert {spec.shape for spec in info.inputs} == {(1, 128, 8)}
    assert [output.shape for output in info.outputs] == [(1, 128, 8), (1, 128, 128)]


def test_tokens_stay_in_the_vocabulary(tmp_path: Path) -> None:
    (spec,) = look(saved(tmp_path, torch.nn.Embedding(33, 4))).inputs
    assert (spec.fill, spec.high) == (Fill.INTEGERS, 33)
    assert make_arrays([spec])["input"].max() < 33


class TwoTables(torch.nn.Module):
    """Each argument has its own table; one index is cast on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(33, 4)
        self.kinds = torch.nn.Embedding(5, 4)

    def forward(self, words: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.words(words) + self.kinds(kinds.to(torch.int32))
        return found


def as_script(folder: Path) -> Path:
    path = folder / "tables-script.pt"
    model_zoo.save_script(TwoTables().eval(), path)
    return path


def as_trace(folder: Path) -> Path:
    path = folder / "tables-traced.pt"
    zeros = torch.zeros(1, 4, dtype=torch.int64)
    made: Any = torch.jit.trace(TwoTables().eval(), (zeros, zeros))
    made.save(path)
    return path


def as_program(folder: Path) -> Path:
    path = folder / "tables.pt2"
    # One tensor for both would be taken for one input.
    words, kinds = (torch.zeros(1, 4, dtype=torch.int64) for _ in range(2))
    torch.export.save(torch.export.export(TwoTables().eval(), (words, kinds)), path)
    return path


@pytest.mark.parametrize("build", [as_script, as_trace, as_program])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_index_keeps_to_its_own_table(build: Callable[[Path], Path], tmp_path: Path) -> None:
    info = look(build(tmp_path))
    assert {spec.name: spec.limit for spec in info.inputs} == {"words": 33, "kinds": 5}
    assert [spec.fill for spec in info.inputs] == [Fill.INTEGERS] * 2
    assert info.outputs


def test_every_index_of_a_python_module_too() -> None:
    notes: list[str] = []
    source = ModelSource(path="", kind=ModelKind.PICKLED_MODULE, sha256="", size_bytes=0)
    inputs, outputs = torch_inputs.propose(TwoTables().eval(), source, notes)
    assert {spec.name: spec.limit for spec in inputs} == {"words": 33, "kinds": 5}
    assert outputs and not notes


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        (
            "BertModel",
            {"vocab_size": 50, "hidden_size": 16, "num_attention_heads": 2},
            {"input_ids": ((1, 128), 50), "attention_mask": ((1, 128), None)},
        ),
        (
            "ViTModel",
            {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_attention_heads": 2},
            {"pixel_values": ((1, 3, 32, 32), None)},
        ),
        (
            "T5Model",
            {"vocab_size": 40, "d_model": 16, "num_heads": 2, "d_kv": 8, "d_ff": 16},
            {
                "input_ids": ((1, 128), 40),
                "attention_mask": ((1, 128), None),
                "decoder_input_ids": ((1, 128), 40),
            },
        ),
    ],
)
def test_models_of_transformers_are_fed_by_name(
    name: str, config: dict[str, Any], expected: dict[str, Any]
) -> None:
    kind: Any = getattr(transformers, name)
    layers = {"num_hidden_layers": 1, "num_layers": 1, "intermediate_size": 16}
    module = kind(kind.config_class(**config, **layers)).eval()
    notes: list[str] = []
    source = ModelSource(path="", kind=ModelKind.SAFETENSORS, sha256="", size_bytes=0)
    inputs, outputs = torch_inputs.propose(module, source, notes)
    assert {spec.name: (spec.shape, spec.limit) for spec in inputs} == expected
    assert outputs and not notes


def test_a_shape_that_no_trial_finds_is_told(tmp_path: Path) -> None:
    odd = torch.nn.Sequential(torch.nn.Unflatten(1, (3, 5, 7)), torch.nn.Conv2d(3, 2, 3))
    info = look(saved(tmp_path, odd))
    assert any("set them in the inputs table" in note for note in info.notes)
    assert any("trial run failed" in note for note in info.notes)
    assert info.outputs == ()
    assert info.inputs[0].guessed


def test_silero_says_which_argument_is_no_tensor() -> None:
    info = look(model_zoo.silero("silero_vad.jit"))
    assert info.parameter_count > 400_000
    assert [spec.name for spec in info.inputs] == ["x"]
    assert any("Argument sr of forward is a int" in note for note in info.notes)


def test_a_module_without_tensors(tmp_path: Path) -> None:
    class Empty(torch.nn.Module):
        def forward(self, count: int) -> int:
            return count + 1

    path = tmp_path / "empty.pt"
    model_zoo.save_script(Empty(), path)
    with pytest.raises(ModelFileError) as caught:
        look(path)
    assert "takes no tensors" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("build", [model_zoo.hostile_archive, model_zoo.hostile_program])
def test_hostile_files_are_refused_and_never_run(
    build: Callable[[Path, Path], Path], tmp_path: Path
) -> None:
    marker = tmp_path / "ran"
    with pytest.raises(UnsafeModelError) as caught:
        look(build(tmp_path, marker))
    assert "system" in caught.value.message
    assert caught.value.hint
    assert not marker.exists()


@pytest.mark.parametrize(
    "kind", [ModelKind.PICKLED_MODULE, ModelKind.TORCH_EXPORT, ModelKind.TORCHSCRIPT]
)
def test_a_wrong_kind_runs_nothing_either(kind: ModelKind, tmp_path: Path) -> None:
    """Were the kind mistaken, the loaders would still refuse."""
    marker = tmp_path / "ran"
    path = model_zoo.hostile_archive(tmp_path, marker)
    source = ModelSource(path=str(path), kind=kind, sha256="", size_bytes=path.stat().st_size)
    with pytest.raises(ModelFileError):
        inspect(source)
    assert not marker.exists()
