"""Figures of a session that decisions rest on, beside p50 and speedup: pure functions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from profiler.lanes import callers
from profiler.session import Session
from profiler.stats import (
    launches_estimate,
    mean_ratio_interval,
    paired_by_launch,
    round_means,
)
from profiler.tails import percentile_interval
from profiler.types import Estimate, InputSpec, Round, RoundKind

BATCH_NAMES = re.compile(r"batch|^(b|n|bs)$", re.IGNORECASE)
TOKEN_NAMES = re.compile(r"ids|token", re.IGNORECASE)


class Energy(Struct, frozen=True, kw_only=True):
    """`power_w`: mean of `samples` readings in the lane's timed turns."""

    joules_per_call: float
    power_w: float
    samples: int


def timed(session: Session, label: str) -> list[Round]:
    """The lane's timed rounds that weren't set aside."""
    aside = session.set_aside()
    return [
        turn
        for turn in session.rounds.get(label, ())
        if turn.kind is RoundKind.TIMED and turn.index not in aside
    ]


def over_launches(session: Session, values: Mapping[int, float]) -> Estimate:
    """The median of rounds, averaged over launches, with a comparison's statistics.

    `values` by round; at least one.
    """
    launches: dict[int, list[float]] = defaultdict(list)
    for index, value in values.items():
        launches[session.launches[index]].append(value)
    return Estimate(*launches_estimate([np.array(v) for _, v in sorted(launches.items())]))


def call_ns(session: Session, label: str) -> float | None:
    """What one call takes of the machine's time; None where the lane wasn't measured.

    The mean latency of calls that come one after the other. Where several callers' calls overlap:
    what their turns took, over their calls.
    """
    stats = session.latency_stats(label)
    if stats is None:
        return None
    alone = callers(session.spec(label)) == 1
    return stats.mean_ns if alone else 1e9 / stats.throughput_per_s


def mean_ratio(session: Session, baseline: str, candidate: str) -> Estimate | None:
    """Baseline's over candidate's time per call; None where one of them wasn't measured."""
    times = call_ns(session, baseline), call_ns(session, candidate)
    if times[0] is None or times[1] is None:
        return None
    ratio = times[0] / times[1]
    pairs = paired_by_launch(
        round_means(timed(session, baseline)),
        round_means(timed(session, candidate)),
        launches=session.launches,
    )
    others = max(1, len(session.labels()) - 1)
    low, high = mean_ratio_interval(ratio, pairs, comparisons=others)
    return Estimate(ratio, low, high)


def p99(session: Session, label: str) -> Estimate | None:
    """The lane's p99 latency in ns; None where it wasn't measured."""
    stats = session.latency_stats(label)
    if stats is None:
        return None
    launches: dict[int, list[Round]] = defaultdict(list)
    for turn in timed(session, label):
        launches[turn.launch].append(turn)
    values = [
        [np.asarray(turn.latencies_ns, dtype=np.float64) for turn in turns]
        for _, turns in sorted(launches.items())
    ]
    low, high = percentile_interval(values, 0.99)
    return Estimate(stats.p99_ns, low, high)


def peak_memory(session: Session, label: str) -> Estimate | None:
    """Peak bytes: of GPU memory for a lane on a GPU, else of the whole process.

    The interval is from the smallest to the largest peak of a launch; None where nothing is known.
    """
    if session.spec(label).device != "cpu":
        used = session.device_memory_bytes(label)
        return None if used is None else Estimate(used, used, used)
    peaks: dict[int, int] = {}
    for turn in session.rounds.get(label, ()):
        peaks[turn.launch] = max(peaks.get(turn.launch, 0), turn.peak_rss_bytes)
    known = [float(peak) for peak in peaks.values() if peak]
    if not known:
        return None
    return Estimate(max(known), min(known), max(known))


def batch_size(inputs: Sequence[InputSpec]) -> int:
    """Samples in one call: the dimension called batch, else the first that all share, else 1.

    Inputs with fewer than two dimensions (a length, a rate) have no say.
    """
    for spec in inputs:
        for size, symbol in zip(spec.shape, spec.symbols, strict=False):
            if symbol and BATCH_NAMES.search(symbol):
                return max(1, size)
    first = {spec.shape[0] for spec in inputs if len(spec.shape) >= 2}
    return max(1, first.pop()) if len(first) == 1 else 1


def tokens_per_call(inputs: Sequence[InputSpec]) -> int | None:
    """Tokens that one call takes in: the size of the largest integer input of ids; None without."""
    sizes = [
        int(np.prod(spec.shape))
        for spec in inputs
        if "int" in spec.dtype and len(spec.shape) <= 2 and TOKEN_NAMES.search(spec.name)
    ]
    return max(sizes, default=None)


def gpu_name(session: Session, device: str) -> str:
    """NVML's name of `cuda:0`; "" for the CPU or where telemetry saw no GPU."""
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return ""
    for sample in session.telemetry:
        for gpu in sample.gpus:
            if str(gpu.index) == (index or "0"):
                return gpu.name
    return ""


def energy(session: Session, label: str) -> Energy | None:
    """What the lane's GPU takes for a call; None on a CPU, or where NVML tells no power.

    Mean power over the readings in the lane's timed turns, times its time per call.
    """
    kind, _, index = session.spec(label).device.partition(":")
    time_ns = call_ns(session, label)
    if kind != "cuda" or time_ns is None:
        return None
    spans = [
        (turn.time_ns - sum(turn.latencies_ns), turn.time_ns) for turn in timed(session, label)
    ]
    starts = np.array([start for start, _ in spans])
    ends = np.array([end for _, end in spans])
    readings = [
        gpu.power_mw / 1000
        for sample in session.telemetry
        for gpu in sample.gpus
        if gpu.index == int(index or 0)
        and gpu.power_mw is not None
        and bool(np.any((starts <= sample.time_ns) & (sample.time_ns <= ends)))
    ]
    if not readings:
        return None
    power_w = float(np.mean(readings))
    return Energy(joules_per_call=power_w * time_ns / 1e9, power_w=power_w, samples=len(readings))
