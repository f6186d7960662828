"""A lane that is a server: it is asked over HTTP, and its answers are timed as they stream in.

The server must be one that the person named. Nothing is loaded here; the process has the network,
which is why it refuses everything else (`profiler.worker`).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from typing import Any

import httpx2

from profiler.errors import EngineError
from profiler.generation.base import Generator
from profiler.serving.load import arrivals_s, closed_loop, open_loop
from profiler.serving.prompts import prompt_text
from profiler.serving.stream import Answer, ask
from profiler.types import Generations, Load

CONNECT_TIMEOUT_S = 10.0
# Of a server that queues many requests.
READ_TIMEOUT_S = 600.0
PATHS = {"completions": "completions", "chat": "chat/completions"}


class EndpointLane(Generator):
    """`generate(count)` sends that many requests, at the lane's concurrency or rate."""

    def __init__(self, command: Load) -> None:
        super().__init__(command)
        options = command.spec.options
        self._url = str(options.get("url", "")).rstrip("/") + "/"
        self._model = str(options.get("served_model", ""))
        self._api = str(options.get("api", "completions"))
        self._concurrency = int(options.get("concurrency", 1))
        self._rate = float(options["rate"]) if "rate" in options else None
        self._blocks = 0
        self._sent = 0
        # Off for a server that answers with HTTP 400 to what it doesn't know.
        self._extras = True
        self._loop = asyncio.new_event_loop()
        variable = str(options.get("key_variable", ""))
        key = os.environ.get(variable, "") if variable else ""
        if variable and not key:
            raise EngineError(
                f"The environment has no variable {variable} with the server's key.",
                "Set it where Dualscope is started.",
            )
        self._client = httpx2.AsyncClient(
            base_url=self._url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
            # Else a proxy of the environment would be measured, and see what is sent.
            trust_env=False,
        )

    def load(self) -> None:
        """Look whether the server is there, and which model it has. Raises EngineError."""
        self._loop.run_until_complete(self._look())
        self.graph_note = f"model {self._model} at {self._url.rstrip('/')}"
        arriving = (
            f"arriving at {self._rate:g} a second"
            if self._rate is not None
            else f"{self._concurrency} in flight"
        )
        self.input_note = f"requests over HTTP, streamed ({self._api}), {arriving}"

    async def _look(self) -> None:
        try:
            response = await self._client.get("models")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise EngineError(
                f"There is no server at {self._url}: {type(error).__name__}: {error}",
                "Start it, and give the address that ends in /v1, as clients take it.",
            ) from error
        self.version = response.headers.get("server", "") or "HTTP server"
        if self._model:
            return
        names = _model_names(response)
        if not names:
            raise EngineError(
                f"{self._url}models names no model (HTTP {response.status_code}).",
                "Name it: served_model=...",
            )
        self._model = names[0]

    def infer(self) -> list[int]:
        """One request alone. Raises EngineError where the server refuses it."""
        answer = self._loop.run_until_complete(self._ask(self._next()))
        if answer.error.startswith(("HTTP 400", "HTTP 422")) and self._extras:
            self._extras = False
            answer = self._loop.run_until_complete(self._ask(self._next()))
        if answer.error:
            raise EngineError(
                f"The server at {self._url} gave no answer: {answer.error}",
                "See its own log; served_model= and api=chat may be what it needs.",
            )
        return _steps(answer)

    def generate(self, count: int) -> Generations:
        """`count` requests; those that fail are counted. Raises EngineError where all do."""
        first, self._sent = self._sent, self._sent + count

        async def one(number: int) -> Answer:
            return await self._ask(first + number)

        started = time.perf_counter_ns()
        if self._rate is not None:
            self._blocks += 1
            seed = [self.command.seed, self.command.launch, self._blocks]
            due = arrivals_s(count, self._rate, seed)
            answers = self._loop.run_until_complete(open_loop(one, due))
        else:
            answers = self._loop.run_until_complete(closed_loop(one, count, self._concurrency))
        good = [answer for answer in answers if not answer.error]
        if not good:
            raise EngineError(
                f"All {count} requests to {self._url} failed: {answers[0].error}",
                "See the server's own log.",
            )
        counted = all(answer.tokens for answer in good)
        return Generations(
            steps_ns=tuple(tuple(_steps(answer)) for answer in good),
            starts_ns=tuple(answer.started_ns - started for answer in good),
            tokens=tuple(answer.tokens for answer in good) if counted else (),
            prompt_tokens=tuple(answer.prompt_tokens for answer in good) if counted else (),
            span_ns=max(answer.pieces_ns[-1] for answer in good) - started,
            errors=tuple(answer.error for answer in answers if answer.error),
        )

    def _next(self) -> int:
        self._sent += 1
        return self._sent - 1

    async def _ask(self, number: int) -> Answer:
        return await ask(self._client, PATHS[self._api], self._body(number))

    def _body(self, number: int) -> dict[str, Any]:
        """Greedy, of fixed length as far as the server goes along, each with another prompt.

        A server that keeps the cache of an earlier prompt would have nothing to prefill.
        """
        plan = self.generation
        key = f"{self.command.seed} {self.command.launch} {number}"
        text = prompt_text(plan.prompt_tokens, key)
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": plan.new_tokens,
            "temperature": 0,
            "stream": True,
        }
        if self._api == "chat":
            body["messages"] = [{"role": "user", "content": text}]
        else:
            body["prompt"] = text
        if self._extras:
            # vLLM, TGI and llama.cpp go on to the full length with these.
            body |= {
                "stream_options": {"include_usage": True},
                "ignore_eos": True,
                "min_tokens": plan.new_tokens,
            }
        return body

    def output_names(self, outputs: object) -> tuple[str, ...]:
        del outputs
        return ()

    def cache_bytes(self) -> tuple[int, int]:
        return 0, 0

    def weights_bytes(self) -> int:
        return 0

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()


def _steps(answer: Answer) -> list[int]:
    """Time to the first piece, then from piece to piece."""
    moments = [answer.started_ns, *answer.pieces_ns]
    return [after - before for before, after in itertools.pairwise(moments)]


def _model_names(response: httpx2.Response) -> list[str]:
    try:
        listed = response.json().get("data", [])
        return [str(entry["id"]) for entry in listed]
    except (ValueError, AttributeError, KeyError, TypeError):
        return []
