"""ONNX's own operator tests: load them, run one through an importer, and judge what came out."""

from __future__ import annotations

import enum
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from profiler.errors import ConversionError
from profiler.onnx_torch import import_onnx
from profiler.onnx_torch.values import DTYPES, HELD_IN, to_tensor

RTOL, ATOL = 1e-3, 1e-5
# Values that are random by definition: type and shape are compared.
RANDOM = ("Bernoulli", "RandomUniformLike", "RandomNormalLike")
Importer = Callable[[Path], Callable[..., Any]]


class Outcome(enum.Enum):
    """What became of a case."""

    EQUAL = "equal"
    REFUSED = "refused at import"
    FAILED = "fails when it runs"
    WRONG = "silently wrong"


@dataclass(frozen=True)
class Case:
    """One model, its inputs and what it should give. `is_plain`: PyTorch has all of its types."""

    name: str
    model: onnx.ModelProto
    inputs: tuple[NDArray[Any], ...]
    expected: tuple[NDArray[Any], ...]
    is_plain: bool


@cache
def load_cases() -> tuple[Case, ...]:
    """Cases whose inputs and outputs are tensors of numbers, by name."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    cases = [_case(entry) for entry in found if _has_numbers_only(entry)]
    return tuple(sorted(cases, key=lambda case: case.name))


def _has_numbers_only(entry: Any) -> bool:
    graph = entry.model.graph
    known = DTYPES | HELD_IN
    return all(v.type.tensor_type.elem_type in known for v in (*graph.input, *graph.output))


def _case(entry: Any) -> Case:
    graph = entry.model.graph
    inputs, outputs = entry.data_sets[0]
    types = {v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)}
    return Case(
        entry.name,
        entry.model,
        tuple(_array(value) for value in inputs),
        tuple(_array(value) for value in outputs),
        not types & HELD_IN.keys(),
    )


def _array(value: Any) -> NDArray[Any]:
    return np.array(numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value)


def run_case(case: Case, importer: Importer = import_onnx) -> tuple[Outcome, str]:
    """The outcome, and in a few words what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.onnx"
        path.write_bytes(case.model.SerializeToString())
        try:
            module = importer(path)
        except ConversionError as error:
            return Outcome.REFUSED, error.message
        except Exception as error:
            # Other importers refuse in many ways.
            kind = Outcome.FAILED if importer is import_onnx else Outcome.REFUSED
            return kind, _first_line(error)
    tensors = [to_tensor(array).clone() for array in case.inputs]
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = module(*tensors)
    except Exception as error:
        return Outcome.FAILED, _first_line(error)
    actual = found if isinstance(found, Sequence) else [found]
    if len(actual) != len(case.expected):
        return Outcome.WRONG, f"{len(actual)} outputs for {len(case.expected)}"
    is_random = any(node.op_type in RANDOM for node in case.model.graph.node)
    gaps = [
        gap(a, e, compare_values=not is_random) for a, e in zip(actual, case.expected, strict=True)
    ]
    text = next((g for g in gaps if g), "")
    return (Outcome.WRONG if text else Outcome.EQUAL), text


def gap(actual: Any, expected: NDArray[Any], *, compare_values: bool = True) -> str:
    """What is unlike: type, shape or values; "" when nothing is."""
    if not isinstance(actual, torch.Tensor):
        return f"{type(actual).__name__} for a tensor"
    wanted = to_tensor(expected)
    if actual.dtype is not wanted.dtype:
        return f"{actual.dtype} for {wanted.dtype}"
    if actual.shape != wanted.shape:
        return f"shape {tuple(actual.shape)} for {tuple(wanted.shape)}"
    if not compare_values:
        return ""
    if not wanted.is_floating_point():
        return "" if torch.equal(actual, wanted) else "values"
    # Floats of 16 bits may be rounded apart by two units, which is more than the tolerance.
    rtol = max(RTOL, 2 * torch.finfo(wanted.dtype).eps) if wanted.itemsize == 2 else RTOL
    found, right = actual.to(torch.float64), wanted.to(torch.float64)
    close = torch.allclose(found, right, rtol=rtol, atol=ATOL, equal_nan=True)
    return "" if close else f"values by {float((found - right).abs().max()):.2g}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
