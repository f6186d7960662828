"""The HTML report: whole, self-contained, and deaf to what names in a model say."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import msgspec
import pytest

from profiler.exporters import formats
from profiler.session import Session
from profiler.types import AnyEvent, Event
from tests.sample_session import sample_events, session_of

HOSTILE = "<script>alert(1)</script>"
FREE_TEXT = {"environment", "graph_note", "hint", "message", "note", "notes", "path", "producer"}
VOID = {"meta", "circle", "line", "br", "img"}


class Page(HTMLParser):
    """Collects tags and text, and checks that tags are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def close(self) -> None:
        super().close()
        assert self._open == []


def render(session: Session) -> str:
    return formats()["html"].render(session)


def page(text: str) -> Page:
    parser = Page()
    parser.feed(text)
    parser.close()
    return parser


@pytest.fixture
def sample() -> Page:
    return page(render(session_of(sample_events())))


def test_it_says_what_was_found(sample: Page) -> None:
    for part in (
        "fast is 2.0× faster than base",
        "tiny.onnx",
        "No such operator. Update.",
        "1.5–2.7",
        "shapes differ",
        "float32",
        "a test",
        "moderated t",
        "conv",
        "66.7%",
    ):
        assert part in sample.text
    assert "svg" in sample.tags
    # A dot for each round, and one for the value inside that was compared.
    assert sample.tags.count("circle") == 24 + 1
    assert "First differs at head" in sample.text


def test_nothing_is_left_to_fill_in() -> None:
    assert re.findall(r"<!--[A-Z]+-->", render(session_of(sample_events()))) == []


def test_nothing_is_loaded_from_elsewhere(sample: Page) -> None:
    text = render(session_of(sample_events()))
    assert not re.search(r"(https?:)?//\w", text)
    assert not {"script", "img", "link", "iframe", "object"} & set(sample.tags)
    assert not {"src", "href"} & {name for name, _ in sample.attributes}
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in sample.attributes


def with_name(value: object, name: str, key: str = "") -> object:
    """The same plain data, with the name at the end of every free text."""
    match value:
        case str() if key in FREE_TEXT:
            return f"{value} {name}"
        case dict():
            inside = "environment" if key == "environment" else ""
            return {k: with_name(v, name, inside or k) for k, v in value.items()}
        case list() | tuple():
            return [with_name(item, name, key) for item in value]
        case _:
            return value


def renamed(name: str) -> list[Event]:
    """The sample with the name wherever a file or a machine can put a text."""
    events = sample_events(base=f"1{name}", fast=f"2{name}", dead=f"3{name}", operator=name)
    plain = [with_name(msgspec.to_builtins(event), name) for event in events]
    return list(msgspec.convert(plain, list[AnyEvent]))


@pytest.mark.parametrize(
    "name", [HOSTILE, "<img src=x onerror=alert(1)>", "<!--METHOD-->", "</td></table>"]
)
def test_hostile_names_are_text(name: str) -> None:
    text = render(session_of(renamed(name)))
    found = page(text)
    assert name not in text
    assert found.text.count(name) >= 12
    assert not {"script", "img"} & set(found.tags)
    assert not any(key.startswith("on") for key, _ in found.attributes)


def test_quotes_do_not_leave_an_attribute() -> None:
    found = page(render(session_of(sample_events(base='" onclick="alert(1)'))))
    assert not any(key.startswith("on") for key, _ in found.attributes)


def test_an_empty_session_is_a_report() -> None:
    assert "Nothing was measured" in page(render(Session())).text


def test_a_run_that_only_started_is_a_report() -> None:
    found = page(render(session_of(sample_events()[:1])))
    assert "No latency was measured" in found.text
