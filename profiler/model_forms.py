"""Bring the model into the form that each lane's engine takes, telling progress as events."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator

from profiler.errors import CancelledError, ProfilerError
from profiler.jobs import conversion
from profiler.lanes import needs_onnx_form
from profiler.types import (
    Converted,
    EngineFailed,
    EngineSpec,
    Event,
    ModelConverted,
    ModelSource,
    Phase,
    Progress,
    RunPlan,
)


def lane_models(
    plan: RunPlan, cancelled: Callable[[], bool]
) -> Iterator[Event | tuple[EngineSpec, ModelSource]]:
    """Events of the conversion, and each lane that can start, with the file that it loads.

    Raises CancelledError.
    """
    converted: dict[str, ModelSource | ProfilerError] = {}
    for spec in plan.engines:
        model = spec.model or plan.model
        if not needs_onnx_form(spec, model):
            yield spec, model
            continue
        if model.path not in converted:
            converted[model.path] = yield from _convert(plan, model, cancelled)
        form = converted[model.path]
        if isinstance(form, ProfilerError):
            yield EngineFailed(
                time_ns=time.time_ns(),
                label=spec.label,
                phase=Phase.CONVERTING,
                message=form.message,
                hint=form.hint,
            )
        else:
            yield spec, form


def _convert(
    plan: RunPlan, model: ModelSource, cancelled: Callable[[], bool]
) -> Generator[Event, None, ModelSource | ProfilerError]:
    """Convert in a job process. Returns the ONNX form, or the error that prevented it."""
    details: queue.Queue[str | None] = queue.Queue()
    outcome: list[Converted | ProfilerError] = []

    def work() -> None:
        try:
            outcome.append(
                conversion(model, plan.inputs, on_progress=details.put, cancelled=cancelled)
            )
        except ProfilerError as error:
            outcome.append(error)
        finally:
            details.put(None)

    thread = threading.Thread(target=work, name="conversion")
    thread.start()
    yield Progress(time_ns=time.time_ns(), phase=Phase.CONVERTING, detail="to ONNX")
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
    labels = tuple(s.label for s in plan.engines if needs_onnx_form(s, s.model or plan.model))
    yield ModelConverted(
        time_ns=time.time_ns(),
        model=result.model,
        labels=labels,
        notes=result.notes,
        duration_ns=result.duration_ns,
    )
    return result.model
