"""Real model files of every kind, small, written into a folder by the test that needs one."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.system, (f'echo > "{self.marker}"',)


def network() -> torch.nn.Sequential:
    """A small image classifier made of torch.nn's own classes."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, 4),
    ).eval()


def onnx_labels(folder: Path) -> Path:
    """`x` [1, 3] -> `label` [1], a text, as classifiers of other libraries have it."""
    nodes = [
        helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder",
            ["best"],
            ["label"],
            domain="ai.onnx.ml",
            keys_int64s=[0, 1, 2],
            values_strings=["cat", "dog", "bird"],
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "labels",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("label", TensorProto.STRING, [1])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    path = folder / "labels.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))
    return path


def onnx_mlp(folder: Path, *, opset: int = 18, external: bool = False) -> Path:
    """`x` [batch, 16] -> `y` [batch, 4]; with `external`, its weights lie in a file beside it."""
    random = np.random.default_rng(0)
    weights = {
        "w1": random.standard_normal((16, 32)).astype(np.float32),
        "b1": random.standard_normal(32).astype(np.float32),
        "w2": random.standard_normal((32, 4)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w1"], ["h"], name="first"),
            helper.make_node("Add", ["h", "b1"], ["biased"], name="bias"),
            helper.make_node("Relu", ["biased"], ["active"], name="relu"),
            helper.make_node("MatMul", ["active", "w2"], ["y"], name="second"),
        ],
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    version = helper.make_opsetid("", opset)
    model = helper.make_model(graph, opset_imports=[version], ir_version=9, producer_name="zoo")
    path = folder / ("external.onnx" if external else "mlp.onnx")
    onnx.save(
        model,
        str(path),
        save_as_external_data=external,
        location="external.data",
        size_threshold=0,
    )
    return path


def pickled_sequential(folder: Path) -> Path:
    """A whole module, as `torch.save(module)` writes it."""
    path = folder / "sequential.pt"
    torch.save(network(), path)
    return path


def state_dict(folder: Path) -> Path:
    """Weights only: no model."""
    path = folder / "weights.pt"
    torch.save(network().state_dict(), path)
    return path


def torchscript(folder: Path, *, traced: bool = False) -> Path:
    """Scripted, or traced."""
    path = folder / ("traced.pt" if traced else "scripted.pt")
    save_script(network(), path, torch.zeros(1, 3, 32, 32) if traced else None)
    return path


def save_script(module: torch.nn.Module, path: Path, example: torch.Tensor | None = None) -> None:
    """Write a module as TorchScript; traced where there is an example."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made: Any = torch.jit.script(module) if example is None else _trace(module, example)
        made.save(str(path))


def _trace(module: torch.nn.Module, example: torch.Tensor) -> Any:
    return torch.jit.trace(module, example)


def exported_program(folder: Path) -> Path:
    """A `.pt2` with a dynamic batch."""
    path = folder / "program.pt2"
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(
        network(), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)
    return path


def hostile_pickle(folder: Path, marker: Path) -> Path:
    """A bare pickle that would make `marker`."""
    path = folder / "hostile.pt"
    path.write_bytes(pickle.dumps(Hostile(marker)))
    return path


def hostile_archive(folder: Path, marker: Path) -> Path:
    """The same in the archive that `torch.save` writes."""
    path = folder / "hostile-archive.pt"
    torch.save({"weights": torch.zeros(2), "extra": Hostile(marker)}, path)
    return path


def hostile_checkpoint(folder: Path, marker: Path) -> Path:
    """A training checkpoint whose hyper-parameters would make `marker`."""
    path = folder / "hostile.ckpt"
    content = {"epoch": 1, "state_dict": network().state_dict(), "hparams": Hostile(marker)}
    torch.save(content, path)
    return path


def hostile_older(folder: Path, marker: Path) -> Path:
    """The same in the format before PyTorch 1.6, which has no archive."""
    path = folder / "hostile-older.pt"
    content = {"weights": torch.zeros(2), "extra": Hostile(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def hostile_older_module(folder: Path, marker: Path) -> Path:
    """A module in that format."""
    path = folder / "hostile-older-module.pt"
    torch.save(_hostile_module(marker), path, _use_new_zipfile_serialization=False)
    return path


def hostile_module(folder: Path, marker: Path) -> Path:
    """A module of torch.nn classes that has one thing more in it."""
    path = folder / "hostile-module.pt"
    torch.save(_hostile_module(marker), path)
    return path


def _hostile_module(marker: Path) -> torch.nn.Module:
    module = network()
    module.extra = Hostile(marker)  # type: ignore[assignment]  # no tensor or module
    return module


def hostile_look_alike(folder: Path, marker: Path) -> Path:
    """Reaches `os.system` by attributes of a module of torch.nn."""
    names = _text("torch.nn.modules.module") + _text("torch.os.system")
    pickled = b"\x80\x04" + names + b"\x93" + _text(_command(marker)) + b"\x85R."
    return with_member(pickled_sequential(folder), "data.pkl", pickled)


def hostile_by_stack(folder: Path, marker: Path) -> Path:
    """STACK_GLOBAL takes names that lie below harmless ones, which were pushed and popped."""
    names = _text(os.system.__module__) + b"\x94" + _text("system") + b"\x94"
    popped = _text("collections") + _text("OrderedDict") + b"00"
    pickled = b"\x80\x04" + names + popped + b"\x93" + _text(_command(marker)) + b"\x85R."
    return with_member(pickled_sequential(folder), "data.pkl", pickled)


def _text(text: str) -> bytes:
    """SHORT_BINUNICODE."""
    return b"\x8c" + bytes([len(text.encode())]) + text.encode()


def _command(marker: Path) -> str:
    return f'echo > "{marker}"'


def hostile_extra_file(folder: Path, marker: Path) -> Path:
    """TorchScript with a pickle among its extra files, which nothing here needs."""
    return with_member(torchscript(folder), "extra/notes.pkl", pickle.dumps(Hostile(marker)))


def hostile_program(folder: Path, marker: Path) -> Path:
    """A `.pt2` one of whose nested pickles would make `marker`."""
    path = exported_program(folder).rename(folder / "hostile.pt2")
    return with_member(path, "data/constants/extra.pt", _hostile_archive_bytes(folder, marker))


def hostile_samples(folder: Path, marker: Path) -> Path:
    """A `.pt2` whose sample inputs, and nothing else in it, would make `marker`."""
    path = exported_program(folder).rename(folder / "samples.pt2")
    content = _hostile_archive_bytes(folder, marker)
    return with_member(path, "sample_inputs/model.pt", content)


def _hostile_archive_bytes(folder: Path, marker: Path) -> bytes:
    path = hostile_archive(folder, marker)
    content = path.read_bytes()
    path.unlink()
    return content


def older_pickle(folder: Path) -> Path:
    """A state dict as PyTorch before 1.6 wrote it: several pickles in a row, no archive."""
    path = folder / "older.pt"
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=False)
    return path


def older_module(folder: Path) -> Path:
    """A whole module in that older format."""
    path = folder / "older-module.pt"
    torch.save(network(), path, _use_new_zipfile_serialization=False)
    return path


def mobile(folder: Path) -> Path:
    """A model for PyTorch Mobile."""
    path = folder / "mobile.ptl"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted: Any = torch.jit.script(network())
        scripted._save_for_lite_interpreter(str(path))
    return path


def aot_package_stand_in(folder: Path) -> Path:
    """The members of an AOTInductor package, without code that could run."""
    path = folder / "package.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/archive_format", "pt2")
        archive.writestr("package/data/aotinductor/model/a.wrapper.so", b"no code")
        facts = '{"AOTI_PLATFORM": "linux", "AOTI_MACHINE": "pdp11", "AOTI_DEVICE_KEY": "cpu"}'
        archive.writestr("package/data/aotinductor/model/a.wrapper_metadata.json", facts)
    return path


def checkpoint(folder: Path) -> Path:
    """What a training loop saves: weights beside the optimizer's state."""
    module = network()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.0)
    module(torch.zeros(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    path = folder / "checkpoint.pth"
    torch.save(
        {"epoch": 3, "model": module.state_dict(), "optimizer": optimizer.state_dict()}, path
    )
    return path


def lightning_checkpoint(folder: Path) -> Path:
    """Weights under a prefix, another module's beside them, and objects that are no data."""
    state = {f"net.{name}": value for name, value in network().state_dict().items()}
    path = folder / "lightning.ckpt"
    content = {
        "pytorch-lightning_version": "2.4.0",
        "state_dict": {**state, "criterion.weight": torch.ones(4)},
        "hyper_parameters": argparse.Namespace(lr=0.1),
        "loss": torch.nn.CrossEntropyLoss(),
    }
    torch.save(content, path)
    return path


def trainer_pickle(folder: Path) -> Path:
    """A whole module in a mapping, as some trainers pickle it."""
    path = folder / "trainer.pt"
    torch.save({"epoch": -1, "model": network(), "best": 0.5}, path)
    return path


def safetensors_file(folder: Path) -> Path:
    """The same weights without any pickle."""
    path = folder / "model.safetensors"
    safetensors.torch.save_file(network().state_dict(), path)
    return path


def sharded(folder: Path) -> Path:
    """An index and the two files that it names; returns the index."""
    state = network().state_dict()
    names, weight_map = list(state), {}
    for number, part in enumerate((names[:4], names[4:]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        safetensors.torch.save_file({name: state[name] for name in part}, folder / file)
        weight_map.update(dict.fromkeys(part, file))
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return path


FACTORY = """
import torch
import tests_neighbour


def build(channels: int = 8, classes: int = 4):
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, channels, 3, padding=1),
        torch.nn.BatchNorm2d(channels),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(channels, classes),
    )


def no_module():
    return 3


def fails():
    raise RuntimeError("out of paint")
"""


def factory_file(folder: Path) -> Path:
    """A Python file with functions that build the network, and a module beside it."""
    path = folder / "train.py"
    path.write_text(FACTORY)
    (folder / "tests_neighbour.py").write_text("VALUE = 1\n")
    return path


def with_member(archive: Path, name: str, content: bytes) -> Path:
    """A copy of an archive whose member that ends with `name` is replaced, or added."""
    path = archive.with_stem(f"{archive.stem}-changed")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
        members = source.namelist()
        replaced = [member for member in members if member.endswith(name)]
        for member in members:
            target.writestr(member, content if member in replaced else source.read(member))
        if not replaced:
            target.writestr(f"{members[0].partition('/')[0]}/{name}", content)
    return path


def member(archive: Path, name: str) -> bytes:
    """The content of the member that ends with `name`."""
    with zipfile.ZipFile(archive) as source:
        (found,) = [item for item in source.namelist() if item.endswith(name)]
        return source.read(found)


def truncated(path: Path, share: float = 0.5) -> Path:
    """A copy with just the first part of the bytes."""
    cut = path.with_stem(f"{path.stem}-truncated")
    content = path.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    return cut


def silero(name: str) -> Path:
    """A file of the silero-vad package, which is not imported: it needs torchaudio."""
    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / name
