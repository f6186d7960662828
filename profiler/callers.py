"""Several threads that call one model at once, as a server does. Runs in an engine process."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

Call = Callable[[], object]


class Callers:
    """`count` threads that live as long as the engine, so that what it keeps a thread is kept.

    `caller` gives each thread its call. Closed loop: a caller starts its next call when the one
    before has returned.
    """

    def __init__(self, count: int, caller: Callable[[], AbstractContextManager[Call]]) -> None:
        self._caller = caller
        self._ended: list[tuple[int, int]] = []
        self._wanted = 0
        self._start = [queue.SimpleQueue[bool]() for _ in range(count)]
        self._over: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, args=(start,), daemon=True)
            for start in self._start
        ]
        for thread in self._threads:
            thread.start()

    def run(self, calls: int) -> tuple[list[int], int]:
        """(latencies, duration), in ns, of the first `calls` times `count` calls to end.

        Callers go on until that many have ended, so that all of them ran under full load; what is
        still going on then counts for nothing. The error of a call is raised.
        """
        wanted = self._wanted = calls * len(self._threads)
        self._ended = []
        started = time.perf_counter_ns()
        for start in self._start:
            start.put(True)
        failures = [error for _ in self._threads if (error := self._over.get()) is not None]
        if failures:
            raise failures[0]
        ended = sorted(self._ended)[:wanted]
        return [latency for _, latency in ended], ended[-1][0] - started

    def close(self) -> None:
        """End the threads."""
        for start in self._start:
            start.put(False)
        for thread in self._threads:
            thread.join()

    def _serve(self, start: queue.SimpleQueue[bool]) -> None:
        try:
            with self._caller() as call:
                while start.get():
                    self._over.put(self._turn(call))
        except Exception as error:
            while start.get():
                self._over.put(error)

    def _turn(self, call: Call) -> BaseException | None:
        ended, wanted, clock = self._ended, self._wanted, time.perf_counter_ns
        try:
            while len(ended) < wanted:
                started = clock()
                call()
                now = clock()
                ended.append((now, now - started))
        except Exception as error:
            # The others end too: this many never come.
            ended.extend([(clock(), 0)] * wanted)
            return error
        return None
