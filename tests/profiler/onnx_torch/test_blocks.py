"""Weights of few bits: unpacked once at import, or at each call where memory is short."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.onnx_torch import import_onnx
from profiler.onnx_torch.ops.microsoft_blocks import unpacked_weight
from tests.profiler.onnx_torch import models
from tests.profiler.onnx_torch.nodes import Inputs, bytes_, floats, model_of

INPUTS: Inputs = {"a": floats(3, 40), "b": bytes_(6, 3, 8), "s": floats(18, seed=1)}
SIZES = {"K": 40, "N": 6, "bits": 4, "block_size": 16}


def imported(folder: Path, dtype: type[np.floating] = np.float32) -> torch.fx.GraphModule:
    inputs = {
        name: value.astype(dtype) if value is not None and name != "b" else value
        for name, value in INPUTS.items()
    }
    model = model_of("MatMulNBits", inputs, 1, ["b", "s"], SIZES)
    return import_onnx(models.write(model.SerializeToString(), folder))


def targets(module: torch.fx.GraphModule) -> list[object]:
    return [node.target for node in module.graph.nodes if node.op == "call_function"]


def test_a_matrix_is_unpacked_once_under_its_name(tmp_path: Path) -> None:
    module = imported(tmp_path)
    assert targets(module) == [F.linear]
    assert module.get_parameter("b").shape == (6, 40)


def test_short_memory_keeps_it_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = imported(tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2 * 6 * 40))
    packed = imported(tmp_path)
    assert targets(packed) == [unpacked_weight, F.linear]
    assert packed.get_buffer("b").dtype is torch.uint8
    a = torch.from_numpy(floats(3, 40))
    assert torch.equal(once(a)[0], packed(a)[0])


def test_it_has_the_type_of_its_scales(tmp_path: Path) -> None:
    module = imported(tmp_path, np.float16)
    assert module.get_parameter("b").dtype is torch.float16
