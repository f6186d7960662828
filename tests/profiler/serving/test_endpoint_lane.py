"""Requests to a server: what is sent, what counts, what goes wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from profiler.errors import EngineError
from profiler.generation.plan import endpoint_source
from profiler.serving.endpoint_lane import EndpointLane
from profiler.types import EngineKind, EngineSpec, GenerationPlan, Load
from tests.scripted_server import chunk, scripted_server, words


def lane(url: str, **options: Any) -> EndpointLane:
    """Not loaded yet: 5 new tokens."""
    return EndpointLane(
        Load(
            spec=EngineSpec(
                label="server", engine=EngineKind.ENDPOINT, options={"url": url, **options}
            ),
            model=endpoint_source(),
            inputs=(),
            work_dir="",
            generation=GenerationPlan(prompt_tokens=12, new_tokens=5),
        )
    )


def test_a_stream_is_timed_piece_by_piece() -> None:
    with scripted_server(lambda _: (200, words(5))) as server:
        found = lane(server.url, concurrency=3)
        found.load()
        assert found.graph_note.startswith("model tiny at http://127.0.0.1")
        assert len(found.infer()) == 5
        done = found.generate(7)
        found.close()
    assert [len(steps) for steps in done.steps_ns] == [5] * 7
    assert done.tokens == () and done.errors == () and done.span_ns > 0
    assert len(server.bodies) == 8
    body = server.bodies[0]
    assert body["path"] == "/v1/completions" and body["model"] == "tiny" and body["stream"]
    assert body["max_tokens"] == 5 and body["temperature"] == 0
    assert len(body["prompt"].split()) == 12
    assert len({sent["prompt"] for sent in server.bodies}) == 8, "no prompt's cache serves another"
    assert not any("Authorization" in sent for sent in server.headers)


def test_the_servers_own_count_of_tokens() -> None:
    with scripted_server(
        lambda _: (200, words(3, completion_tokens=5, prompt_tokens=14))
    ) as server:
        found = lane(server.url, rate="500")
        found.load()
        done = found.generate(4)
        found.close()
    assert done.tokens == (5,) * 4 and done.prompt_tokens == (14,) * 4
    assert [len(steps) for steps in done.steps_ns] == [3] * 4
    assert list(done.starts_ns) == sorted(done.starts_ns)


def test_a_chat_and_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_KEY", "secret")
    lines = [
        "data: " + json.dumps({"choices": [{"delta": {"role": "assistant"}}]}),
        *("data: " + json.dumps({"choices": [{"delta": {"content": "a"}}]}) for _ in range(2)),
        "data: [DONE]",
    ]
    with scripted_server(lambda _: (200, lines)) as server:
        found = lane(server.url, api="chat", key_variable="TINY_KEY", served_model="other")
        found.load()
        assert len(found.infer()) == 2
        found.close()
    assert server.bodies[0]["path"] == "/v1/chat/completions"
    assert server.bodies[0]["model"] == "other"
    assert server.bodies[0]["messages"][0]["role"] == "user"
    assert server.headers[0]["Authorization"] == "Bearer secret"
    monkeypatch.delenv("TINY_KEY")
    with pytest.raises(EngineError, match="no variable TINY_KEY"):
        lane(server.url, key_variable="TINY_KEY")


def test_a_server_that_does_not_know_the_extras() -> None:
    """It gets the plain request from then on."""

    def answer(body: dict[str, Any]) -> tuple[int, list[str]]:
        if "ignore_eos" in body:
            return 422, ['{"detail": "unknown field ignore_eos"}']
        return 200, words(5)

    with scripted_server(answer) as server:
        found = lane(server.url)
        found.load()
        assert len(found.infer()) == 5
        assert len(found.generate(2).steps_ns) == 2
        found.close()
    assert ["ignore_eos" in body for body in server.bodies] == [True, False, False, False]


def test_requests_that_fail_are_counted() -> None:
    seen: list[int] = []

    def answer(_: dict[str, Any]) -> tuple[int, list[str]]:
        seen.append(1)
        match len(seen) % 5:
            case 1:
                return 503, ['{"error": {"message": "too busy"}}']
            case 2:
                return 200, [chunk(" a"), 'data: {"error": "out of memory"}']
            case 3:
                return 200, ["data: [DONE]"]
            case 4:
                return 200, [chunk(" a"), "data: no JSON"]
            case _:
                return 200, words(5)

    with scripted_server(answer) as server:
        found = lane(server.url)
        found.load()
        done = found.generate(10)
        found.close()
    assert [len(steps) for steps in done.steps_ns] == [5, 5]
    told = ("HTTP 503: too busy", "out of memory", "no text", "no JSON")
    assert [sum(text in error for error in done.errors) for text in told] == [2, 2, 2, 2]


def test_a_server_that_always_fails() -> None:
    with scripted_server(lambda _: (500, ["oops"])) as server:
        found = lane(server.url)
        found.load()
        with pytest.raises(EngineError, match="HTTP 500: oops"):
            found.infer()
        with pytest.raises(EngineError, match="All 3 requests"):
            found.generate(3)
        found.close()


def test_no_server_and_no_model() -> None:
    found = lane("http://127.0.0.1:9/v1")
    with pytest.raises(EngineError, match="no server"):
        found.load()
    found.close()
    with scripted_server(lambda _: (200, words(1)), models="[]") as server:
        found = lane(server.url)
        with pytest.raises(EngineError, match="names no model"):
            found.load()
        found.close()
