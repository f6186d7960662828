"""Compare the outputs of two lanes on the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from profiler.types import EngineSpec, OutputDifference, Tolerance

# |candidate - baseline| <= atol * scale + rtol * |baseline|, where scale is the baseline's root
# mean square (at least 1e-6), so that a bound holds for outputs of any magnitude.
TOLERANCES = {"float16": (1e-2, 1e-2), "bfloat16": (4e-2, 4e-2), "float32": (1e-3, 1e-3)}
# By a lane's option `precision`, where its outputs' own dtype doesn't tell.
PRECISIONS = {
    "fp16": (1e-2, 1e-2),
    "bf16": (4e-2, 4e-2),
    "int8": (1e-1, 1e-1),
    "int8-static": (1e-1, 1e-1),
}
EXACT = (0.0, 0.0)
DOUBLE = (1e-6, 1e-6)

Array = NDArray[Any]
NUMBERS = "biufc"
# [batch, tokens, classes]; an output with more axes is a map.
MOST_AXES_OF_TOKENS = 3


def save_outputs(path: Path, outputs: Sequence[Array]) -> None:
    """Write arrays as .npz, in output order; what isn't numbers, as texts."""
    np.savez(path, *(_plain(array) for array in outputs))


def _plain(array: Array) -> Array:
    """Strings, and maps or sequences of a classifier, as texts; bfloat16 as float32."""
    if array.dtype.kind in NUMBERS:
        return array
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    texts = [str(item) for item in array.ravel()]
    return np.array(texts, dtype=np.str_).reshape(array.shape)


def load_outputs(path: Path) -> list[Array]:
    """Arrays of a file written by an engine, in output order; no pickles are read."""
    with np.load(path, allow_pickle=False) as archive:
        return [archive[f"arr_{i}"] for i in range(len(archive.files))]


def tolerance(
    baseline: Array, candidate: Array, chosen: Tolerance | None = None
) -> tuple[float, float]:
    """(rtol, atol): as chosen, else by the less precise of the two dtypes."""
    if chosen is not None:
        return chosen.rtol, chosen.atol
    names = {baseline.dtype.name, candidate.dtype.name}
    for name, bounds in TOLERANCES.items():
        if name in names:
            return bounds
    return DOUBLE if "float64" in names else EXACT


def precision_tolerance(*lanes: EngineSpec) -> Tolerance | None:
    """By the least precise of the lanes' options; None where none asks for a precision."""
    chosen = [str(spec.options.get("precision", "")) for spec in lanes]
    bounds = [PRECISIONS[name] for name in chosen if name in PRECISIONS]
    if not bounds:
        return None
    rtol, atol = max(bounds)
    return Tolerance(rtol=rtol, atol=atol)


def compare_outputs(
    names: Sequence[str],
    baseline: Sequence[Array],
    candidate: Sequence[Array],
    chosen: Tolerance | None = None,
) -> tuple[OutputDifference, ...]:
    """Differences per output, matched by position. A missing output counts as a difference."""
    found = []
    for index in range(max(len(baseline), len(candidate))):
        name = names[index] if index < len(names) else f"output {index}"
        if index >= len(baseline) or index >= len(candidate):
            found.append(_unlike(name, "only one of the lanes has this output"))
        elif any(array[index].dtype.kind not in NUMBERS for array in (baseline, candidate)):
            found.append(_of_texts(name, baseline[index], candidate[index]))
        elif baseline[index].shape != candidate[index].shape:
            shapes = f"{list(baseline[index].shape)} and {list(candidate[index].shape)}"
            found.append(_unlike(name, f"shapes differ: {shapes}"))
        else:
            bounds = tolerance(baseline[index], candidate[index], chosen)
            found.append(_difference(name, baseline[index], candidate[index], bounds))
    return tuple(found)


def _of_texts(name: str, baseline: Array, candidate: Array) -> OutputDifference:
    """Equal or not: there is no distance."""
    if not np.array_equal(baseline, candidate):
        return _unlike(name, "these aren't numbers, and they differ")
    alike = _unlike(name, "these aren't numbers; they are equal")
    changes = {"max_abs": 0.0, "max_rel": 0.0, "cosine": 1.0, "within_tolerance": True}
    return msgspec.structs.replace(alike, **changes)


def _unlike(name: str, note: str) -> OutputDifference:
    return OutputDifference(
        name=name,
        max_abs=float("inf"),
        max_rel=float("inf"),
        cosine=0.0,
        argmax_agreement=None,
        nan_count=0,
        inf_count=0,
        within_tolerance=False,
        note=note,
    )


def _difference(
    name: str, baseline: Array, candidate: Array, bounds: tuple[float, float]
) -> OutputDifference:
    expected, actual = (a.astype(np.float64).ravel() for a in (baseline, candidate))
    finite = np.isfinite(expected) & np.isfinite(actual)
    # Where both are NaN, or the same infinity, the lanes agree.
    alike = finite | (np.isnan(expected) & np.isnan(actual)) | (expected == actual)
    gap = np.abs(actual[finite] - expected[finite])
    size = np.abs(expected[finite])
    rms = float(np.sqrt(np.mean(size**2))) if size.size else 0.0
    rtol, atol = bounds
    close = gap <= atol * max(rms, 1e-6) + rtol * size
    return OutputDifference(
        name=name,
        max_abs=float(gap.max(initial=0.0)),
        max_rel=float((gap / np.maximum(size, max(rms, 1e-6) * 1e-3)).max(initial=0.0)),
        cosine=_cosine(expected[finite], actual[finite]),
        argmax_agreement=_argmax_agreement(baseline, candidate),
        nan_count=int(np.isnan(actual).sum()),
        inf_count=int(np.isinf(actual).sum()),
        within_tolerance=bool(close.all() and alike.all()),
        note=f"tolerance: {rtol:g} relative, {atol:g} of the root mean square",
    )


def _cosine(a: Array, b: Array) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0:
        return 1.0 if np.array_equal(a, b) else 0.0
    return float(np.dot(a, b) / norms)


def _argmax_agreement(baseline: Array, candidate: Array) -> float | None:
    """Share of rows with the same argmax, for outputs that look like class scores; else None.

    Classes are the last axis of [batch, classes] and [batch, tokens, classes], and axis 1 of maps
    [batch, classes, height, width ...], as PyTorch's `CrossEntropyLoss` has them.
    """
    axis = baseline.ndim - 1 if baseline.ndim <= MOST_AXES_OF_TOKENS else 1
    if axis < 1 or baseline.shape[axis] < 2 or baseline.dtype.kind != "f":
        return None
    return float(np.mean(baseline.argmax(axis=axis) == candidate.argmax(axis=axis)))
