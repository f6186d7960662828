"""Forms of an ONNX file as ONNX Runtime makes them, and what the PyTorch import does with each."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime import quantization

from benchmarks.models import OneSample
from profiler.errors import ConversionError
from profiler.onnx_torch import import_onnx
from profiler.onnx_torch.values import to_tensor

Feeds = dict[str, NDArray[Any]]
RTOL, ATOL = 1e-3, 1e-4
FORMS = ("as exported", "optimized", "quantized dynamically", "quantized, QDQ")


@dataclass(frozen=True)
class Check:
    """What became of one file; "" where all is well."""

    imported: str = ""
    equal: str = ""
    exported: str = ""
    compiled: str = ""
    data_dependent: tuple[str, ...] = ()


def forms(path: Path, feeds: Feeds, folder: Path) -> Iterator[tuple[str, Path | str]]:
    """(name, file), or (name, why ONNX Runtime could not make it)."""
    yield FORMS[0], path
    for name, make in zip(FORMS[1:], (_optimized, _dynamic, _static), strict=True):
        target = folder / f"{path.stem}-{name.replace(' ', '-').replace(',', '')}.onnx"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                logging.disable(logging.WARNING)
                make(path, target, feeds)
                logging.disable(logging.NOTSET)
        except Exception as error:
            yield name, f"not made by ONNX Runtime: {type(error).__name__}"
            continue
        yield name, target


def session(
    path: Path, saved: Path | None = None, *, optimized: bool = True
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if not optimized:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if saved is not None:
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(saved)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _optimized(path: Path, target: Path, feeds: Feeds) -> None:
    del feeds
    session(path, target)


def _dynamic(path: Path, target: Path, feeds: Feeds) -> None:
    del feeds
    quantization.quantize_dynamic(_without_types(path, target), target)


def _static(path: Path, target: Path, feeds: Feeds) -> None:
    quantization.quantize_static(_without_types(path, target), target, OneSample(feeds))


def _without_types(path: Path, target: Path) -> Path:
    """The quantizer's inference stumbles over some types that the newer exporter writes.

    A file: from a model in memory the quantizer leaves weights behind in the current folder.
    """
    model = onnx.load(str(path))
    del model.graph.value_info[:]
    plain = target.with_suffix(".plain.onnx")
    onnx.save(model, str(plain))
    return plain


def check(path: Path, feeds: Feeds) -> Check:
    """Import, compare with ONNX Runtime, export and compile."""
    try:
        expected = session(path).run(None, feeds)
    except Exception as error:
        return Check(imported=f"not run by ONNX Runtime: {type(error).__name__}")
    try:
        module = import_onnx(path)
    except ConversionError as error:
        return Check(imported=error.message)
    names = module.meta["input_names"]
    tensors = tuple(
        to_tensor(np.ascontiguousarray(feeds[n]).reshape(feeds[n].shape)) for n in names
    )
    dependent = tuple(module.meta["data_dependent"])
    try:
        with torch.inference_mode():
            found = module(*tensors)
    except Exception as error:
        return Check(equal=_line(error), data_dependent=dependent)
    equal = _first_difference(found, expected)
    if equal:
        plain = session(path, optimized=False).run(None, feeds)
        other = _first_difference(found, plain)
        equal += "; without its optimizer " + (other or "equal")
    exported, compiled = export_error(module, tensors), compile_error(module, tensors, found)
    return Check("", equal, exported, compiled, dependent)


def _first_difference(found: Any, expected: list[NDArray[Any]]) -> str:
    return next((t for t in map(difference, found, expected) if t), "")


def difference(actual: torch.Tensor, expected: NDArray[Any]) -> str:
    """ "" when type, shape and values agree."""
    wanted = to_tensor(expected)
    if (actual.dtype, actual.shape) != (wanted.dtype, wanted.shape):
        return f"{actual.dtype} {tuple(actual.shape)} for {wanted.dtype} {tuple(wanted.shape)}"
    a, b = actual.to(torch.float64), wanted.to(torch.float64)
    if torch.allclose(a, b, rtol=RTOL, atol=ATOL, equal_nan=True):
        return ""
    error = float((a - b).abs().max() / b.abs().max().clamp(min=1e-9))
    return f"off by {error:.1%} of the largest"


def export_error(module: torch.fx.GraphModule, tensors: tuple[torch.Tensor, ...]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.export(copy.deepcopy(module), tensors)
    except Exception as error:
        return _line(error)
    return ""


def compile_error(
    module: torch.fx.GraphModule, tensors: tuple[torch.Tensor, ...], expected: Any
) -> str:
    """ "" when it compiles to one graph that gives the same."""
    torch._dynamo.reset()
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.compile(module, backend="eager", fullgraph=True)(*tensors)
    except Exception as error:
        return _line(error)
    pairs = zip(found, expected, strict=True)
    close = all(torch.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True) for a, b in pairs)
    return "" if close else "other values"


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:160]
