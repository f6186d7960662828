"""Rules on how lanes are set up and start."""

from __future__ import annotations

import re
from collections.abc import Iterator

from profiler.insights.base import Insight, rule
from profiler.session import Session
from profiler.types import EngineKind

# A first iteration that takes so many times the p50, and so long, is worth a word.
FIRST_TIMES, FIRST_LEAST_NS = 20, 200_000_000


@rule
def optimization_off(session: Session) -> Iterator[Insight]:
    """A lane was told not to optimize the graph."""
    for label in session.labels():
        spec = session.spec(label)
        level = spec.options.get("graph_optimization_level", "all")
        if spec.engine is EngineKind.ORT and level in ("disable", "basic"):
            yield Insight(
                rule="optimization_off",
                label=label,
                sentence=f"{session.name(label)} runs without most graph optimizations",
                evidence=f"graph_optimization_level is {level!r}",
                remedy="Set it to all, unless you want to see what optimizations bring.",
                share=0.2,
            )


@rule
def slow_first_iteration(session: Session) -> Iterator[Insight]:
    """The first call takes much longer than the others."""
    for label, ready in session.ready.items():
        stats = session.latency_stats(label)
        if stats is None or ready.first_iteration_ns < FIRST_LEAST_NS:
            continue
        times = ready.first_iteration_ns / stats.p50_ns
        if times >= FIRST_TIMES:
            yield Insight(
                rule="slow_first_iteration",
                label=label,
                sentence=f"The first iteration of {session.name(label)} takes {times:.0f} times "
                "its p50",
                evidence=f"{ready.first_iteration_ns / 1e6:.4g} ms against "
                f"{stats.p50_ns / 1e6:.4g} ms",
                remedy="Warm up before serving; where that is often, prefer a lane that starts "
                "faster.",
                share=0.0,
            )


@rule
def graph_breaks(session: Session) -> Iterator[Insight]:
    """torch.compile could not take the model as one graph."""
    for label, ready in session.ready.items():
        found = re.search(r"compiled into (\d+) graphs", ready.graph_note)
        if session.spec(label).engine is EngineKind.TORCH_COMPILE and found:
            yield Insight(
                rule="graph_breaks",
                label=label,
                sentence=f"{session.name(label)} is compiled in {found[1]} pieces",
                evidence=ready.graph_note,
                remedy="Run it under TORCH_LOGS=graph_breaks to see where, and rewrite those "
                "lines.",
                share=0.1,
            )


@rule
def too_many_threads(session: Session) -> Iterator[Insight]:
    """A lane has more threads than the machine has logical CPUs."""
    cpus = _logical_cpus(session)
    for label in session.labels():
        threads = int(session.spec(label).options.get("intra_op_threads", 0))
        if cpus and threads > cpus:
            yield Insight(
                rule="too_many_threads",
                label=label,
                sentence=f"{session.name(label)} has more threads than there are CPUs",
                evidence=f"{threads} threads within operators, {cpus} logical CPUs",
                remedy=f"Use at most {cpus}, or leave the option out.",
                share=0.1,
            )


def _logical_cpus(session: Session) -> int:
    found = re.search(r"(\d+) logical", session.environment.get("cores", ""))
    return int(found[1]) if found else 0
