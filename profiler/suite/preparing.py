"""Builds and exports the suite's models before anything is measured, two at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from profiler.errors import CancelledError, ProfilerError
from profiler.jobs import conversion
from profiler.suite.catalogue import SuiteModel
from profiler.suite.models import built, is_prepared, mark_prepared
from profiler.types import Event, Phase, Progress

# An export keeps one core busy, and takes several times the model's size of memory.
AT_ONCE = 2
LOOK_S = 1.0


def prepare(models: Sequence[SuiteModel], cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Progress until every model lies in the cache, with its ONNX form.

    What fails here is told by the model's own run, where it fails again. Raises CancelledError.
    """
    left = list({model.key: model for model in models if not is_prepared(model)}.values())
    if not left:
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pending = {pool.submit(_prepare, model, cancelled) for model in left}
        while pending:
            titles = ", ".join(model.title for model in left)
            done = len(left) - len(pending)
            yield Progress(
                time_ns=time.time_ns(),
                phase=Phase.CONVERTING,
                detail=f"{titles}: built and exported once, {done} of {len(left)} done",
            )
            _, pending = wait(pending, LOOK_S, FIRST_COMPLETED)
    if cancelled():
        raise CancelledError("Stopped.")


def _prepare(model: SuiteModel, cancelled: Callable[[], bool]) -> None:
    try:
        info = built(model, cancelled)
        conversion(info.source, info.inputs, cancelled=cancelled)
        mark_prepared(model)
    except ProfilerError:
        # Its own run tells it.
        return
