"""What the generating engines share: forced tokens, one generation, its times token by token."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profiler.errors import EngineError
from profiler.outputs import save_outputs
from profiler.types import Examined, GenerationPlan, Generations, InputSpec, Load, Traced


def forced_tokens(
    plan: GenerationPlan, seed: int, batch: int = 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(prompt [batch, prompt_tokens], following [batch, new_tokens - 1]): alike in every lane."""
    total = plan.prompt_tokens + plan.new_tokens - 1
    drawn = np.random.default_rng(seed).integers(0, plan.vocabulary, (1, total), dtype=np.int64)
    tokens = np.repeat(drawn, batch, axis=0)
    return tokens[:, : plan.prompt_tokens], tokens[:, plan.prompt_tokens :]


class Generator:
    """An engine whose call is one generation of text, greedy.

    An engine of its own has `prefill` and `step`, each of which returns the token that the model
    would choose; the next token that it is fed is the plan's, so that every lane does equal work.
    `kept_logits` are those of the last call with `keep`.
    """

    version = ""
    graph_note = ""
    input_note = ""

    def __init__(self, command: Load) -> None:
        if command.generation is None:
            raise EngineError("The plan has no generation.")
        self.generation = command.generation
        self.command = command
        self.batch = 1
        self.keep = False
        self.kept_logits: list[NDArray[Any]] = []
        self.prompt, self.following = forced_tokens(self.generation, command.seed)

    def set_batch(self, batch: int) -> None:
        """Of a model whose batch is fixed."""
        self.batch = batch
        self.prompt, self.following = forced_tokens(self.generation, self.command.seed, batch)

    @property
    def total_tokens(self) -> int:
        """Length of the cache at the end."""
        return self.generation.prompt_tokens + self.generation.new_tokens - 1

    # What an engine of its own has.

    def load(self) -> None:
        """Raises EngineError, ModelFileError."""
        raise NotImplementedError

    def prefill(self) -> int:
        """Start anew, and run the prompt. Returns the token that follows, in host memory."""
        raise NotImplementedError

    def step(self, place: int) -> int:
        """Run one more token, `following[:, place]`; returns the next."""
        raise NotImplementedError

    def cache_bytes(self) -> tuple[int, int]:
        """What the cache takes after a generation, and what of it is in use."""
        raise NotImplementedError

    def weights_bytes(self) -> int:
        raise NotImplementedError

    # The rest of the engine.

    def infer(self) -> list[int]:
        """One generation; its times in ns, of the first token and then from token to token."""
        clock, step = time.perf_counter_ns, self.step
        times = [0] * self.generation.new_tokens
        started = clock()
        self.prefill()
        ended = clock()
        times[0] = ended - started
        for place in range(self.generation.new_tokens - 1):
            started = ended
            step(place)
            ended = clock()
            times[place + 1] = ended - started
        return times

    def caller(self) -> AbstractContextManager[Callable[[], object]]:
        """Never asked for: lanes that generate text have no option `callers`."""
        raise EngineError("One engine generates one text at a time.")

    def generate(self, count: int) -> Generations:
        """`count` generations, one after the other."""
        started = time.perf_counter_ns()
        steps, starts = [], []
        for _ in range(count):
            starts.append(time.perf_counter_ns() - started)
            steps.append(tuple(self.infer()))
        span_ns = time.perf_counter_ns() - started
        taken, used = self.cache_bytes()
        return Generations(
            steps_ns=tuple(steps),
            starts_ns=tuple(starts),
            span_ns=span_ns,
            cache_bytes=taken,
            cache_used_bytes=used,
        )

    def synchronize(self) -> None:
        """A generation ends with a token in host memory."""

    def after_first_call(self) -> int:
        return 0

    def trace(self, iterations: int, warmup: int) -> Traced:
        del iterations, warmup
        raise EngineError("A generation is not traced.")

    def examine(self) -> Examined:
        return Examined()

    def called_with(self, inputs: tuple[InputSpec, ...]) -> Callable[[], object]:
        del inputs
        raise EngineError("A generation has the plan's own tokens as inputs.")

    def save_outputs(self, path: Path) -> None:
        """Logits of every token, [new_tokens, vocabulary], of a call that isn't timed."""
        self.keep, self.kept_logits = True, []
        try:
            self.infer()
            save_outputs(path, [np.concatenate(self.kept_logits)])
        finally:
            self.keep, self.kept_logits = False, []

    def save_values(self, names: Sequence[str], path: Path) -> tuple[str, ...]:
        del names, path
        raise EngineError("Values inside of a model that generates text are not compared.")

    def output_names(self, outputs: object) -> tuple[str, ...]:
        del outputs
        return ("logits",)

    def close(self) -> None:
        """Free the model."""
