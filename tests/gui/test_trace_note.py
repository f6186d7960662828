"""Operator times that may be wrong are said to be, where they stand."""

from __future__ import annotations

import msgspec

from gui.main_window import MainWindow
from gui.views.trace_note import TraceNote
from profiler.types import Event, OpTimings, Round
from tests.sample_session import sample_events, session_of

MS = 1_000_000


def traced(foreign: float) -> list[Event]:
    """The sample's run, with calls of 2 ms in both lanes, timed and traced."""
    return [_changed(event, foreign) for event in sample_events()]


def _changed(event: Event, foreign: float) -> Event:
    if isinstance(event, Round):
        return msgspec.structs.replace(event, latencies_ns=(2 * MS,) * 3)
    if isinstance(event, OpTimings):
        latencies = (2 * MS,) * event.iterations
        return msgspec.structs.replace(
            event, traced_latencies_ns=latencies, foreign_cpu_share=foreign
        )
    return event


def test_a_doubt_stands_at_the_graphs_legend_while_it_colours_those_times(
    window: MainWindow,
) -> None:
    graph = window.graph
    window.session_model.show(session_of(traced(0.6)), None)
    assert not graph.note.isVisible(), "colours by op type show no times"
    graph.colour.setCurrentText("time of fast")
    assert graph.note.isVisible()
    assert graph.note.text().startswith("Times in doubt – fast: operators were traced while")
    graph.colour.setCurrentText("time of base")
    assert "fast" not in graph.note.text()
    graph.colour.setCurrentText("fast − base")
    assert "fast" in graph.note.text()
    window.session_model.show(session_of(traced(0.1)), None)
    assert not graph.note.isVisible()


def test_a_doubt_stands_above_the_operators_and_among_the_reasons(window: MainWindow) -> None:
    (note,) = window.operators.findChildren(TraceNote)
    window.tabs.setCurrentWidget(window.operators)
    window.session_model.show(session_of(traced(0.6)), None)
    assert note.isVisible()
    assert note.text() == (
        "Times in doubt – fast: operators were traced while other processes took 60% of the CPU."
    )
    assert "Operator times of fast come from disturbed calls" in window.why.insights.text()
    window.session_model.show(session_of(traced(0.1)), None)
    assert not note.isVisible()
    assert "disturbed" not in window.why.insights.text()
