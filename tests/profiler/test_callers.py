"""Threads that call at once: what is counted, errors, the end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from profiler.callers import Callers


class Model:
    """Counts calls, and how many were in it at once; `fails` after so many."""

    def __init__(self, fails_after: int | None = None) -> None:
        self.calls = 0
        self.threads: set[int] = set()
        self.entered = 0
        self.left = 0
        self._fails_after = fails_after
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def caller(self) -> Iterator[Callable[[], object]]:
        self.entered += 1
        yield self._call
        self.left += 1

    def _call(self) -> None:
        with self._lock:
            self.calls += 1
            self.threads.add(threading.get_ident())
            if self._fails_after is not None and self.calls > self._fails_after:
                raise RuntimeError("out of memory")


def test_so_many_calls_of_each_caller_are_counted() -> None:
    model = Model()
    callers = Callers(3, model.caller)
    latencies, duration_ns = callers.run(20)
    assert len(latencies) == 60
    assert all(latency > 0 for latency in latencies)
    # Calls overlap, and what goes on when enough have ended isn't counted.
    assert model.calls >= 60
    assert duration_ns > 0
    assert max(latencies) <= duration_ns


def test_threads_stay_from_turn_to_turn() -> None:
    model = Model()
    callers = Callers(2, model.caller)
    for _ in range(20):
        callers.run(50)
    callers.close()
    assert len(model.threads) <= 2
    assert (model.entered, model.left) == (2, 2)


def test_all_callers_are_in_the_model_at_once() -> None:
    together = threading.Barrier(4, timeout=20)

    @contextlib.contextmanager
    def caller() -> Iterator[Callable[[], object]]:
        waits = iter([together.wait])

        def call() -> object:
            # Only a thread's first call waits for the others.
            return next(waits, int)()

        yield call

    latencies, _ = Callers(4, caller).run(1)
    assert len(latencies) == 4


def test_a_failed_call_is_raised_and_the_next_turn_goes_on() -> None:
    model = Model(fails_after=5)
    callers = Callers(2, model.caller)
    with pytest.raises(RuntimeError, match="out of memory"):
        callers.run(10)
    with pytest.raises(RuntimeError, match="out of memory"):
        callers.run(10)
    callers.close()


def test_a_caller_that_cannot_begin_is_told() -> None:
    @contextlib.contextmanager
    def caller() -> Iterator[Callable[[], object]]:
        raise RuntimeError("no stream")
        yield lambda: None

    callers = Callers(2, caller)
    with pytest.raises(RuntimeError, match="no stream"):
        callers.run(1)
    callers.close()
