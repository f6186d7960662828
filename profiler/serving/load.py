"""A block of requests: so many in flight at once, or arriving at a rate.

With a concurrency (a closed loop) the next request is sent when one has ended. With a rate (an open
loop) they arrive as a Poisson process, whatever the server has still to do: waiting shows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from profiler.serving.stream import Answer

Ask = Callable[[int], Awaitable[Answer]]


def arrivals_s(count: int, rate: float, seed: int | Sequence[int]) -> list[float]:
    """Seconds until each of `count` requests: the first at once, then with exponential gaps."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, count - 1)
    return [0.0, *(float(at) for at in np.cumsum(gaps))]


async def closed_loop(ask: Ask, count: int, concurrency: int) -> list[Answer]:
    """`count` requests, at most `concurrency` in flight. Answers in the order of sending."""
    numbers = iter(range(count))
    answers: dict[int, Answer] = {}

    async def caller() -> None:
        for number in numbers:
            answers[number] = await ask(number)

    await asyncio.gather(*(caller() for _ in range(min(concurrency, count))))
    return [answers[number] for number in range(count)]


async def open_loop(ask: Ask, arrivals: Sequence[float]) -> list[Answer]:
    """A request at each of `arrivals`, in seconds from now. Answers in their order.

    A request counts from when it was due, so that a late sender doesn't hide a wait.
    """
    started_ns = time.perf_counter_ns()

    async def one(number: int, due_s: float) -> Answer:
        await asyncio.sleep(max(0.0, due_s - (time.perf_counter_ns() - started_ns) / 1e9))
        answer = await ask(number)
        answer.started_ns = started_ns + int(due_s * 1e9)
        return answer

    return list(await asyncio.gather(*(one(n, due) for n, due in enumerate(arrivals))))
