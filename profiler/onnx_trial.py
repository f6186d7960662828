"""Find sizes of dynamic dimensions with which an ONNX model runs. Job processes only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from profiler.inputs import make_arrays, with_symbol
from profiler.proposals import SEQUENCE
from profiler.types import InputSpec

# Frames of audio models and windows of others; a guess of SEQUENCE is tried first.
OTHER_SIZES = (512, 256, 1024, 64, 16_000, 16)
# Loading a large model only to try a shape takes too long.
MOST_WEIGHTS_BYTES = 300 * 2**20
LEAST_SEVERE = 4


def sizes_that_run(
    path: Path, inputs: Sequence[InputSpec], weights_bytes: int
) -> tuple[tuple[InputSpec, ...], str]:
    """The inputs, changed where a guessed length doesn't run; and a note if nothing does."""
    guessed = {
        symbol
        for spec in inputs
        for symbol, size in zip(spec.symbols, spec.shape, strict=False)
        if symbol and size == SEQUENCE
    }
    if not guessed or weights_bytes > MOST_WEIGHTS_BYTES:
        return tuple(inputs), ""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = LEAST_SEVERE
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception:
        # What is wrong with the file is told when a lane loads it; here only sizes are looked for.
        return tuple(inputs), ""
    reason = ""
    for candidate in _candidates(inputs, guessed):
        error = _error(session, candidate)
        if not error:
            return candidate, ""
        reason = reason or error
    return tuple(inputs), f"The proposed input shapes don't run: {reason} Set them for the run."


def _candidates(inputs: Sequence[InputSpec], symbols: set[str]) -> Iterator[tuple[InputSpec, ...]]:
    yield tuple(inputs)
    for size in OTHER_SIZES:
        changed = tuple(inputs)
        for symbol in symbols:
            changed = with_symbol(changed, symbol, size)
        yield changed


def _error(session: Any, inputs: Sequence[InputSpec]) -> str:
    """Empty when the model runs."""
    try:
        session.run(None, make_arrays(inputs))
    except Exception as error:
        # ONNX Runtime raises classes of its own for each kind of failure.
        return str(error).strip().splitlines()[0].split(" : ")[-1][-300:]
    return ""
