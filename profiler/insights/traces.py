"""Rules on whether a lane's operator times can be believed; all others rest on them."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.insights.base import Insight, rule
from profiler.noise import busiest
from profiler.session import Session

# All operator times are concerned, so these are told first.
EVERYTHING = 1.0


@rule
def disturbed_traces(session: Session) -> Iterator[Insight]:
    """Every traced round of a lane was disturbed."""
    for label in session.labels():
        figures = session.trace_figures(label)
        if figures is None or not figures.disturbance:
            continue
        who = busiest(session.foreign)
        yield Insight(
            rule="disturbed_traces",
            label=label,
            sentence=f"Operator times of {session.name(label)} come from disturbed calls",
            evidence=f"{figures.doubt}; {figures.against_timed}"
            f"{f'; most of the CPU went to {who}' if who else ''}",
            remedy="Profile again when the machine is idle, or longer: one undisturbed traced "
            "round is enough, and then the others don't count.",
            share=EVERYTHING,
        )


@rule
def traced_unlike_timed(session: Session) -> Iterator[Insight]:
    """Traced calls are faster than timed ones, or slower by more than tracing costs."""
    for label in session.labels():
        figures = session.trace_figures(label)
        if figures is None or figures.disturbance or not figures.unlike_timed:
            continue
        yield Insight(
            rule="traced_unlike_timed",
            label=label,
            sentence=f"Operator times of {session.name(label)} are not those of its timed calls: "
            f"{figures.doubt}",
            evidence=f"{figures.against_timed}; {figures.calls} operators a call",
            remedy="Profile again, longer and with nothing else running; where it stays, rely on "
            "the latencies, and on operators as shares at most.",
            share=EVERYTHING,
        )
