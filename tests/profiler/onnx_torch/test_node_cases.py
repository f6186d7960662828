"""ONNX's own node test cases through the import: equal to what ONNX expects, or listed below."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from profiler.engines.torch_common import to_tensor
from profiler.onnx_torch import import_onnx, missing_ops, supported_ops

# The cases feed everything at run time; exporters write these as constants.
CONSTANT_INPUTS = {
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "Pad": (1, 2, 3),
    "Split": (1,),
    "TopK": (1,),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
    "Trilu": (1,),
    "CumSum": (1,),
    "Dropout": (2,),
    "Reduce": (1,),
}
# Cases of later opsets wait until the import is checked against them.
NEWEST_OPSET = 28
TOLERANCES = {"float16": (5e-3, 1e-3), "bfloat16": (2e-2, 1e-2)}

# (what the import or PyTorch says, the cases). Nothing else may fail, and each of these must.
UNSUPPORTED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "ConversionError: The input * is no tensor of a type that the PyTorch import has*",
        (
            "test_cast*_*FLOAT8*",
            "test_cast*_*FLOAT4*",
            "test_cast*_*INT4*",
            "test_cast*_*INT2_*",
            "test_castlike_*INT2",
            "test_equal_string*",
            "test_identity_sequence",
            "test_identity_opt",
        ),
    ),
    (
        "ConversionError: Cast * a cast to this type is not supported*",
        (
            "test_cast_*_to_FLOAT8*",
            "test_cast_*_to_FLOAT4*",
            "test_cast_*_to_*INT4",
            "test_cast_*_to_*INT2",
        ),
    ),
    (
        "NotImplementedError: * not implemented for 'UInt*'",
        (
            "test_add_uint[136]*",
            "test_sub_uint[136]*",
            "test_div_uint[136]*",
            "test_mod_uint[136]*",
            "test_max_uint[136]*",
            "test_min_uint[136]*",
            "test_greater_uint[136]*",
            "test_greater_equal_uint[136]*",
            "test_less_uint[136]*",
            "test_less_equal_uint[136]*",
            "test_bitwise_not_3d",
            "test_top_k_uint64",
        ),
    ),
    ("ConversionError: Arg* select_last_index *", ("test_arg*_select_last_index",)),
    ("ConversionError: AveragePool * dilation *", ("test_averagepool_*_dilations*",)),
    ("ConversionError: AveragePool * uneven padding *", ("test_averagepool_2d_same_*er",)),
    (
        "ConversionError: *Pool * padding beyond half of the kernel *",
        (
            "test_averagepool_2d_pads",
            "test_averagepool_2d_pads_count_include_pad",
            "test_maxpool_2d_pads",
        ),
    ),
    ("ConversionError: MaxPool * integer pooling *", ("test_maxpool_2d_uint8",)),
    ("ConversionError: MaxPool * the indices of a pooling *", ("test_maxpool_with_argmax_*",)),
    ("ConversionError: BatchNormalization * training mode *", ("test_batchnorm_*_training_mode",)),
    (
        "ConversionError: ConvTranspose * output_shape or auto_pad *",
        (
            "test_convtranspose_output_shape",
            "test_convtranspose_autopad_same",
            "test_convtranspose_kernel_shape",
        ),
    ),
    (
        "ConversionError: CumSum * exclusive or reverse *",
        ("test_cumsum_*_exclusive", "test_cumsum_*_reverse"),
    ),
    ("ConversionError: DepthToSpace * mode DCR *", ("test_depthtospace_example",)),
    ("ConversionError: Dropout * a dropout mask *", ("test_dropout_default_mask*",)),
    ("ConversionError: Dropout * training mode *", ("test_training_dropout*",)),
    ("ConversionError: Pad * mode wrap *", ("test_wrap_pad",)),
    (
        "ConversionError: Pad * that is computed at run time *",
        (
            "test_center_crop_pad_*",
            "test_attention_*padded_kv*",
            "test_attention_causal_boolmask_nan_robustness*",
            "test_attention_24_*mode3*",
            "test_attention_4d_causal_nonpad_attn_mask_composition_expanded",
            "test_attention_local_window_*mask*",
        ),
    ),
    (
        "ConversionError: Range * bounds that are computed from data, or no integers *",
        ("test_blackmanwindow*", "test_hammingwindow*", "test_hannwindow*"),
    ),
    (
        "ConversionError: Unsqueeze * input 0 of unknown rank *",
        ("test_rotary_embedding_*interleaved*",),
    ),
    (
        "IndexError: a*(): Expected reduction dim 1 to have non-zero size.",
        ("test_reduce_max_empty_set*", "test_reduce_min_empty_set"),
    ),
    ("differs: equal values are in another order", ("test_top_k_same_values*",)),
)
# Operators with no case in the `onnx` package that the import could run.
NO_CASES: tuple[str, ...] = ()


def collect() -> Iterator[Any]:
    """Cases whose operators the import says that it has, alone or written out by others."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        assert case.model is not None
        newest = max((e.version for e in case.model.opset_import if not e.domain), default=0)
        if newest <= NEWEST_OPSET and not missing_ops(case.model):
            yield case


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, set[str]]]:
    """By case: "" or what went wrong, and the operators that the case has."""
    folder = tmp_path_factory.mktemp("cases")
    return {
        case.name: (_outcome(case, folder), {node.op_type for node in case.model.graph.node})
        for case in collect()
    }


