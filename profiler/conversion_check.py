"""Is a converted model the same model? Checker, shapes, outputs beside PyTorch's. In children."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime
import torch

from profiler.engines.torch_common import flatten_outputs, to_tensor
from profiler.errors import ConversionError
from profiler.inputs import make_arrays, with_symbol
from profiler.outputs import compare_outputs
from profiler.torch_files import first_line
from profiler.types import Fill, InputSpec, OutputDifference

ANSI_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(r'File "([^"]+)", line (\d+), in (\S+)(?:\n\s+(\S[^\n]*))?')
Arrays = list[Any]


def check(path: Path, module: torch.nn.Module, inputs: Sequence[InputSpec]) -> list[str]:
    """Notes on what was checked: the file itself, and its outputs on several inputs.

    Raises ConversionError when outputs have other shapes than PyTorch's, and whatever the checker
    or ONNX Runtime raise for a file that is wrong.
    """
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    dims = {item.name: item.shape for item in session.get_inputs()}
    notes: list[str] = []
    differences: list[OutputDifference] = []
    done = []
    for title, case in cases(inputs, dims):
        try:
            expected = expected_outputs(module, case)
        except ConversionError as error:
            notes.append(f"PyTorch itself does not take {title}: {error.message}")
            continue
        differences += _differences(session, case, expected)
        done.append(title)
    checked = f"Checked with {', '.join(done)}."
    return [_verdict(differences), dynamic_note(inputs, dims), checked, *notes]


def cases(
    inputs: Sequence[InputSpec], dims: dict[str, list[int | str]]
) -> list[tuple[str, Sequence[InputSpec]]]:
    """The inputs as given, with other values, and with another batch size where that may change."""
    found: list[tuple[str, Sequence[InputSpec]]] = [("the inputs as given", inputs)]
    if any(spec.fill is Fill.FILE for spec in inputs):
        return found
    other = [msgspec.structs.replace(spec, seed=spec.seed + 1) for spec in inputs]
    found.append(("other values", other))
    first = next((spec for spec in inputs if spec.shape and spec.name in dims), None)
    if first is not None and first.symbols and first.symbols[0]:
        shape = dims[first.name]
        if shape and not isinstance(shape[0], int):
            size = first.shape[0] + 2
            found.append((f"a batch of {size}", with_symbol(other, first.symbols[0], size)))
    return found


def dynamic_note(inputs: Sequence[InputSpec], dims: dict[str, list[int | str]]) -> str:
    """Which dimensions of the file may change, and which became fixed."""
    dynamic: list[str] = []
    fixed: list[str] = []
    for spec in inputs:
        shape = dims.get(spec.name, [])
        for symbol, dim in zip(spec.symbols, shape, strict=False):
            if symbol:
                (fixed if isinstance(dim, int) else dynamic).append(symbol)
    text = f"Dynamic: {', '.join(dict.fromkeys(dynamic)) or 'none'}."
    return text + (f" Fixed by the conversion: {', '.join(dict.fromkeys(fixed))}." if fixed else "")


def expected_outputs(module: torch.nn.Module, inputs: Sequence[InputSpec]) -> Arrays:
    """Arrays that PyTorch gives. Raises ConversionError where the model doesn't take the inputs."""
    arrays = make_arrays(inputs)
    tensors = [to_tensor(arrays[spec.name]) for spec in inputs]
    try:
        with torch.inference_mode():
            return [
                t.float().numpy() if t.dtype is torch.bfloat16 else t.numpy()
                for t in flatten_outputs(module(*tensors))
            ]
    except Exception as error:
        # A model raises anything.
        shapes = ", ".join(str(list(tensor.shape)) for tensor in tensors)
        raise ConversionError(
            f"The model fails in PyTorch on inputs of shape {shapes}: {reason(error)}",
            "Give the inputs shapes and dtypes that the model takes.",
        ) from error


def _differences(
    session: Any, inputs: Sequence[InputSpec], expected: Arrays
) -> tuple[OutputDifference, ...]:
    arrays = make_arrays(inputs)
    known = {item.name for item in session.get_inputs()}
    actual = session.run(None, {name: value for name, value in arrays.items() if name in known})
    names = [item.name for item in session.get_outputs()]
    found = tuple(compare_outputs(names, expected, [np.asarray(value) for value in actual]))
    if any(not np.isfinite(d.max_abs) for d in found):
        notes = "; ".join(f"{d.name}: {d.note}" for d in found)
        raise ConversionError(
            f"The converted model gives other outputs than PyTorch: {notes}.",
            "The exporter mistook the model; the PyTorch lane still runs.",
        )
    return found


def _verdict(differences: list[OutputDifference]) -> str:
    worst = max((d.max_abs for d in differences), default=0.0)
    verdict = (
        "within tolerance"
        if all(d.within_tolerance for d in differences)
        else "PAST TOLERANCE: the conversion changed the model's results"
    )
    return f"Largest difference of its outputs from PyTorch's: {worst:.3g} ({verdict})."


def reason(error: BaseException) -> str:
    """What is at the bottom of the exporter's errors, with the model's line that it came from."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    text = ANSI_COLOURS.sub("", first_line(chain[-1]))
    place = next(filter(None, map(_model_line, reversed(chain))), "")
    return f"{text} ({place})" if place else text


def _model_line(error: BaseException) -> str:
    """The last line of the model's own code that the error's text or traceback names."""
    frames = traceback.extract_tb(error.__traceback__)
    found = [(f.filename, str(f.lineno), f.line or "") for f in frames]
    found += [(m[1], m[2], m[4] or "") for m in _LINE.finditer(ANSI_COLOURS.sub("", str(error)))]
    own = [item for item in found if _is_model_code(item[0])]
    if not own:
        return ""
    name, number, line = own[-1]
    return f"{Path(name).name}, line {number}" + (f": {line.strip()[:120]}" if line else "")


def _is_model_code(name: str) -> bool:
    ours = Path(__file__).parent
    path = Path(name)
    library = "site-packages" in path.parts or "lib" in path.parts
    return not (library or name.startswith("<") or ours in path.parents)
