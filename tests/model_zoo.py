"""Real model files of every kind, small, written into a folder by the test that needs one."""

from __future__ import annotations

import importlib.util
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
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
    return torch.jit.trace(module, example)  # type: ignore[no-untyped-call]


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


def hostile_program(folder: Path, marker: Path) -> Path:
    """A `.pt2` one of whose nested pickles would make `marker`."""
    good = exported_program(folder)
    path = folder / "hostile.pt2"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            is_sample = name.endswith("sample_inputs/model.pt") or "example_inputs" in name
            target.writestr(name, _hostile_archive_bytes(folder, marker) if is_sample else content)
    good.unlink()
    return path


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
