"""Which rounds are set aside, and why."""

from __future__ import annotations

from typing import Any

import pytest

from profiler.noise import (
    Conditions,
    busiest,
    conditions,
    disturbance,
    mostly_disturbed,
    noise_rule,
    slow_rounds,
)
from profiler.types import (
    EngineKind,
    EngineSpec,
    ForeignProcess,
    ForeignProcesses,
    GpuSample,
    NoiseRule,
    OpTimings,
    Round,
    RoundKind,
    TelemetrySample,
)

SECOND = 1_000_000_000
ON_CPU = EngineSpec(label="a", engine=EngineKind.ORT)
ON_GPU = EngineSpec(label="a", engine=EngineKind.ORT, device="cuda:1")


def turn(foreign: float = 0.0, steal: float = 0.0, length_ns: int = SECOND) -> Round:
    """A turn that ends at ten seconds."""
    return Round(
        time_ns=10 * SECOND,
        label="a",
        index=0,
        kind=RoundKind.TIMED,
        started_ns=0,
        latencies_ns=(length_ns,),
        foreign_cpu_share=foreign,
        steal_share=steal,
    )


def sample(at_s: float, freq: float | None = None, **gpu: Any) -> TelemetrySample:
    """Two GPUs, of which the first is always slowed down."""
    slow = GpuSample(index=0, name="slow", sm_clock_mhz=100, throttle_reasons=("power brake",))
    second = GpuSample(index=1, name="second", **gpu)
    return TelemetrySample(
        time_ns=int(at_s * SECOND),
        cpu_pct=0.0,
        memory_used_bytes=0,
        memory_total_bytes=0,
        cpu_freq_mhz=freq,
        gpus=(slow, second),
    )


@pytest.mark.parametrize(
    ("cores", "share", "steal"),
    [(1, 0.5, 0.2), (2, 0.25, 0.1), (8, 0.0625, 0.05), (64, 0.03, 0.05)],
)
def test_parts_of_a_core_are_the_limit_until_ticks_are_too_coarse(
    cores: int, share: float, steal: float
) -> None:
    rule = noise_rule(cores)
    assert (rule.foreign_cpu_share, rule.steal_share) == (share, steal)


@pytest.mark.parametrize(
    ("found", "throttled", "reason"),
    [
        (turn(), (), ""),
        (turn(foreign=0.25, steal=0.05), (), ""),
        (turn(foreign=0.26), (), "other processes took 26% of the CPU"),
        (turn(steal=0.06), (), "the hypervisor took 6% of the CPU"),
        (turn(), ("power cap",), ""),
        (turn(), ("power cap", "thermal slowdown"), "the GPU was held down: thermal slowdown"),
    ],
)
def test_the_rule(found: Round, throttled: tuple[str, ...], reason: str) -> None:
    now = Conditions(throttle_reasons=throttled)
    assert disturbance(found, now, NoiseRule()) == reason


def test_a_traced_round_goes_by_the_same_rule() -> None:
    traced = OpTimings(
        time_ns=10 * SECOND,
        label="a",
        round=0,
        iterations=1,
        traced_latencies_ns=(SECOND,),
        ops=(),
        foreign_cpu_share=0.3,
    )
    assert disturbance(traced, Conditions(), NoiseRule()).startswith("other processes took 30%")
    samples = [sample(9.1, 3000.0), sample(9.9, 2500.0)]
    assert conditions(traced, ON_CPU, samples) == Conditions(cpu_freq_mhz=2500.0)


def test_conditions_come_from_the_samples_within_the_turn() -> None:
    samples = [
        sample(8.9, 1000.0, sm_clock_mhz=1, throttle_reasons=("thermal slowdown",)),
        sample(9.1, 3000.0, sm_clock_mhz=1900),
        sample(9.9, 2500.0, sm_clock_mhz=1800, throttle_reasons=("power cap",)),
        sample(10.1, 500.0, sm_clock_mhz=2),
    ]
    found = conditions(turn(), ON_GPU, samples)
    assert found == Conditions(
        cpu_freq_mhz=2500.0, sm_clock_mhz=1800, throttle_reasons=("power cap",)
    )
    # A lane on the CPU has no part in what a GPU does.
    assert conditions(turn(), ON_CPU, samples) == Conditions(cpu_freq_mhz=2500.0)


