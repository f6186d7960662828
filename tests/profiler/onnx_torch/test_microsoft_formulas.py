"""Operators of com.microsoft that ONNX Runtime lacks on CPUs, by their formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from profiler.errors import ConversionError
from tests.profiler.onnx_torch.nodes import Array, Inputs, bytes_, f32, floats, imported, u8


def tanh_gelu(x: Array) -> Array:
    found: Array = 0.5 * x * (1 + np.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3)))
    return found


def softmax(x: Array, axes: tuple[int, ...]) -> Array:
    powers = np.exp(x - x.max(axes, keepdims=True))
    found: Array = powers / powers.sum(axes, keepdims=True)
    return found


def complex_of(x: Array) -> Array:
    found: Array = x[..., 0] + 1j * x[..., 1]
    return found


def pairs_of(x: Array) -> Array:
    return np.stack((x.real, x.imag), -1)


def quantized_mean(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """Of uint8 with scale 0.1 and zero point 3, as uint8 with 0.05 and 9."""
    mean = (0.1 * (x.astype(np.float64) - 3)).mean(axes, keepdims=keepdims)
    found: Array = np.clip(np.round(mean / 0.05) + 9, 0, 255).astype(np.uint8)
    return found


X, BIAS, SKIP = floats(2, 3, 8), floats(8, seed=1), floats(2, 3, 8, seed=2)
SCORES, MASK = floats(2, 2, 3, 4), floats(2, 1, 1, 4, seed=1)
LEFT, RIGHT = floats(2, 3), floats(3, 4, seed=1)
Z, W = floats(2, 3, 2), floats(2, 3, 2, seed=1)
BYTES = bytes_(2, 3, 4)
MEAN: Inputs = {"x": BYTES, "xs": f32(0.1), "xz": u8(3), "ys": f32(0.05), "yz": u8(9)}
RATIO: Inputs = {"ratio": f32(0.5), "training": np.array(False)}

# (op type, inputs, attributes, the result)
CASES: list[tuple[str, Inputs, dict[str, Any], Array]] = [
    ("BiasAdd", {"x": X, "b": BIAS, "s": SKIP}, {}, X + BIAS + SKIP),
    ("BiasDropout", {"x": X, "b": BIAS}, {}, X + BIAS),
    ("BiasDropout", {"x": X, "b": BIAS, "r": SKIP, "ratio": f32(0.5)}, {}, X + BIAS + SKIP),
    ("BiasDropout", {"x": X, "b": BIAS, "r": None, **RATIO}, {}, X + BIAS),
    (
        "BiasSoftmax",
        {"x": SCORES, "b": MASK},
        {"axis": 3, "is_inner_broadcast": 1},
        softmax(SCORES + MASK, (3,)),
    ),
    (
        "BiasSoftmax",
        {"x": SCORES, "b": MASK[0, 0, 0]},
        {"axis": 2, "is_inner_broadcast": 0},
        softmax(SCORES + MASK[0, 0, 0], (2, 3)),
    ),
    ("ComplexMul", {"a": Z, "b": W}, {}, pairs_of(complex_of(Z) * complex_of(W))),
    ("ComplexMulConj", {"a": Z, "b": W}, {}, pairs_of(complex_of(Z) * complex_of(W).conj())),
    ("GemmFastGelu", {"a": LEFT, "b": RIGHT}, {}, tanh_gelu(LEFT @ RIGHT)),
    (
        "GemmFastGelu",
        {"a": LEFT, "b": RIGHT, "c": RIGHT[0]},
        {},
        tanh_gelu(LEFT @ RIGHT + RIGHT[0]),
    ),
    (
        "FusedMatMulActivation",
        {"a": LEFT, "b": RIGHT},
        {"activation": "Relu", "alpha": 2.0},
        np.maximum(2 * (LEFT @ RIGHT), 0),
    ),
    (
        "FusedMatMulActivation",
        {"a": LEFT.T, "b": RIGHT},
        {"activation": "LeakyRelu", "activation_alpha": 0.3, "transA": 1},
        np.where(LEFT @ RIGHT > 0, LEFT @ RIGHT, 0.3 * (LEFT @ RIGHT)),
    ),
    (
        "FusedMatMulActivation",
        {"a": LEFT, "b": RIGHT},
        {"activation": "HardSigmoid", "activation_alpha": 0.3, "activation_beta": 0.4},
        np.clip(0.3 * (LEFT @ RIGHT) + 0.4, 0, 1),
    ),
    (
        "FusedMatMulActivation",
        {"a": LEFT, "b": RIGHT},
        {"activation": "HardSigmoid", "activation_beta": 0.4},
        np.clip(0.2 * (LEFT @ RIGHT) + 0.4, 0, 1),
    ),
    (
        "ReduceSumInteger",
        {"x": BYTES},
        {"axes": [1], "keepdims": 0},
        BYTES.sum(1).astype(np.int32),
    ),
    (
        "ReduceSumInteger",
        {"x": BYTES},
        {"axes": [0, -1]},
        BYTES.sum((0, 2), keepdims=True).astype(np.int32),
    ),
    ("QLinearReduceMean", MEAN, {"axes": [1]}, quantized_mean(BYTES, (1,), True)),
    ("QLinearReduceMean", MEAN, {"keepdims": 0}, quantized_mean(BYTES, (0, 1, 2), False)),
]


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "expected"),
    CASES,
    ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)],
)
def test_equals_its_formula(
    op_type: str, inputs: Inputs, attributes: dict[str, Any], expected: Array, tmp_path: Path
) -> None:
    constants = [name for name in RATIO if name in inputs]
    (found,) = imported(op_type, inputs, 1, attributes, tmp_path, constants)
    assert found.numpy().dtype == expected.dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_dropout_that_trains_is_refused(tmp_path: Path) -> None:
    inputs: Inputs = {"x": X, "b": BIAS, "r": None, "ratio": f32(0.5), "t": np.array(True)}
    with pytest.raises(ConversionError, match="training mode"):
        imported("BiasDropout", inputs, 1, {}, tmp_path, ["ratio", "t"])


def test_bias_split_gelu(tmp_path: Path) -> None:
    (found,) = imported("BiasSplitGelu", {"x": X, "b": BIAS}, 1, {}, tmp_path)
    values, gates = torch.from_numpy(X + BIAS).chunk(2, -1)
    torch.testing.assert_close(found, values * F.gelu(gates))


def test_group_norm_with_channels_last(tmp_path: Path) -> None:
    x, gamma, beta = floats(2, 3, 3, 8), floats(8, seed=1), floats(8, seed=2)
    inputs: Inputs = {"x": x, "g": gamma, "b": beta}
    attributes = {"groups": 2, "activation": 1, "epsilon": 1e-5}
    (found,) = imported("GroupNorm", inputs, 1, attributes, tmp_path)
    first = torch.from_numpy(x).permute(0, 3, 1, 2)
    normal = F.group_norm(first, 2, torch.from_numpy(gamma), torch.from_numpy(beta), 1e-5)
    torch.testing.assert_close(found, F.silu(normal).permute(0, 2, 3, 1))


def test_skip_group_norm_gives_the_sum_as_well(tmp_path: Path) -> None:
    x, skip = floats(2, 3, 3, 8), floats(2, 8, seed=5)
    gamma, beta = floats(8, seed=1), floats(8, seed=2)
    inputs: Inputs = {"x": x, "g": gamma, "b": beta, "s": skip}
    found, total = imported("SkipGroupNorm", inputs, 2, {"groups": 4}, tmp_path)
    wanted = x + skip[:, None, None]
    np.testing.assert_allclose(total.numpy(), wanted, rtol=1e-6)
    first = torch.from_numpy(wanted).permute(0, 3, 1, 2)
    normal = F.group_norm(first, 4, torch.from_numpy(gamma), torch.from_numpy(beta), 1e-5)
    torch.testing.assert_close(found, normal.permute(0, 2, 3, 1))


@pytest.mark.parametrize("op_type", ["NhwcConv", "NhwcFusedConv"])
@pytest.mark.parametrize("last", [False, True])
def test_nhwc_conv_takes_weights_of_both_layouts(last: bool, op_type: str, tmp_path: Path) -> None:
    x, weight, bias = floats(1, 5, 5, 4), floats(6, 4, 3, 3, seed=1), floats(6, seed=2)
    given = np.ascontiguousarray(weight.transpose(0, 2, 3, 1)) if last else weight
    attributes: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    expected = F.conv2d(
        torch.from_numpy(x).permute(0, 3, 1, 2),
        torch.from_numpy(weight),
        torch.from_numpy(bias),
        padding=1,
    ).permute(0, 2, 3, 1)
    inputs: Inputs = {"x": x, "w": given, "b": bias}
    if op_type == "NhwcFusedConv":
        added = floats(1, 5, 5, 6, seed=3)
        inputs["z"], attributes["activation"] = added, "Relu"
        expected = F.relu(expected + torch.from_numpy(added))
    (found,) = imported(op_type, inputs, 1, attributes, tmp_path)
    torch.testing.assert_close(found, expected)


def test_a_weight_of_unclear_layout_is_refused(tmp_path: Path) -> None:
    inputs: Inputs = {"x": floats(1, 5, 5, 3), "w": floats(6, 3, 3, 3)}
    with pytest.raises(ConversionError, match="layout"):
        imported("NhwcConv", inputs, 1, {"kernel_shape": [3, 3]}, tmp_path)
