"""Closed and open loops of requests, on functions in place of a server."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from profiler.serving.load import arrivals_s, closed_loop, open_loop
from profiler.serving.prompts import prompt_text
from profiler.serving.stream import Answer


def test_arrivals_are_a_poisson_process() -> None:
    found = arrivals_s(20_001, 5.0, seed=1)
    gaps = np.diff(found)
    assert found[0] == 0.0 and (gaps >= 0).all()
    # Exponential: mean and standard deviation are both 1 / rate.
    assert gaps.mean() == pytest.approx(0.2, rel=0.03)
    assert gaps.std() == pytest.approx(0.2, rel=0.05)
    assert arrivals_s(20_001, 5.0, seed=1) == found != arrivals_s(20_001, 5.0, seed=2)
    assert arrivals_s(1, 5.0, seed=1) == [0.0]


def test_so_many_are_in_flight() -> None:
    now, most = 0, 0

    async def ask(number: int) -> Answer:
        nonlocal now, most
        now += 1
        most = max(most, now)
        # Others may run meanwhile, as while a server answers.
        for _ in range(1 + number % 3):
            await asyncio.sleep(0)
        now -= 1
        return Answer(tokens=number)

    answers = asyncio.run(closed_loop(ask, 10, 3))
    assert [answer.tokens for answer in answers] == list(range(10)) and most == 3
    most = 0
    assert len(asyncio.run(closed_loop(ask, 2, 8))) == 2 and most == 2


def test_a_request_counts_from_when_it_was_due() -> None:
    async def ask(number: int) -> Answer:
        return Answer(started_ns=-1, tokens=number)

    answers = asyncio.run(open_loop(ask, [0.0, 0.001, 0.003]))
    assert [answer.tokens for answer in answers] == [0, 1, 2]
    starts = [answer.started_ns - answers[0].started_ns for answer in answers]
    assert starts == [0, 1_000_000, 3_000_000]


def test_prompts_differ() -> None:
    texts = {prompt_text(12, f"0 0 {number}") for number in range(50)}
    assert len(texts) == 50 and {len(text.split()) for text in texts} == {12}
    assert prompt_text(12, "key") == prompt_text(12, "key")
