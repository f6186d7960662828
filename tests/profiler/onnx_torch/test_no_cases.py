"""Operators of the standard for which the onnx package has no test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from profiler.onnx_torch import import_onnx
from tests.profiler.onnx_torch import models


def run(nodes: list[Any], x: torch.Tensor, folder: Path) -> torch.Tensor:
    """The output "y" of nodes on "x"."""
    content = models.model_bytes(nodes, {"x": list(x.shape)}, {"y": []})
    found: torch.Tensor = import_onnx(models.write(content, folder))(x)[0]
    return found


@pytest.mark.parametrize("p", [1, 3])
def test_global_lp_pool(p: int, tmp_path: Path) -> None:
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = run([helper.make_node("GlobalLpPool", ["x"], ["y"], p=p)], x, tmp_path)
    torch.testing.assert_close(found, (x.abs() ** p).sum((2, 3), keepdim=True) ** (1 / p))


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "mean", "deviation"),
    [
        ("RandomNormal", [], {"shape": [100, 200], "mean": 3.0, "scale": 0.5}, 3.0, 0.5),
        ("RandomNormalLike", ["x"], {"mean": -2.0, "scale": 2.0}, -2.0, 2.0),
        ("RandomUniform", [], {"shape": [100, 200], "low": 1.0, "high": 4.0}, 2.5, 0.866),
    ],
)
def test_random_numbers_have_their_distribution(
    op_type: str,
    inputs: list[str],
    attributes: dict[str, Any],
    mean: float,
    deviation: float,
    tmp_path: Path,
) -> None:
    x = torch.zeros(100, 200)
    torch.manual_seed(0)
    nodes = [
        helper.make_node(op_type, inputs, ["r"], **attributes),
        helper.make_node("Add", ["r", "x"], ["y"]),
    ]
    found = run(nodes, x, tmp_path)
    assert found.shape == x.shape
    assert found.dtype is torch.float32
    assert float(found.mean()) == pytest.approx(mean, abs=0.1)
    assert float(found.std()) == pytest.approx(deviation, rel=0.05)


def test_multinomial_draws_by_the_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.log(torch.tensor([[0.75, 0.25], [1e-9, 1.0]]))
    node = helper.make_node("Multinomial", ["x"], ["y"], sample_size=4000, dtype=TensorProto.INT64)
    found = run([node], x, tmp_path)
    assert found.dtype is torch.int64
    np.testing.assert_allclose(found.double().mean(1).numpy(), [0.25, 1.0], atol=0.03)


def test_an_optional_gives_what_was_put_in(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Optional", ["x"], ["o"]),
        helper.make_node("OptionalGetElement", ["o"], ["e"]),
        helper.make_node("Neg", ["e"], ["y"]),
    ]
    x = torch.tensor([1.0, -2.0])
    assert torch.equal(run(nodes, x, tmp_path), -x)


def test_a_sequence_grows_from_nothing(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("SequenceEmpty", [], ["s"]),
        helper.make_node("SequenceInsert", ["s", "x"], ["t"]),
        helper.make_node("SequenceInsert", ["t", "x"], ["u"]),
        helper.make_node("ConcatFromSequence", ["u"], ["y"], axis=0),
    ]
    x = torch.tensor([1.0, -2.0])
    assert torch.equal(run(nodes, x, tmp_path), torch.cat((x, x)))