def test_every_case_is_right_or_listed(outcomes: dict[str, tuple[str, set[str]]]) -> None:
    wrong = {name: text for name, (text, _) in outcomes.items() if text}
    unlisted = {name: text for name, text in wrong.items() if not _listed(name, text)}
    assert unlisted == {}, "\n".join(f"{n}: {t}" for n, t in unlisted.items())
    assert sum(1 for text, _ in outcomes.values() if not text) > 1000


def test_every_listed_case_is_unsupported(outcomes: dict[str, tuple[str, set[str]]]) -> None:
    """What works now must leave the list."""
    wrong = {name: text for name, (text, _) in outcomes.items() if text}
    stale = [
        (reason, pattern)
        for reason, patterns in UNSUPPORTED
        for pattern in patterns
        if not any(fnmatchcase(n, pattern) and fnmatchcase(t, reason) for n, t in wrong.items())
    ]
    assert stale == [], stale
    all_patterns = [pattern for _, patterns in UNSUPPORTED for pattern in patterns]
    works = [
        (name, pattern)
        for name in outcomes.keys() - wrong.keys()
        for pattern in all_patterns
        if fnmatchcase(name, pattern)
    ]
    assert works == [], works


def test_every_operator_of_the_registry_has_a_case_that_is_right(
    outcomes: dict[str, tuple[str, set[str]]],
) -> None:
    proven = {name for text, operators in outcomes.values() if not text for name in operators}
    assert tuple(name for name in supported_ops() if name not in proven) == NO_CASES


def _listed(name: str, text: str) -> bool:
    return any(
        fnmatchcase(text, reason) and any(fnmatchcase(name, pattern) for pattern in patterns)
        for reason, patterns in UNSUPPORTED
    )


def _outcome(case: Any, folder: Path) -> str:
    inputs, expected = case.data_sets[0]
    feeds = dict(zip((value.name for value in case.model.graph.input), inputs, strict=True))
    feeds = {name: _array(value) for name, value in feeds.items()}
    path = folder / "case.onnx"
    onnx.save(_with_constants(case.model, feeds), str(path))
    try:
        module = import_onnx(path)
        tensors = [to_tensor(feeds[name]) for name in module.meta["input_names"]]
        with torch.inference_mode():
            actual = module(*tensors)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    wanted = [_array(value) for value in expected]
    gaps = [_gap(a, e, case) for a, e in zip(actual, wanted, strict=True)]
    if case.model.graph.node[0].op_type == "TopK" and not gaps[0] and gaps[1]:
        return "differs: equal values are in another order"
    return next((f"differs: {gap}" for gap in gaps if gap), "")


def _array(value: Any) -> Any:
    return np.array(numpy_helper.to_array(value)) if isinstance(value, onnx.TensorProto) else value


def _with_constants(model: onnx.ModelProto, feeds: dict[str, Any]) -> onnx.ModelProto:
    names = set()
    for node in model.graph.node:
        kind = "Reduce" if node.op_type.startswith("Reduce") else node.op_type
        positions = [p for p in CONSTANT_INPUTS.get(kind, ()) if p < len(node.input)]
        names |= {node.input[p] for p in positions} & feeds.keys()
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = [value for value in copy.graph.input if value.name not in names]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    copy.graph.initializer.extend(numpy_helper.from_array(feeds[name], name) for name in names)
    return copy


def _gap(actual: torch.Tensor, expected: Any, case: Any) -> str:
    """What is unlike: type, shape or values; "" when nothing is."""
    name = expected.dtype.name
    if str(actual.dtype).removeprefix("torch.") != name:
        return f"{actual.dtype} for {name}"
    if tuple(actual.shape) != expected.shape:
        return f"shape {tuple(actual.shape)} for {expected.shape}"
    found = actual.float() if name == "bfloat16" else actual
    rtol, atol = TOLERANCES.get(name, (max(case.rtol, 1e-3), 1e-5))
    wide = expected.astype(np.float32) if name == "bfloat16" else expected
    close = np.allclose(found.numpy(), wide, rtol=rtol, atol=atol, equal_nan=True)
    return "" if close else "values"
