"""Rules on how full a device is, and what limits the operators on it."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from profiler.insights.base import Insight, rule
from profiler.insights.machine import physical_cores
from profiler.lanes import callers
from profiler.roofline import Bound
from profiler.session import Session
from profiler.types import EngineKind, OperatorRow, RoundKind

# Share of the time between first and last kernel in which none runs.
IDLE_FROM = 0.3
# A device is wide from so many cores on; its use is low below these shares.
WIDE_FROM_CORES = 8
LOW_UTILIZATION_PCT, LOW_CEILING_SHARE = 60.0, 0.25
# Shares of operator time, and of the ceiling, from which on operators are told by what limits them.
BOUND_FROM, NEAR_CEILING = 0.5, 0.6
GRAPH_REMEDIES = {
    EngineKind.ORT: "Turn on CUDA graphs (the CUDA provider's enable_cuda_graph, with bound inputs "
    "and fixed shapes), or use a larger batch.",
    EngineKind.TORCH_COMPILE: "Use mode=reduce-overhead, which replays CUDA graphs, or a larger "
    "batch.",
}


@rule
def idle_gpu(session: Session) -> Iterator[Insight]:
    """The GPU waits for launches between kernels."""
    for label, examined in session.examined.items():
        use = examined.kernels
        if use is None or use.span_ns <= 0:
            continue
        idle = 1 - use.busy_ns / use.span_ns
        if idle >= IDLE_FROM:
            yield Insight(
                rule="idle_gpu",
                label=label,
                sentence=f"The GPU is idle for {idle:.0%} of the time between the kernels of "
                f"{session.name(label)}: it waits for launches",
                evidence=f"{use.kernels} kernels, {use.busy_ns / max(use.kernels, 1) / 1e3:.3g} µs "
                f"each on average, in {use.span_ns / 1e6:.3g} ms",
                remedy=GRAPH_REMEDIES.get(
                    session.spec(label).engine,
                    "Capture the call in a CUDA graph (torch-compile with mode=reduce-overhead "
                    "does), or use a larger batch.",
                ),
                share=idle,
            )


@rule
def batch_of_one(session: Session) -> Iterator[Insight]:
    """One sample a call leaves most of a wide device unused, and the model would take more."""
    if session.plan is None or not session.plan.inputs:
        return
    firsts = [(s.symbols[:1], s.shape[0]) for s in session.plan.inputs if s.shape]
    dynamic = {symbols[0] for symbols, size in firsts if symbols and symbols[0] and size == 1}
    if not firsts or any(size != 1 for _, size in firsts) or not dynamic:
        return
    for label in session.labels():
        use = _low_use(session, label) if callers(session.spec(label)) == 1 else ""
        if use:
            yield Insight(
                rule="batch_of_one",
                label=label,
                sentence=f"{session.name(label)} runs one sample at a time on a device that could "
                "run many",
                evidence=use,
                remedy="Collect samples into a batch where latency allows it; the first dimension "
                f"({', '.join(sorted(str(d) for d in dynamic))}) is dynamic.",
                share=0.1,
            )


@rule
def memory_bound(session: Session) -> Iterator[Insight]:
    """Most operator time goes to moving bytes nearly as fast as the engine does at all."""
    yield from _bound(
        session,
        Bound.MEMORY,
        "memory-bound operators: faster arithmetic would not help them",
        "Fuse chains of elementwise operators (torch.compile, graph optimization level all), use a "
        "smaller dtype, or quantize weights.",
    )


@rule
def compute_bound(session: Session) -> Iterator[Insight]:
    """Most operator time goes to arithmetic nearly as fast as the engine does at all."""
    yield from _bound(
        session,
        Bound.COMPUTE,
        "arithmetic near the measured ceiling",
        "Only less or narrower arithmetic is faster: a smaller model, int8 or bfloat16 where the "
        "CPU has instructions for it, or a GPU.",
    )


def _bound(session: Session, bound: Bound, spent_on: str, remedy: str) -> Iterator[Insight]:
    """Of lanes whose operators mostly come near to that limit."""
    for label in session.labels():
        rows, share = _bound_rows(session, label, bound)
        if share >= BOUND_FROM:
            yield Insight(
                rule=f"{bound.name.lower()}_bound",
                label=label,
                sentence=f"{session.name(label)} spends {share:.0%} of its operator time on "
                f"{spent_on}",
                evidence=_rates(session, rows),
                remedy=remedy,
                share=share,
            )


def _bound_rows(session: Session, label: str, bound: Bound) -> tuple[list[OperatorRow], float]:
    """The lane's operators that come near to that limit, and their share of time."""
    found = []
    for row in session.operators(label):
        figures = session.roofline(row)
        if figures.bound is bound and (figures.ceiling_share or 0.0) >= NEAR_CEILING:
            found.append(row)
    return found, sum(row.share for row in found)


def _rates(session: Session, rows: list[OperatorRow]) -> str:
    parts = []
    for row in rows[:3]:
        figures = session.roofline(row)
        parts.append(
            f"{row.name} ({row.op_type}) {row.share:.0%}: "
            f"{(figures.flops_per_s or 0) / 1e9:.3g} GFLOP/s, "
            f"{(figures.bytes_per_s or 0) / 1e9:.3g} GB/s, "
            f"{figures.intensity or 0:.2g} FLOPs a byte"
        )
    ceiling = session.ceiling(rows[0].label)
    limits = (
        f"; measured ceilings {ceiling.flops_per_s / 1e9:.3g} GFLOP/s and "
        f"{ceiling.bytes_per_s / 1e9:.3g} GB/s"
        if ceiling
        else ""
    )
    return "; ".join(parts) + limits


def _low_use(session: Session, label: str) -> str:
    """Words on how little of a wide device is used; empty where it isn't wide, or well used."""
    device = session.spec(label).device
    if device != "cpu":
        used = _utilization_pct(session, label, int(device.partition(":")[2] or 0))
        return (
            f"GPU utilization {used:.0f} %"
            if used is not None and used < LOW_UTILIZATION_PCT
            else ""
        )
    cores = physical_cores(session)
    ceiling, stats = session.ceiling(label), session.latency_stats(label)
    if cores < WIDE_FROM_CORES or ceiling is None or stats is None:
        return ""
    flops = sum(row.flops or 0.0 for row in session.operators(label))
    share = flops / (stats.p50_ns / 1e9) / ceiling.flops_per_s
    if not flops or share >= LOW_CEILING_SHARE:
        return ""
    return (
        f"{cores} cores; {flops / stats.p50_ns:.3g} GFLOP/s of "
        f"{ceiling.flops_per_s / 1e9:.3g}, the measured ceiling"
    )


def _utilization_pct(session: Session, label: str, index: int) -> float | None:
    """Mean of NVML's samples in the lane's timed turns."""
    turns = [
        (turn.time_ns - sum(turn.latencies_ns), turn.time_ns)
        for turn in session.rounds.get(label, ())
        if turn.kind is RoundKind.TIMED
    ]
    found = [
        gpu.gpu_utilization_pct
        for sample in session.telemetry
        if any(start <= sample.time_ns <= end for start, end in turns)
        for gpu in sample.gpus
        if gpu.index == index and gpu.gpu_utilization_pct is not None
    ]
    return fmean(found) if found else None
