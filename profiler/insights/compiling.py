"""Rules on what is compiled or planned, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterator

from profiler.insights.base import Insight, rule
from profiler.session import Session
from profiler.types import Compilation, EngineKind

# A call with a new size is worth a word where it takes so many times, and so much, longer.
NEW_SIZE_TIMES, NEW_SIZE_LEAST_NS = 5, 50_000_000
REMEDIES = {
    EngineKind.ORT: "Pad inputs to a few sizes and warm up each of them, or fix the dimension with "
    "free_dimensions.",
}


@rule
def graph_breaks(session: Session) -> Iterator[Insight]:
    """torch.compile could not take the model as one graph."""
    for label in session.ready:
        found = _compilation(session, label)
        if found.graph_breaks:
            times = "once" if found.graph_breaks == 1 else f"{found.graph_breaks} times"
            yield Insight(
                rule="graph_breaks",
                label=label,
                sentence=f"{session.name(label)} breaks the model's graph off {times}",
                evidence="; ".join(found.break_reasons) or session.ready[label].graph_note,
                remedy="Run it under TORCH_LOGS=graph_breaks to see where, and rewrite those "
                "lines.",
                share=0.1,
            )


@rule
def recompiles(session: Session) -> Iterator[Insight]:
    """torch.compile compiled the same code again, though the run's inputs stay the same."""
    for label in session.ready:
        found = _compilation(session, label)
        if found.recompiles:
            times = "once" if found.recompiles == 1 else f"{found.recompiles} times"
            yield Insight(
                rule="recompiles",
                label=label,
                sentence=f"{session.name(label)} compiled the model again {times} while its inputs "
                "stayed the same",
                evidence="; ".join(found.recompile_reasons),
                remedy="Keep what changes from call to call (counters, flags, caches) in tensors, "
                "out of the module's Python attributes.",
                share=0.1,
            )


@rule
def new_size_is_slow(session: Session) -> Iterator[Insight]:
    """The model has a dynamic dimension, and the engine plans anew for each size of it."""
    for label, tried in session.new_sizes.items():
        times = tried.first_ns / max(tried.later_ns, 1)
        slow = times >= NEW_SIZE_TIMES and tried.first_ns - tried.later_ns >= NEW_SIZE_LEAST_NS
        if slow and times > _spikes(session, label):
            remedy = REMEDIES.get(
                session.spec(label).engine, "Pad inputs to a few sizes and warm up each of them."
            )
            yield Insight(
                rule="new_size_is_slow",
                label=label,
                sentence=f"{session.name(label)} plans anew when {tried.dimension} changes: that "
                f"call takes {times:.0f} times as long",
                evidence=f"the first call with {tried.dimension} = {tried.new_size} after "
                f"{tried.size} took {tried.first_ns / 1e6:.4g} ms, the next ones "
                f"{tried.later_ns / 1e6:.4g} ms",
                remedy=remedy,
                share=0.0,
            )


def _spikes(session: Session, label: str) -> float:
    """How many times as long as usual the slowest of 100 calls takes, with no new size at all."""
    stats = session.latency_stats(label)
    return stats.p99_ns / stats.p50_ns if stats else 1.0


def _compilation(session: Session, label: str) -> Compilation:
    """As examined; of a session without that, as the note on its graph says."""
    if session.spec(label).engine is not EngineKind.TORCH_COMPILE:
        return Compilation()
    examined = session.examined.get(label)
    if examined is not None and examined.compilation is not None:
        return examined.compilation
    found = re.search(r"\((\d+) graph breaks?\)", session.ready[label].graph_note)
    return Compilation(graph_breaks=int(found[1]) if found else 0)
