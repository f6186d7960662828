"""Progress on a terminal and elsewhere, and the summary."""

from __future__ import annotations

import io

import pytest

from profiler.console import BAR_WIDTH, ProgressLine, printable, progress_text, summary
from profiler.session import Session
from profiler.types import Phase, Progress, RunFinished
from tests.sample_session import sample_events, session_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(phase: Phase, **more: object) -> Progress:
    return Progress(time_ns=1, phase=phase, **more)  # type: ignore[arg-type]


def screen(text: str) -> list[str]:
    """What a terminal shows after the text: `\\r\\x1b[K` clears the line."""
    return [line.rpartition("\r\x1b[K")[2] for line in text.split("\n")]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (progress(Phase.LOADING, detail="ort"), "loading ort"),
        (progress(Phase.CONVERTING), "converting"),
        (
            progress(
                Phase.MEASURING, fraction=0.5, round=12, interval_width=0.031, time_left_s=8.2
            ),
            f"measuring [{'#' * 12}{'-' * 12}] round 12, interval 3.1% of the ratio, "
            "8 s left at most",
        ),
        (progress(Phase.MEASURING, round=1), f"measuring [{'-' * BAR_WIDTH}] round 1"),
        (
            progress(Phase.MEASURING, fraction=1.0, round=1, interval_width=float("inf")),
            f"measuring [{'#' * BAR_WIDTH}] round 1",
        ),
    ],
)
def test_progress_in_words(event: Progress, text: str) -> None:
    assert progress_text(event) == text


def test_the_interval_stands_beside_its_target() -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    line.show(sample_events()[0])
    line.show(progress(Phase.MEASURING, round=3, interval_width=0.05, detail="launch 2"))
    assert screen(stream.getvalue()) == [
        f"measuring [{'-' * BAR_WIDTH}] round 3, launch 2, interval 5.0% of the ratio (target 2.0%)"
    ]


def test_a_terminal_shows_one_line_that_is_cleared_at_the_end() -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    for event in (progress(Phase.LOADING, detail="a"), progress(Phase.MEASURING, round=1)):
        line.show(event)
        assert screen(stream.getvalue()) == [progress_text(event)]
    line.show(progress(Phase.FINISHED))
    assert screen(stream.getvalue()) == [""]


def test_a_note_keeps_clear_of_the_bar() -> None:
    stream = Terminal()
    line = ProgressLine(stream)
    line.show(progress(Phase.MEASURING, round=1))
    line.note("lane x failed")
    line.note("")
    line.show(progress(Phase.MEASURING, round=2))
    assert screen(stream.getvalue()) == [
        "lane x failed",
        progress_text(progress(Phase.MEASURING, round=2)),
    ]


def test_elsewhere_each_phase_is_a_plain_line() -> None:
    stream = io.StringIO()
    line = ProgressLine(stream)
    for label in ("a", "b"):
        for _ in range(50):
            line.show(progress(Phase.WARMING_UP, detail=label))
    line.note("lane x failed")
    line.show(progress(Phase.FINISHED))
    assert stream.getvalue() == "warming up a\nwarming up b\nlane x failed\n"


def test_other_events_are_passed_over() -> None:
    stream = Terminal()
    ProgressLine(stream).show(RunFinished(time_ns=1, reason="precision"))
    assert stream.getvalue() == ""


def test_the_summary_has_the_verdict_and_a_line_a_lane() -> None:
    lines = summary(session_of(sample_events())).splitlines()
    assert "fast is 2.0× faster than base" in lines[0]
    assert lines[4].split() == ["base", "4", "4", "4", "250", "36"]
    assert lines[5].split() == ["fast", "2", "2", "2", "500", "36"]
    assert lines[6].split() == ["dead", "not", "measured"]
    assert lines[8].startswith(
        "base: load 1 ms, first iteration 2 ms, weights 0.0 MiB, peak 8192 MiB"
    )
    assert lines[10].startswith("Other processes took 12% of the CPU")
    assert "First differs at head" in lines[12]
    assert lines[13].startswith("Operator times of fast are not those of its timed calls: ")
    assert "outside of operators" in lines[14]
    assert lines[15] == "top operators of fast: conv (Conv) 67%, inner (Reorder) 33%"
    (traced,) = (line for line in lines if line.startswith("trace of fast"))
    assert traced.startswith("trace of fast: operators cover 57.7%, the engine's own time is ")
    assert "between operators" in traced
    assert traced.endswith("traced calls take 0.01x the time")
    assert lines[1].startswith("For latency: only fast is left to recommend")
    assert lines[1] in lines[16:]


def test_an_empty_session_has_a_summary() -> None:
    assert summary(Session()).startswith("Nothing was measured.")


def test_names_cannot_command_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\r\x9b31m名前"
    text = summary(session_of(sample_events(fast=hostile, operator=hostile)))
    assert all(character.isprintable() or character == "\n" for character in text)
    assert "名前" in text
    assert printable("a\x1b\nb") == "a\\x1b\\nb"
