"""Bring the model into the form that each lane's engine takes, telling progress as events."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator

from profiler.errors import CancelledError, ProfilerError
from profiler.jobs import in_precision, onnx_form
from profiler.types import (
    EngineFailed,
    EngineKind,
    EngineSpec,
    Event,
    ModelConverted,
    ModelKind,
    ModelSource,
    Phase,
    Progress,
    RunPlan,
)

ONNX = "ONNX"
# What a lane's file became, by the path of what it was and the form.
Known = dict[tuple[str, str], ModelSource | ProfilerError]


def needs_onnx_form(spec: EngineSpec, model: ModelSource) -> bool:
    """ONNX Runtime takes ONNX only; PyTorch engines import an ONNX file themselves."""
    return spec.engine is EngineKind.ORT and model.kind is not ModelKind.ONNX


def forms(spec: EngineSpec, model: ModelSource) -> list[str]:
    """What the lane's file has to become, one after the other: ONNX, then a precision.

    PyTorch casts the module that it has loaded; ONNX Runtime needs another file.
    """
    if spec.engine is not EngineKind.ORT:
        return []
    precision = str(spec.options.get("precision", "fp32"))
    return [ONNX] * needs_onnx_form(spec, model) + [precision] * (precision != "fp32")


def lane_models(
    plan: RunPlan, cancelled: Callable[[], bool]
) -> Iterator[Event | tuple[EngineSpec, ModelSource]]:
    """Events of the conversion, and each lane that can start, with the file that it loads.

    Raises CancelledError.
    """
    known: Known = {}
    for spec in plan.engines:
        found: ModelSource | ProfilerError = spec.model or plan.model
        for form in forms(spec, spec.model or plan.model):
            if isinstance(found, ModelSource):
                key = (found.path, form)
                if key not in known:
                    known[key] = yield from _convert(plan, found, form, cancelled)
                found = known[key]
        if isinstance(found, ModelSource):
            yield spec, found
        else:
            yield EngineFailed(
                time_ns=time.time_ns(),
                label=spec.label,
                phase=Phase.CONVERTING,
                message=found.message,
                hint=found.hint,
            )


def _convert(
    plan: RunPlan, model: ModelSource, form: str, cancelled: Callable[[], bool]
) -> Generator[Event, None, ModelSource | ProfilerError]:
    """Convert in a job process. Returns the new form, or the error that prevented it."""
    details: queue.Queue[str | None] = queue.Queue()
    outcome: list[tuple[ModelSource, tuple[str, ...]] | ProfilerError] = []

    def work() -> None:
        try:
            if form == ONNX:
                made = onnx_form(model, plan.inputs, on_progress=details.put, cancelled=cancelled)
            else:
                made = in_precision(
                    model, form, plan.inputs, on_progress=details.put, cancelled=cancelled
                )
            outcome.append(made)
        except ProfilerError as error:
            outcome.append(error)
        finally:
            details.put(None)

    thread = threading.Thread(target=work, name="conversion")
    thread.start()
    yield Progress(time_ns=time.time_ns(), phase=Phase.CONVERTING, detail=f"to {form}")
    while (detail := details.get()) is not None:
        yield Progress(time_ns=time.time_ns(), phase=Phase.CONVERTING, detail=detail)
    thread.join()
    if not outcome:
        return ProfilerError("The conversion ended without a result.", "See the log.")
    result = outcome[0]
    if isinstance(result, CancelledError):
        raise result
    if isinstance(result, ProfilerError):
        return result
    found, notes = result
    labels = tuple(s.label for s in plan.engines if form in forms(s, s.model or plan.model))
    yield ModelConverted(time_ns=time.time_ns(), model=found, labels=labels, notes=notes, form=form)
    return found
