"""Operators of com.microsoft through the import: equal to what ONNX Runtime's kernels give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from profiler.errors import ConversionError
from profiler.onnx_torch import import_onnx
from profiler.onnx_torch.values import to_tensor
from tests.profiler.onnx_torch import models
from tests.profiler.onnx_torch.nodes import (
    Array,
    Inputs,
    bytes_,
    f32,
    floats,
    i8,
    i32,
    imported,
    model_of,
    u8,
)


def by_both(
    model: onnx.ModelProto, inputs: Inputs, folder: Path
) -> tuple[list[Array], list[torch.Tensor]]:
    path = models.write(model.SerializeToString(), folder)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {value.name: inputs[value.name] for value in model.graph.input}
    expected = session.run(None, feeds)
    module = import_onnx(path)
    with torch.inference_mode():
        found = module(*(to_tensor(np.array(feeds[n])) for n in module.meta["input_names"]))
    return expected, list(found)


# Each step quantizes the state, and rounds it one way or the other.
LSTM_STEP = 0.01
HEADS = {"num_heads": 2}
GQA = {"num_heads": 4, "kv_num_heads": 2}
TABLES = {"cos": floats(16, 8, seed=8), "sin": floats(16, 8, seed=9)}
LSTM_WEIGHTS: Inputs = {
    "x": floats(5, 2, 3),
    "w": bytes_(1, 3, 16, signed=True),
    "r": bytes_(1, 4, 16, seed=1, signed=True),
    "b": floats(1, 32),
    "lengths": None,
    "h": floats(1, 2, 4, seed=3),
    "c": floats(1, 2, 4, seed=4),
    "p": None,
    "ws": f32([0.01]),
    "wz": np.zeros(1, dtype=np.int8),
    "rs": f32([0.02]),
    "rz": np.zeros(1, dtype=np.int8),
}
GQA_PROMPT: Inputs = {
    "q": floats(2, 3, 64),
    "k": floats(2, 3, 32, seed=1),
    "v": floats(2, 3, 32, seed=2),
    "pk": None,
    "pv": None,
    "lengths": i32([2, 2]),
    "total": i32(3),
}
GQA_STEP: Inputs = {
    "q": floats(2, 1, 64),
    "k": floats(2, 1, 32, seed=1),
    "v": floats(2, 1, 32, seed=2),
    "pk": floats(2, 2, 5, 16, seed=3),
    "pv": floats(2, 2, 5, 16, seed=4),
    "lengths": i32([5, 5]),
    "total": i32(6),
}
QKV: Inputs = {"x": floats(2, 5, 8), "w": floats(8, 24, seed=1), "b": floats(24, seed=2)}
MHA: Inputs = {
    "q": floats(2, 3, 8),
    "k": floats(2, 5, 8, seed=1),
    "v": floats(2, 5, 8, seed=2),
    "b": floats(24, seed=3),
}
QUANTIZED: Inputs = {"x": bytes_(2, 4, 6), "xs": f32(0.02), "xz": u8(120)}
OUT: Inputs = {"ys": f32(0.01), "yz": u8(100)}
SIDE: Inputs = {"b": bytes_(2, 4, 6, seed=1), "bs": f32(0.03), "bz": u8(99)}

# (op type, inputs, number of outputs to compare, constants, attributes)
CASES: list[tuple[str, Inputs, int, list[str], dict[str, Any]]] = [
    (
        "FusedMatMul",
        {"a": floats(2, 4, 3), "b": floats(2, 5, 4)},
        1,
        [],
        {"transA": 1, "transB": 1, "alpha": 0.5},
    ),
    ("FusedMatMul", {"a": floats(3, 2, 4), "b": floats(2, 4, 5)}, 1, [], {"transBatchA": 1}),
    (
        "FusedGemm",
        {"a": floats(2, 4), "b": floats(5, 4), "c": floats(5)},
        1,
        ["b", "c"],
        {"transB": 1, "activation": "LeakyRelu", "activation_alpha": 0.2},
    ),
    (
        "FusedConv",
        {"x": floats(1, 3, 6, 6), "w": floats(4, 3, 3, 3), "b": floats(4), "z": floats(1, 4, 6, 6)},
        1,
        ["w", "b"],
        {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3], "activation": "Relu"},
    ),
    (
        "FusedConv",
        {"x": floats(1, 3, 6, 6), "w": floats(4, 3, 3, 3)},
        1,
        ["w"],
        {"kernel_shape": [3, 3], "activation": "Clip", "activation_params": [0.0, 1.0]},
    ),
    (
        "FusedConv",
        {"x": floats(1, 3, 6, 6), "w": floats(4, 3, 3, 3)},
        1,
        ["w"],
        {"kernel_shape": [3, 3], "activation": "HardSigmoid", "activation_params": [0.3, 0.4]},
    ),
    ("Gelu", {"x": floats(3, 4)}, 1, [], {}),
    ("FastGelu", {"x": floats(3, 4), "b": floats(4)}, 1, ["b"], {}),
    ("QuickGelu", {"x": floats(3, 4)}, 1, [], {"alpha": 1.5}),
    ("QuickGelu", {"x": floats(3, 4)}, 1, [], {}),
    ("BiasGelu", {"x": floats(3, 4), "b": floats(4)}, 1, ["b"], {}),
    ("Inverse", {"x": floats(2, 3, 3)}, 1, [], {}),
    ("ExpandDims", {"x": floats(2, 3), "a": i32(1)}, 1, ["a"], {}),
    ("Trilu", {"x": floats(3, 3), "k": np.array(1, dtype=np.int64)}, 1, ["k"], {"upper": 0}),
    (
        "SimplifiedLayerNormalization",
        {"x": floats(2, 3, 8), "s": floats(8)},
        1,
        ["s"],
        {"epsilon": 1e-5, "axis": -1, "stash_type": 1},
    ),
    (
        "SkipLayerNormalization",
        {
            "x": floats(2, 3, 8),
            "k": floats(2, 3, 8, seed=1),
            "g": floats(8),
            "b": floats(8, seed=2),
            "c": floats(8, seed=3),
        },
        1,
        ["g", "b", "c"],
        {"epsilon": 1e-5},
    ),
    (
        "SkipSimplifiedLayerNormalization",
        {"x": floats(2, 3, 8), "k": floats(2, 3, 8, seed=1), "g": floats(8)},
        1,
        ["g"],
        {"epsilon": 1e-5},
    ),
    (
        "EmbedLayerNormalization",
        {
            "i": i32([[1, 2, 3], [4, 0, 0]]),
            "s": i32([[0, 0, 1], [0, 1, 1]]),
            "w": floats(6, 8),
            "p": floats(5, 8, seed=1),
            "k": floats(2, 8, seed=2),
            "g": floats(8, seed=3),
            "b": floats(8, seed=4),
            "m": i32([[1, 1, 1], [1, 0, 0]]),
        },
        2,
        ["w", "p", "k", "g", "b"],
        {"epsilon": 1e-5},
    ),
    ("Attention", QKV, 1, ["w", "b"], HEADS),
    ("Attention", QKV, 1, ["w", "b"], {**HEADS, "unidirectional": 1, "scale": 0.3}),
    ("Attention", {**QKV, "m": i32([3, 5])}, 1, ["w", "b"], HEADS),
    ("Attention", {**QKV, "m": i32([3, 5, 1, 0])}, 1, ["w", "b"], HEADS),
    ("Attention", {**QKV, "m": i32([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]])}, 1, ["w", "b"], HEADS),
    (
        "Attention",
        {
            **QKV,
            "m": None,
            "p": floats(2, 2, 2, 3, 4, seed=5),
        },
        2,
        ["w", "b"],
        {**HEADS, "unidirectional": 1},
    ),
    ("MultiHeadAttention", {"q": MHA["q"], "k": MHA["k"], "v": MHA["v"]}, 1, [], HEADS),
    ("MultiHeadAttention", MHA, 1, ["b"], HEADS),
    (
        "MultiHeadAttention",
        {**MHA, "m": i32([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]]), "a": floats(2, 2, 3, 5, seed=4)},
        1,
        ["b"],
        {**HEADS, "scale": 0.4},
    ),
    (
        "MultiHeadAttention",
        {
            "q": floats(2, 3, 8),
            "k": floats(2, 3, 8, seed=1),
            "v": floats(2, 3, 8, seed=2),
            "b": None,
            "m": None,
            "a": None,
            "pk": floats(2, 2, 4, 4, seed=5),
            "pv": floats(2, 2, 4, 4, seed=6),
        },
        3,
        [],
        {**HEADS, "unidirectional": 1},
    ),
    (
        "MultiHeadAttention",
        {"q": floats(2, 3, 8), "k": floats(2, 2, 5, 4, seed=1), "v": floats(2, 2, 5, 4, seed=2)},
        1,
        [],
        HEADS,
    ),
    ("GroupQueryAttention", GQA_PROMPT, 3, [], GQA),
    (
        "GroupQueryAttention",
        {**GQA_PROMPT, **TABLES},
        3,
        ["cos", "sin"],
        {**GQA, "do_rotary": 1, "scale": 0.3},
    ),
    ("GroupQueryAttention", GQA_STEP, 3, [], GQA),
    (
        "GroupQueryAttention",
        {**GQA_STEP, **TABLES},
        3,
        ["cos", "sin"],
        {**GQA, "do_rotary": 1, "rotary_interleaved": 1, "softcap": 5.0},
    ),
    ("GroupQueryAttention", {**GQA_STEP}, 3, [], {**GQA, "local_window_size": 3}),
    ("GroupQueryAttention", {**GQA_STEP, "lengths": i32([3, 5])}, 3, [], GQA),
    (
        "GroupQueryAttention",
        {
            "q": floats(2, 3, 128),
            "k": None,
            "v": None,
            "pk": None,
            "pv": None,
            "lengths": i32([2, 2]),
            "total": i32(3),
        },
        3,
        [],
        GQA,
    ),
    (
        "RotaryEmbedding",
        {
            "x": floats(2, 3, 32),
            "p": np.array([[0, 1, 2], [3, 4, 5]]),
            "c": TABLES["cos"],
            "s": TABLES["sin"],
        },
        1,
        ["c", "s"],
        {},
    ),
    (
        "RotaryEmbedding",
        {"x": floats(2, 2, 3, 16), "p": np.array([2]), "c": TABLES["cos"], "s": TABLES["sin"]},
        1,
        ["c", "s"],
        {"interleaved": 1},
    ),
    (
        "MatMulNBits",
        {"a": floats(3, 40), "b": bytes_(6, 3, 8), "s": floats(18, seed=1)},
        1,
        ["b", "s"],
        {"K": 40, "N": 6, "bits": 4, "block_size": 16},
    ),
    (
        "MatMulNBits",
        {
            "a": floats(3, 40),
            "b": bytes_(6, 3, 8),
            "s": floats(18, seed=1),
            "z": bytes_(12, seed=2),
        },
        1,
        ["b", "s", "z"],
        {"K": 40, "N": 6, "bits": 4, "block_size": 16},
    ),
    (
        "MatMulNBits",
        {"a": floats(3, 32), "b": bytes_(6, 2, 16), "s": floats(12, seed=1)},
        1,
        ["b", "s"],
        {"K": 32, "N": 6, "bits": 8, "block_size": 16},
    ),
    ("QLinearAdd", {**QUANTIZED, **SIDE, **OUT}, 1, [], {}),
    ("QLinearMul", {**QUANTIZED, **SIDE, **OUT}, 1, [], {}),
    (
        "QLinearSigmoid",
        {**QUANTIZED, "ys": f32(0.004), "yz": u8(0)},
        1,
        ["xs", "xz", "ys", "yz"],
        {},
    ),
    ("QLinearLeakyRelu", {**QUANTIZED, **OUT}, 1, ["xs", "xz", "ys", "yz"], {"alpha": 0.1}),
    (
        "QLinearSoftmax",
        {**QUANTIZED, "ys": f32(0.004), "yz": u8(0)},
        1,
        ["xs", "xz", "ys", "yz"],
        {"opset": 13, "axis": -1},
    ),
    (
        "QLinearAveragePool",
        {"x": bytes_(1, 2, 6, 6), "xs": f32(0.02), "xz": u8(120), **OUT},
        1,
        [],
        {"kernel_shape": [2, 2], "strides": [2, 2]},
    ),
    (
        "QLinearGlobalAveragePool",
        {"x": bytes_(1, 2, 6, 6), "xs": f32(0.02), "xz": u8(120), **OUT},
        1,
        [],
        {},
    ),
    (
        "QLinearConcat",
        {**OUT, **QUANTIZED, **SIDE},
        1,
        ["ys", "yz", "xs", "xz", "bs", "bz"],
        {"axis": 1},
    ),
    (
        "QLinearWhere",
        {"c": floats(2, 4, 6) > 0, **QUANTIZED, **SIDE, **OUT},
        1,
        ["xs", "xz", "bs", "bz", "ys", "yz"],
        {},
    ),
    (
        "QLinearConv",
        {
            "x": bytes_(1, 5, 5, 4),
            "xs": f32(0.02),
            "xz": u8(120),
            "w": bytes_(6, 4, 3, 3, signed=True),
            "ws": floats(6) ** 2 + f32(0.01),
            "wz": np.zeros(6, np.int8),
            "ys": f32(2.0),
            "yz": u8(100),
            "bias": i32([5, -7, 0, 100, 9, -50]),
        },
        1,
        ["w", "ws", "wz", "bias", "xs", "xz", "ys", "yz"],
        {"channels_last": 1, "kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
    ),
    (
        "QGemm",
        {
            "a": bytes_(3, 4),
            "as": f32(0.02),
            "az": u8(100),
            "b": bytes_(5, 4, signed=True),
            "bs": f32(0.01),
            "bz": i8(0),
            "c": i32([1, -200, 3, 40, 5]),
            "ys": f32(0.05),
            "yz": u8(100),
        },
        1,
        ["b", "bs", "bz", "as", "az", "c", "ys", "yz"],
        {"transB": 1},
    ),
    (
        "QGemm",
        {
            "a": bytes_(3, 4),
            "as": f32(0.02),
            "az": u8(100),
            "b": bytes_(5, 4, signed=True),
            "bs": f32(0.01),
            "bz": i8(0),
        },
        1,
        ["b", "bs", "bz", "as", "az"],
        {"transB": 1},
    ),
    (
        "MatMulIntegerToFloat",
        {
            "a": bytes_(3, 4),
            "b": bytes_(4, 5, signed=True),
            "as": f32(0.02),
            "bs": floats(5) ** 2,
            "az": u8(100),
            "bz": np.zeros(5, np.int8),
            "bias": floats(5),
        },
        1,
        ["b", "bs", "bz", "bias"],
        {},
    ),
    (
        "DynamicQuantizeMatMul",
        {
            "a": floats(3, 4),
            "b": bytes_(4, 5, signed=True),
            "bs": f32(0.02),
            "bz": i8(3),
            "bias": floats(5),
        },
        1,
        ["b", "bs", "bz", "bias"],
        {},
    ),
    (
        "DynamicQuantizeLSTM",
        LSTM_WEIGHTS,
        3,
        ["w", "r", "b", "ws", "wz", "rs", "rz"],
        {"hidden_size": 4},
    ),
    (
        "QAttention",
        {
            "x": bytes_(2, 5, 8),
            "w": bytes_(8, 24, signed=True),
            "b": floats(24, seed=2),
            "xs": f32(0.02),
            "ws": f32(0.01),
            "m": i32([3, 5]),
            "xz": u8(120),
            "wz": i8(0),
        },
        1,
        ["w", "b", "xs", "ws", "xz", "wz"],
        {**HEADS, "unidirectional": 1},
    ),
    (
        "GatherBlockQuantized",
        {
            "d": bytes_(6, 16),
            "i": np.array([[0, 5], [2, 2]]),
            "s": floats(6, 2),
            "z": bytes_(6, 1, seed=3),
        },
        1,
        ["d", "s", "z"],
        {"bits": 4, "block_size": 16, "quantize_axis": 1, "gather_axis": 0},
    ),
    (
        "QuantizeLinear",
        {"x": floats(3, 4), "s": f32(0.02), "z": np.array(5, np.int16)},
        1,
        ["s", "z"],
        {},
    ),
    (
        "DequantizeLinear",
        {"x": bytes_(3, 4), "s": floats(3), "z": bytes_(3, seed=1)},
        1,
        ["s", "z"],
        {"axis": 0},
    ),
    ("NhwcMaxPool", {"x": bytes_(1, 6, 6, 2)}, 1, [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("UnfoldTensor", {"x": floats(2, 7)}, 1, [], {"dim": -1, "size": 3, "step": 2}),
    ("GatherND", {"x": floats(2, 3), "i": np.array([[0, 1], [1, 2]])}, 1, [], {}),
    ("Pad", {"x": floats(2, 3), "p": np.array([0, 1, 2, 0]), "v": f32(1.5)}, 1, ["p"], {}),
    ("Range", {"s": f32(1), "l": f32(4), "d": f32(0.5)}, 1, ["s", "l", "d"], {}),
    ("SampleOp", {"x": floats(2, 3)}, 1, [], {}),
    (
        "MatMulInteger16",
        {
            "a": np.array([[1, -300], [32767, 5]], np.int16),
            "b": np.array([[4, 5], [-2, 7]], np.int16),
        },
        1,
        [],
        {},
    ),
    ("TransposeMatMul", {"a": floats(4, 3), "b": floats(4, 5)}, 1, [], {"transA": 1}),
]


@pytest.mark.parametrize(
    ("op_type", "inputs", "outputs", "constants", "attributes"),
    CASES,
    ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)],
)
def test_equals_onnx_runtimes_kernel(
    op_type: str,
    inputs: Inputs,
    outputs: int,
    constants: list[str],
    attributes: dict[str, Any],
    tmp_path: Path,
) -> None:
    model = model_of(op_type, inputs, outputs, constants, attributes)
    expected, found = by_both(model, inputs, tmp_path)
    for actual, wanted in zip(found, expected, strict=True):
        assert tuple(actual.shape) == wanted.shape
        assert actual.dtype is to_tensor(wanted).dtype
        if wanted.dtype.kind in "iu" and wanted.dtype.itemsize == 1:
            # ONNX Runtime's quantized kernels round through tables and float32: one step apart.
            apart = np.abs(actual.numpy().astype(int) - wanted.astype(int))
            assert apart.max() <= 1
        else:
            atol = LSTM_STEP if op_type == "DynamicQuantizeLSTM" else 2e-4
            np.testing.assert_allclose(actual.numpy(), wanted, rtol=2e-3, atol=atol)


def test_a_variant_of_attention_that_is_not_known_is_refused(tmp_path: Path) -> None:
    inputs: Inputs = {**QKV, "m": np.ones((2, 1, 8, 8), dtype=np.int32)}
    with pytest.raises(ConversionError, match="a mask of this rank"):
        imported("Attention", inputs, 1, HEADS, tmp_path)