def test_a_short_turn_takes_the_sample_just_before_it() -> None:
    short = turn(length_ns=1_000_000)
    assert conditions(short, ON_CPU, [sample(9.85, 2000.0)]).cpu_freq_mhz == 2000.0
    assert conditions(short, ON_CPU, [sample(9.5, 2000.0)]) == Conditions()
    assert conditions(short, ON_CPU, []) == Conditions()


@pytest.mark.parametrize(
    ("disturbed", "rounds", "mostly"), [(0, 0, False), (5, 10, False), (6, 10, True), (1, 1, True)]
)
def test_more_than_half_is_mostly(disturbed: int, rounds: int, mostly: bool) -> None:
    assert mostly_disturbed(disturbed, rounds) is mostly


def lanes(*factors: float, of: tuple[str, ...] = ("a", "b")) -> dict[str, dict[int, float]]:
    """Round medians of two lanes, 1 ms and 3 ms in quick rounds; `of` the lanes that are slower."""
    return {
        label: {
            index: quick * (factor if label in of else 1.0) for index, factor in enumerate(factors)
        }
        for label, quick in (("a", 1e6), ("b", 3e6))
    }


RULE = NoiseRule(slower_by=0.2)


def test_rounds_in_which_all_lanes_are_slower_are_the_machines() -> None:
    assert slow_rounds(lanes(1.0, 1.02, 1.8, 1.3, 1.05, 1.1), RULE) == {2, 3}


def test_a_lane_that_is_slower_alone_is_not_the_machines_doing() -> None:
    assert slow_rounds(lanes(1.0, 1.0, 3.0, 3.0, of=("a",)), RULE) == frozenset()


def test_lanes_may_feel_a_slow_machine_unequally() -> None:
    found = lanes(1.0, 1.0, 1.0, 1.12)
    found["b"][3] = 3e6 * 1.6
    assert slow_rounds(found, RULE) == {3}


def test_a_launch_that_was_slow_for_the_most_part_stays_whole() -> None:
    assert slow_rounds(lanes(1.0, 1.0, 1.8, 1.8), RULE) == {2, 3}
    assert slow_rounds(lanes(1.0, 1.8, 1.8), RULE) == frozenset()
    found = lanes(1.0, 1.0, 1.8, 1.8, 1.8, 1.0)
    assert slow_rounds(found, RULE, dict.fromkeys(range(6), 0)) == {2, 3, 4}
    assert slow_rounds(found, RULE, {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1}) == {2}


def test_a_lane_that_failed_or_is_alone_tells_nothing_of_the_machine() -> None:
    alone = {"a": lanes(1.0, 1.8, 1.0)["a"]}
    assert slow_rounds(alone, RULE) == frozenset()
    assert slow_rounds(alone | {"b": {0: 3e6}}, RULE) == frozenset()


def test_a_session_of_before_is_read_by_its_own_rule() -> None:
    assert slow_rounds(lanes(1.0, 1.8, 1.0), NoiseRule()) == frozenset()
    assert noise_rule(8).slower_by == 0.2


def look(**cpu_ns: int) -> ForeignProcesses:
    processes = tuple(
        ForeignProcess(name=name, pid=number, cpu_ns=value)
        for number, (name, value) in enumerate(cpu_ns.items())
    )
    return ForeignProcesses(time_ns=0, round=0, processes=processes)


def test_the_busiest_process_is_that_of_all_looks_together() -> None:
    assert busiest([look(backup=5, chrome=4), look(chrome=3)]) == "chrome"
    assert busiest([]) == ""
