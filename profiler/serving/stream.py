"""One streamed request to an OpenAI-compatible server: when each piece of its text came.

Both interfaces answer with server-sent events, each a JSON object, and `[DONE]` at the end:
https://platform.openai.com/docs/api-reference/completions and .../chat/streaming. httpx2 parses the
stream.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

DONE = "[DONE]"
MOST_MESSAGE = 300


@dataclass
class Answer:
    """`started_ns` is when it was sent, `pieces_ns` when each piece of text came, by one clock.

    `tokens` and `prompt_tokens` are the server's counts, 0 where it gave none. `error` is empty
    where the answer came whole.
    """

    started_ns: int = 0
    pieces_ns: list[int] = field(default_factory=list)
    tokens: int = 0
    prompt_tokens: int = 0
    error: str = ""


async def ask(client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> Answer:
    """Send the request and read its stream to the end; what goes wrong is told in the answer."""
    answer = Answer(started_ns=time.perf_counter_ns())
    try:
        async with client.sse(path, method="POST", json=body) as events:
            if events.response.status_code != 200:
                await events.response.aread()
                answer.error = _refusal(events.response)
                return answer
            async for event in events:
                now = time.perf_counter_ns()
                if event.data.strip() == DONE:
                    # Read to its end, so that the connection serves the next request.
                    continue
                _take(answer, json.loads(event.data), now)
                if answer.error:
                    return answer
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        answer.error = f"{type(error).__name__}: {error}"[:MOST_MESSAGE]
    except ValueError as error:
        answer.error = f"the stream holds no JSON: {error}"[:MOST_MESSAGE]
    if not answer.error and not answer.pieces_ns:
        answer.error = "the answer has no text"
    return answer


def _take(answer: Answer, chunk: Any, now: int) -> None:
    """One event: text, a count of tokens, or an error in the midst of the stream."""
    if not isinstance(chunk, dict):
        answer.error = "the stream holds something else than objects"
        return
    if chunk.get("error"):
        answer.error = f"the server broke off: {chunk['error']}"[:MOST_MESSAGE]
        return
    for choice in chunk.get("choices") or ():
        if _text(choice):
            answer.pieces_ns.append(now)
    usage = chunk.get("usage")
    if isinstance(usage, dict):
        answer.tokens = int(usage.get("completion_tokens") or answer.tokens)
        answer.prompt_tokens = int(usage.get("prompt_tokens") or answer.prompt_tokens)


def _text(choice: dict[str, Any]) -> str:
    """The piece's text: completions have `text`, chats a `delta`, some reason beforehand."""
    delta = choice.get("delta") or {}
    found = choice.get("text") or delta.get("content") or delta.get("reasoning_content")
    return str(found or delta.get("reasoning") or "")


def _refusal(response: httpx2.Response) -> str:
    text = response.text.strip()
    try:
        told = json.loads(text)
        error = told.get("error", told) if isinstance(told, dict) else told
        text = str(error.get("message", error) if isinstance(error, dict) else error)
    except ValueError:
        pass
    return f"HTTP {response.status_code}: {text}"[:MOST_MESSAGE]
