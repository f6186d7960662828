"""Rules on how the processes of one lane differ, and on memory that is given back between calls."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from profiler.freed_memory import VARIABLES, can_keep
from profiler.insights.base import Insight, rule
from profiler.processes import Process, judged_processes
from profiler.session import Session
from profiler.types import EngineKind

# A process is slow from so much above the usual on; fewer processes than this have no usual.
SLOW_FROM, LEAST_PROCESSES = 1.08, 4
# What a page fault takes at the least, and from which share of the latency on that matters.
FAULT_NS, FAULTS_FROM = 500, 0.05


@rule
def slow_processes(session: Session) -> Iterator[Insight]:
    """Some processes of a lane are slower as a whole than its others, where other lanes' aren't."""
    found = {label: judged_processes(session, label) for label in session.labels()}
    usual = {
        label: statistics.median(process.p50_ns for process in own)
        for label, own in found.items()
        if len(own) >= LEAST_PROCESSES
    }
    for label, usual_ns in usual.items():
        slow = []
        for process in found[label]:
            others = [
                other.p50_ns / usual[name]
                for name in usual
                for other in found[name]
                if name != label and other.launch == process.launch
            ]
            if process.p50_ns / usual_ns >= SLOW_FROM * max(1.0, min(others, default=1.0)):
                slow.append(process)
        if slow and 2 * len(slow) < len(found[label]):
            yield _slow(session, label, found[label], slow, usual_ns)


def _slow(
    session: Session,
    label: str,
    every: Sequence[Process],
    slow: Sequence[Process],
    usual_ns: float,
) -> Insight:
    worst = max(slow, key=lambda process: process.p50_ns)
    count, whole = len(slow), len(every)
    evidence = (
        f"p50 {worst.p50_ns / 1e6:.4g} ms in launch {worst.launch + 1}, "
        f"{usual_ns / 1e6:.4g} ms in the median launch"
    )
    usual_faults = statistics.median(process.faults for process in every)
    by_faults = (worst.faults - usual_faults) * FAULT_NS >= FAULTS_FROM * usual_ns
    if by_faults:
        evidence += f"; {worst.faults:,.0f} page faults a call against {usual_faults:,.0f}"
    remedy = (
        _keep(session, label)
        if by_faults
        else "A deployment's processes differ as these do: start one again that is slow from its "
        "beginning. The verdict is about the usual ones."
    )
    return Insight(
        rule="slow_processes",
        label=label,
        sentence=f"{count} of {whole} processes of {session.name(label)} "
        f"{'was' if count == 1 else 'were'} slower as a whole, by up to "
        f"{worst.p50_ns / usual_ns - 1:.0%}",
        evidence=evidence,
        remedy=remedy,
        share=count / whole * (1 - usual_ns / worst.p50_ns),
    )


@rule
def memory_given_back(session: Session) -> Iterator[Insight]:
    """A lane's calls take memory anew from the system, page by page."""
    for label in session.labels():
        own = judged_processes(session, label)
        if not own or session.spec(label).device != "cpu":
            continue
        faults = statistics.median(process.faults for process in own)
        p50_ns = statistics.median(process.p50_ns for process in own)
        share = faults * FAULT_NS / p50_ns
        if share >= FAULTS_FROM:
            yield Insight(
                rule="memory_given_back",
                label=label,
                sentence=f"{session.name(label)} gives freed memory back to the system and takes "
                "it again in each call",
                evidence=f"{faults:,.0f} page faults a call, each of which takes half a "
                f"microsecond or more: at least {min(share, 1.0):.0%} of the latency",
                remedy=_keep(session, label),
                share=min(share, 1.0),
            )


def _keep(session: Session, label: str) -> str:
    spec = session.spec(label)
    if spec.engine is EngineKind.ORT:
        return "Leave its memory arena on (memory_arena=true), so that freed memory is kept."
    if spec.options.get("keep_memory"):
        return "Its memory is kept already: look for what the model allocates outside of PyTorch."
    if not can_keep():
        return "Use an allocator that keeps freed memory, such as mimalloc or jemalloc."
    return (
        "Have the C library keep freed memory: keep_memory=true as an option of the lane, "
        f"{VARIABLES} in a deployment's environment, or an allocator such as jemalloc."
    )
