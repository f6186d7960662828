"""Bring the model into the form that each lane's engine takes, telling progress as events."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial

from profiler.errors import CancelledError, ProfilerError
from profiler.jobs import conversion, in_precision
from profiler.lanes import ONNX, forms
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

# What a lane's file became, by the path of what it was and the form.
Known = dict[tuple[str, str], ModelSource | ProfilerError]


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
    outcome: list[Converted | ProfilerError] = []

    def work() -> None:
        try:
            convert = conversion if form == ONNX else partial(in_precision, precision=form)
            outcome.append(
                convert(model, inputs=plan.inputs, on_progress=details.put, cancelled=cancelled)
            )
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
    labels = tuple(s.label for s in plan.engines if form in forms(s, s.model or plan.model))
    yield ModelConverted(
        time_ns=time.time_ns(),
        model=result.model,
        labels=labels,
        notes=result.notes,
        form=form,
        duration_ns=result.duration_ns,
    )
    return result.model
