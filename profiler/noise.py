"""What disturbed a round, and which rounds are set aside: pure functions over events."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from msgspec import Struct

from profiler.types import (
    EngineSpec,
    ForeignProcesses,
    GpuSample,
    NoiseRule,
    OpTimings,
    Round,
    TelemetrySample,
)

# Telemetry comes ten times a second: a turn without a sample of its own has one this close.
NEAR_NS = 200_000_000
# NVML's reasons that aren't the card's normal state under load, as a power cap is.
GPU_DISTURBANCES = frozenset(
    {"hardware slowdown", "thermal slowdown", "hardware thermal slowdown", "power brake"}
)

# A machine is slow where all lanes take so much longer than in their quick rounds, in the mean, and
# each at least by the square root of that. Quick are a lane's first tenth of rounds, by latency.
SLOWER_BY, QUICK = 0.2, 0.1
SLOW = "every lane was slower: the machine was, by its clocks or by what shares its cores"


class Conditions(Struct, frozen=True, kw_only=True):
    """The machine during one turn; None where it doesn't tell."""

    cpu_freq_mhz: float | None = None
    sm_clock_mhz: int | None = None
    throttle_reasons: tuple[str, ...] = ()


def noise_rule(cpu_count: int) -> NoiseRule:
    """Half a core of other processes, at least 3 % of the machine; a fifth of one that a hypervisor
    took, at least 5 %: what ticks of 10 ms can tell apart in a turn.
    """
    cpus = max(cpu_count, 1)
    return NoiseRule(
        foreign_cpu_share=max(0.5 / cpus, 0.03),
        steal_share=max(0.2 / cpus, 0.05),
        slower_by=SLOWER_BY,
    )


def conditions(
    turn: Round | OpTimings, spec: EngineSpec, telemetry: Sequence[TelemetrySample]
) -> Conditions:
    """Readings of the telemetry samples in the turn, or the one nearest before its end."""
    end = bisect.bisect_right(telemetry, turn.time_ns, key=lambda sample: sample.time_ns)
    latencies = turn.latencies_ns if isinstance(turn, Round) else turn.traced_latencies_ns
    since = turn.time_ns - max(sum(latencies), NEAR_NS)
    start = bisect.bisect_left(telemetry, since, key=lambda sample: sample.time_ns)
    samples = telemetry[start:end]
    if not samples:
        return Conditions()
    gpus = [gpu for sample in samples if (gpu := _gpu_of(spec, sample)) is not None]
    frequencies = [s.cpu_freq_mhz for s in samples if s.cpu_freq_mhz is not None]
    clocks = [gpu.sm_clock_mhz for gpu in gpus if gpu.sm_clock_mhz is not None]
    reasons = {reason for gpu in gpus for reason in gpu.throttle_reasons}
    return Conditions(
        cpu_freq_mhz=min(frequencies, default=None),
        sm_clock_mhz=min(clocks, default=None),
        throttle_reasons=tuple(sorted(reasons)),
    )


def _gpu_of(spec: EngineSpec, sample: TelemetrySample) -> GpuSample | None:
    kind, _, index = spec.device.partition(":")
    if kind != "cuda":
        return None
    return next((gpu for gpu in sample.gpus if str(gpu.index) == (index or "0")), None)


def disturbance(turn: Round | OpTimings, found: Conditions, rule: NoiseRule) -> str:
    """Why the timed or traced round is set aside, in words; "" when it isn't."""
    if turn.foreign_cpu_share > rule.foreign_cpu_share:
        return f"other processes took {turn.foreign_cpu_share:.0%} of the CPU"
    if turn.steal_share > rule.steal_share:
        return f"the hypervisor took {turn.steal_share:.0%} of the CPU"
    throttled = [reason for reason in found.throttle_reasons if reason in GPU_DISTURBANCES]
    return f"the GPU was held down: {', '.join(throttled)}" if throttled else ""


def slow_rounds(
    medians: Mapping[str, Mapping[int, float]],
    rule: NoiseRule,
    launches: Mapping[int, int] | None = None,
) -> frozenset[int]:
    """Rounds in which the machine itself was slower, by the rule; `medians` as a lane's label has.

    What shares a core with a virtual machine, or holds clocks down, can't be seen from inside: no
    process takes the time. All lanes feel it at once, though not alike, which makes ratios wrong. A
    lane that is slower alone is not the machine's doing, and stays. A launch that was slow for the
    most part stays whole: that its lanes are compared on a slow machine is worth more than that
    they are not. `launches` tells each round's, by index (default: all are of one).
    """
    if rule.slower_by is None or len(medians) < 2:
        return frozenset()
    excess: dict[int, list[float]] = defaultdict(list)
    for values in medians.values():
        quick = float(np.quantile(list(values.values()), QUICK)) if values else 1.0
        for index, value in values.items():
            excess[index].append(math.log(value / quick))
    limit = math.log1p(rule.slower_by)
    slow = frozenset(
        index
        for index, found in excess.items()
        if len(found) > 1 and min(found) >= limit / 2 and sum(found) >= limit * len(found)
    )
    of_launch: dict[int, list[int]] = defaultdict(list)
    for index in excess:
        of_launch[launches.get(index, 0) if launches else 0].append(index)
    mostly = [
        rounds
        for rounds in of_launch.values()
        if mostly_disturbed(len(slow.intersection(rounds)), len(rounds))
    ]
    return slow.difference(*mostly)


def mostly_disturbed(disturbed: int, rounds: int) -> bool:
    """More than half of the rounds: then the load is this machine's state, and none is left out."""
    return rounds > 0 and disturbed * 2 > rounds


def busiest(looks: Iterable[ForeignProcesses]) -> str:
    """Name of the process that took most CPU time over all looks; "" when none was seen."""
    totals: dict[str, int] = defaultdict(int)
    for look in looks:
        for process in look.processes:
            totals[process.name] += process.cpu_ns
    return max(totals, key=lambda name: totals[name], default="")
