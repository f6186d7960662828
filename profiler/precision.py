"""An ONNX file in another precision, cached by hash. Runs in a job process only."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import onnx
import onnxruntime

from profiler.conversion_time import keep_duration
from profiler.errors import ConversionError
from profiler.inputs import make_arrays
from profiler.onnx_light import load_light
from profiler.types import Fill, InputSpec, ModelSource

# Part of the cache's key: raise it when the same file would give another one.
CACHE_VERSION = 3
CALIBRATION_SAMPLES = 8
MODEL = "model.onnx"
Progress = Callable[[str], None]


def convert_precision(
    source: ModelSource,
    precision: str,
    inputs: Sequence[InputSpec],
    out_dir: Path,
    progress: Progress,
) -> tuple[ModelSource, tuple[str, ...]]:
    """The file in "fp16", "int8" (dynamic) or "int8-static", and a note on how it was made.

    Inputs and outputs stay as they were. Raises ConversionError, ModelFileError.
    """
    from profiler.model_file import identify

    target = out_dir / _key(source, precision, inputs)
    if not (target / MODEL).exists():
        progress(f"weights to {precision}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, suffix=".part") as folder:
            draft = Path(folder) / target.name
            draft.mkdir()
            try:
                with keep_duration(draft):
                    WAYS[precision](Path(source.path), draft / MODEL, inputs)
            except Exception as error:
                # Converters raise anything.
                raise ConversionError(
                    f"The model could not be converted to {precision}: "
                    f"{type(error).__name__}: {str(error).strip()[:300]}",
                    "Leave the option precision out, or give the lane a file of its own (model=).",
                ) from error
            if not target.exists():
                draft.rename(target)
            elif not (target / MODEL).exists():
                shutil.rmtree(target)
                draft.rename(target)
    form = msgspec.structs.replace(identify(target / MODEL), derived_from=source.derived_from)
    return form, (NOTES[precision],)


def _key(source: ModelSource, precision: str, inputs: Sequence[InputSpec]) -> str:
    parts = [str(CACHE_VERSION), onnxruntime.__version__, onnx.__version__, source.sha256]
    parts.append(precision)
    if precision == "int8-static":
        parts += [msgspec.json.encode(spec).decode() for spec in inputs]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _to_float16(source: Path, target: Path, inputs: Sequence[InputSpec]) -> None:
    del inputs
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(str(source)), keep_io_types=True)
    onnx.save(model, str(target))


def _to_int8(source: Path, target: Path, inputs: Sequence[InputSpec]) -> None:
    del inputs
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        prepared = _prepared(source, Path(folder))
        quantize_dynamic(str(prepared), str(target), weight_type=QuantType.QInt8)


def _to_static_int8(source: Path, target: Path, inputs: Sequence[InputSpec]) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        prepared = _prepared(source, Path(folder))
        quantize_static(
            str(prepared),
            str(target),
            _Samples(_names(source), inputs),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _prepared(source: Path, folder: Path) -> Path:
    """With shapes inferred, which the quantizer asks for; as it is where that fails."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    whole, prepared = folder / "whole.onnx", folder / "prepared.onnx"
    try:
        # With the weights in it: they are looked for beside a copy that has none.
        onnx.save(onnx.load(str(source)), str(whole))
        quant_pre_process(str(whole), str(prepared), skip_symbolic_shape=True)
    except Exception:
        # Graphs with control flow or custom operators; the quantizer takes most of them anyway.
        return source
    model = onnx.load(str(prepared))
    weights = {tensor.name for tensor in model.graph.initializer}
    shapes = [value for value in model.graph.value_info if value.name not in weights]
    # The quantizer transposes weights of Gemm, and then trips over shapes that were noted for them.
    del model.graph.value_info[:]
    model.graph.value_info.extend(shapes)
    onnx.save(model, str(prepared))
    return prepared


def _names(source: Path) -> list[str]:
    graph = load_light(source).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in weights]


class _Samples:
    """Calibration data: the run's inputs, and the same kind of values by other seeds."""

    def __init__(self, names: Sequence[str], inputs: Sequence[InputSpec]) -> None:
        self._samples = iter(self._made(names, inputs))

    def get_next(self) -> dict[str, Any] | None:
        """As `onnxruntime.quantization.CalibrationDataReader`."""
        return next(self._samples, None)

    def _made(self, names: Sequence[str], inputs: Sequence[InputSpec]) -> Iterator[dict[str, Any]]:
        from_files = any(spec.fill is Fill.FILE for spec in inputs)
        for number in range(1 if from_files else CALIBRATION_SAMPLES):
            seeded = [msgspec.structs.replace(s, seed=s.seed + number) for s in inputs]
            arrays = make_arrays(seeded)
            yield {name: arrays[name] for name in names if name in arrays}


WAYS = {"fp16": _to_float16, "int8": _to_int8, "int8-static": _to_static_int8}
NOTES = {
    "fp16": "Weights and computation in float16, inputs and outputs as they were "
    "(onnxruntime.transformers.float16).",
    "int8": "Weights in int8, activations quantized on the fly (quantize_dynamic of ONNX Runtime).",
    "int8-static": "Weights and activations in int8, calibrated on this run's kind of inputs "
    "(quantize_static of ONNX Runtime, QDQ).",
}
