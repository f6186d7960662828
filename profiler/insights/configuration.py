"""Rules on how lanes are set up and start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from profiler.insights.base import Insight, rule, share_of
from profiler.insights.machine import logical_cpus, physical_cores
from profiler.lanes import callers
from profiler.session import Session
from profiler.types import EngineKind, OperatorRow, ThreadUse

# A first iteration that takes so many times the p50, and so long, is worth a word.
FIRST_TIMES, FIRST_LEAST_NS = 20, 200_000_000
# Operators from this size on gain from threads; from this share of the time on they matter.
LARGE_FLOPS, LARGE_FROM = 10_000_000, 0.5


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
def too_many_threads(session: Session) -> Iterator[Insight]:
    """A lane has more threads than CPUs to run them on."""
    cpus = logical_cpus(session)
    for label in session.labels():
        threads, _ = _threads(session, label)
        if cpus and threads > cpus:
            waits = _waiting_share(session.operators(label))
            waited = f"; the calling thread waits in {waits:.0%} of it" if waits is not None else ""
            yield Insight(
                rule="too_many_threads",
                label=label,
                sentence=f"{session.name(label)} has more threads than there are CPUs for it",
                evidence=f"{threads} threads within operators, {cpus} logical CPUs{waited}",
                remedy=f"Use at most {cpus} (intra_op_threads, OMP_NUM_THREADS), or leave the "
                "option out.",
                share=0.1,
            )


@rule
def too_few_threads(session: Session) -> Iterator[Insight]:
    """A lane leaves half of the cores or more unused, and has operators large enough for them."""
    cores = physical_cores(session)
    for label in session.labels():
        threads, use = _threads(session, label)
        # Callers side by side have a core each.
        threads *= callers(session.spec(label))
        if use is None or session.spec(label).device != "cpu" or 2 * threads > cores:
            continue
        rows = session.operators(label)
        share = share_of(rows, lambda row: (row.flops or 0) / max(row.calls, 1) >= LARGE_FLOPS)
        if share >= LARGE_FROM:
            yield Insight(
                rule="too_few_threads",
                label=label,
                sentence=f"{session.name(label)} uses {threads} of {cores} cores",
                evidence=f"{share:.0%} of its operator time is in operators of 10 million FLOPs or "
                "more, which threads could share",
                remedy=f"Use {cores} threads (intra_op_threads, OMP_NUM_THREADS), or leave the "
                "option out.",
                share=share * (1 - threads / cores),
            )


def _threads(session: Session, label: str) -> tuple[int, ThreadUse | None]:
    """Threads within operators, as the engine tells; before it was traced, as the lane asks for."""
    examined = session.examined.get(label)
    if examined is not None and examined.threads is not None:
        return examined.threads.threads, examined.threads
    return int(session.spec(label).options.get("intra_op_threads", 0)), None


def _waiting_share(rows: Sequence[OperatorRow]) -> float | None:
    """The calling thread's wait for others over operator time; None where no engine tells it."""
    whole_ns = sum(row.traced_ns for row in rows)
    if not whole_ns or not any(row.threads for row in rows):
        return None
    return min(1.0, sum(row.wait_ns for row in rows) / whole_ns)
