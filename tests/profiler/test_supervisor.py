"""The order of a run, its end, and lanes that fail, with scripted engines."""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from profiler import lane, lane_group, lane_sizes, lane_tracing, supervisor
from profiler.errors import PlanError
from profiler.session import Session
from profiler.types import (
    Event,
    Failed,
    InputSpec,
    LaunchedAgain,
    Phase,
    Progress,
    RoundKind,
    RunFinished,
    RunStarted,
    TelemetrySample,
    Verdict,
)
from tests.scripted_engine import (
    Clock,
    Script,
    ScriptedLoad,
    ScriptedProcess,
    ScriptedTable,
    scripted,
    scripted_plan,
)

Journal = list[tuple[str, str]]
Runner = Callable[..., tuple[list[Event], Session]]


DYNAMIC = (InputSpec(name="x", dtype="float32", shape=(1, 8), symbols=("batch", None)),)


@pytest.fixture
def journal() -> Journal:
    return []


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, journal: Journal) -> Runner:
    def run_plan(
        scripts: dict[str, Script],
        inputs: tuple[InputSpec, ...] = (),
        new_size: bool = True,
        cancelled: Callable[[], bool] = lambda: False,
        foreign: Iterable[float] = (),
        end_s: float = math.inf,
        traced_share: float = 0.2,
        **stopping: float,
    ) -> tuple[list[Event], Session]:
        clock, shares = Clock(), itertools.chain(foreign, itertools.repeat(0.0))
        monkeypatch.setattr(lane, "EngineProcess", scripted(scripts, journal, clock))
        monkeypatch.setattr(lane_group, "ForeignLoad", lambda: ScriptedLoad(shares))
        monkeypatch.setattr(supervisor, "ProcessTable", ScriptedTable)
        session = Session()
        events = []
        made = scripted_plan(*scripts, **stopping)
        made = msgspec.structs.replace(
            made, inputs=inputs, new_size=new_size, traced_share=traced_share
        )
        for event in supervisor.run(made, cancelled=cancelled, clock=clock, end_s=end_s):
            session.apply(event)
            events.append(event)
        return events, session

    return run_plan


def steady(latency_ns: int, **more: Any) -> Script:
    return Script(latencies_ns=itertools.repeat(latency_ns), **more)


def test_stops_on_precision_with_the_exact_ratio(run: Runner) -> None:
    events, session = run({"base": steady(3_000_000), "fast": steady(2_000_000)})
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "precision"
    (comparison,) = session.comparisons()
    assert comparison.speedup == pytest.approx(1.5)
    assert comparison.verdict is Verdict.FASTER
    # One launch alone never is precise enough: these seven agree.
    assert comparison.launches == 7


def test_turns_are_interleaved_and_their_order_is_shuffled(run: Runner, journal: Journal) -> None:
    run({"a": steady(1_000_000), "b": steady(1_000_000)})
    first_trace = journal.index(("a", "Trace"))
    next_launch = journal.index(("a", "launch 1"))
    timed = [label for label, command in journal[first_trace:next_launch] if command == "Infer"]
    pairs = [tuple(timed[i : i + 2]) for i in range(0, len(timed) - 1, 2)]
    assert all(set(pair) == {"a", "b"} for pair in pairs)
    assert len(set(pairs)) == 2


def test_without_a_share_for_tracing_nothing_is_traced(run: Runner) -> None:
    lanes = {"base": steady(3_000_000), "fast": steady(2_000_000)}
    assert run(dict(lanes), traced_share=0.0)[1].traces == {}
    assert set(run(dict(lanes))[1].traces) == {"base", "fast"}


def test_a_turn_has_as_many_calls_as_fit(run: Runner) -> None:
    _, session = run({"slow": steady(300_000_000), "quick": steady(10_000)})
    timed = {
        label: {len(r.latencies_ns) for r in rounds if r.kind is RoundKind.TIMED}
        for label, rounds in session.rounds.items()
    }
    assert timed == {"slow": {1}, "quick": {5_000}}


def test_drift_that_hits_both_lanes_cancels_out(run: Runner) -> None:
    drift = [int(1e6 * (1 + 0.02 * turn)) for turn in range(400)]
    _, session = run(
        {
            "base": Script(latencies_ns=[2 * value for value in drift]),
            "fast": Script(latencies_ns=drift),
        }
    )
    (comparison,) = session.comparisons()
    assert comparison.speedup == pytest.approx(2.0, rel=0.03)
    assert comparison.verdict is Verdict.FASTER


def test_noise_too_wide_at_the_limit_is_unresolved(run: Runner) -> None:
    noisy = itertools.cycle([1_000_000, 1_800_000, 1_300_000, 900_000, 2_500_000])
    events, session = run(
        {"base": steady(1_400_000), "noisy": Script(latencies_ns=noisy)}, time_limit_s=20.0
    )
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "time limit"
    assert session.comparisons()[0].verdict is Verdict.UNRESOLVED
    assert "Unresolved" in session.verdict()


def test_a_run_that_has_to_end_measures_first_and_then_traces(
    run: Runner, journal: Journal
) -> None:
    scripts = {"a": steady(3_000_000), "b": steady(2_000_000)}
    run(scripts, end_s=20.0)
    assert timed_turns_before_a_trace(journal) == 20


@pytest.mark.parametrize(
    ("load_s", "turns"), [pytest.param(1.0, 2, id="quick"), pytest.param(2.0, 20, id="slow")]
)
def test_the_first_trace_comes_before_a_verdict_only_where_it_takes_little_of_the_time(
    run: Runner, journal: Journal, load_s: float, turns: int
) -> None:
    scripts = {"a": steady(3_000_000, load_s=load_s), "b": steady(2_000_000)}
    run(scripts, time_limit_s=8.0, target_width=0.001)
    assert timed_turns_before_a_trace(journal) == turns


def timed_turns_before_a_trace(journal: Journal) -> int:
    """Of all lanes; a verdict takes ten rounds."""
    before = journal[: journal.index(("a", "Trace"))]
    warmup = journal.index(("a", "SaveOutputs"))
    return sum(command == "Infer" for _, command in before[warmup:])


def test_traces_have_no_part_in_how_long_the_rounds_of_a_launch_will_take(
    run: Runner, journal: Journal
) -> None:
    """Nine of eighteen seconds are left, for a launch of a second and rounds of another."""
    lanes = {label: steady(10_000_000, load_s=1.0, trace_s=4.0) for label in "ab"}
    run(lanes, time_limit_s=18.0, target_width=0.001)
    assert ("a", "launch 1") in journal


def test_all_lanes_are_asked_to_leave_before_the_first_is_waited_for(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    for name in ("ask_to_leave", "close"):
        monkeypatch.setattr(ScriptedProcess, name, _noting(told, name))
    run({"a": steady(3_000_000), "b": steady(2_000_000)}, max_rounds=1)
    assert told == [("a", "ask_to_leave"), ("b", "ask_to_leave"), ("a", "close"), ("b", "close")]


def _noting(told: list[tuple[str, str]], name: str) -> Callable[..., None]:
    def note(process: ScriptedProcess, timeout_s: float = 0.0) -> None:
        del timeout_s
        told.append((process.spec.label, name))

    return note


def test_nothing_is_begun_after_the_end(run: Runner, journal: Journal) -> None:
    noisy = itertools.cycle([1_000_000, 1_800_000, 1_300_000, 900_000, 2_500_000])
    events, session = run({"a": steady(1_400_000), "b": Script(latencies_ns=noisy)}, end_s=2.0)
    assert isinstance(events[-1], RunFinished) and events[-1].reason == "time limit"
    assert session.timed_rounds() < 10
    assert "Trace" not in {command for _, command in journal}


def measuring_s(session: Session) -> float:
    """Virtual seconds of the timed rounds."""
    timed = [r for found in session.rounds.values() for r in found if r.kind is RoundKind.TIMED]
    return sum(sum(r.latencies_ns) for r in timed) / 1e9


def test_a_model_of_20_s_a_call_ends_within_the_limit(run: Runner) -> None:
    events, session = run({"a": steady(20_000_000_000), "b": steady(21_000_000_000)})
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "time limit"
    assert measuring_s(session) <= 60.0
    assert all(len(r.latencies_ns) == 1 for found in session.rounds.values() for r in found)
    assert session.comparisons()[0].verdict is Verdict.UNRESOLVED
    assert session.operators("a"), "traced once, with one iteration"


def test_a_model_of_10_us_a_call_ends_on_precision(run: Runner) -> None:
    _, session = run({"a": steady(10_000), "b": steady(10_500)})
    assert session.finished is not None
    assert session.finished.reason == "precision"
    assert session.comparisons()[0].verdict is Verdict.SLOWER
    turns = [sum(r.latencies_ns) for r in session.rounds["a"] if r.kind is RoundKind.TIMED]
    assert all(50e6 <= turn <= 250e6 for turn in turns)


def test_spikes_in_a_few_rounds_do_not_move_the_ratio(run: Runner) -> None:
    spiky = [1_000_000 * (40 if turn % 9 == 0 else 1) for turn in range(2000)]
    _, session = run({"base": steady(2_000_000), "spiky": Script(latencies_ns=spiky)})
    (comparison,) = session.comparisons()
    assert (comparison.speedup, comparison.verdict) == (2.0, Verdict.FASTER)


def warm_up_turns(session: Session) -> int:
    found = [r for rounds in session.rounds.values() for r in rounds]
    return sum(r.kind is RoundKind.WARMUP for r in found)


def test_disturbed_rounds_are_set_aside_and_counted(run: Runner) -> None:
    """In every third round others took the CPU, and the candidate looks slow."""

    def lanes() -> dict[str, Script]:
        """Too slow to load to be launched twice."""
        return {
            "base": steady(100_000_000, load_s=99.0),
            "fast": steady(50_000_000, load_s=99.0),
        }

    _, calm = run(lanes())
    quiet = [0.0] * warm_up_turns(calm)
    busy = itertools.cycle([0.9, 0.9, 0.0, 0.0, 0.0, 0.0])
    _, session = run(lanes(), foreign=itertools.chain(quiet, busy))
    (comparison,) = session.comparisons()
    assert comparison.verdict is Verdict.FASTER
    assert set(session.disturbed) == {n for n in range(session.timed_rounds()) if n % 3 == 0}
    assert session.set_aside() == set(session.disturbed)
    assert comparison.set_aside == len(session.disturbed) >= 3
    assert comparison.rounds + comparison.set_aside == session.timed_rounds()
    assert session.disturbed[0] == "other processes took 90% of the CPU"
    stats = session.latency_stats("base")
    assert stats is not None and stats.rounds == comparison.rounds
    assert {p.name for look in session.foreign for p in look.processes} == {"backup"}


def test_a_machine_that_is_mostly_busy_says_so_and_who_it_was(run: Runner) -> None:
    _, session = run(
        {"base": steady(100_000_000), "fast": steady(50_000_000)}, foreign=itertools.repeat(0.9)
    )
    assert session.mostly_disturbed()
    assert session.set_aside() == frozenset()
    busy = f"busy in {session.timed_rounds()} of {session.timed_rounds()} rounds, most with backup"
    assert session.verdict().startswith(f"The machine was {busy}")
    assert "fast is 2.000× faster than base" in session.verdict()


def test_lanes_are_launched_again_within_their_share_of_the_time(
    run: Runner, journal: Journal
) -> None:
    events, session = run(
        {"base": steady(1_000_000, load_s=1.0), "b": steady(2_000_000, load_s=2.0)},
        time_limit_s=30.0,
        target_width=0.001,
    )
    launches = [event for event in events if isinstance(event, LaunchedAgain)]
    assert [event.launch for event in launches] == list(range(1, len(launches) + 1))
    assert len(launches) >= 2
    assert ("b", f"launch {len(launches)}") in journal
    assert ("b", f"launch {len(launches) + 1}") not in journal
    # Loads of three seconds in all, and about half of that measured in between.
    assert 3.0 * len(launches) <= 0.65 * 30.0
    by_launch = collections.Counter(session.launches.values())
    assert all(count >= 10 for count in by_launch.values())
    assert session.comparisons()[0].launches == len(by_launch) == len(launches) + 1


def test_lanes_that_load_for_long_are_launched_once(run: Runner, journal: Journal) -> None:
    _, session = run(
        {"a": steady(1_000_000, load_s=50.0), "b": steady(1_500_000)}, time_limit_s=60.0
    )
    assert {launch for _, launch in journal if launch.startswith("launch")} == {"launch 0"}
    (comparison,) = session.comparisons()
    assert comparison.launches == 1
    assert session.finished is not None and session.finished.reason == "time limit"
    # Fifty percent is more than what one launch may be apart by chance.
    assert comparison.verdict is Verdict.SLOWER


def test_one_launch_alone_never_calls_lanes_the_same(run: Runner) -> None:
    _, session = run(
        {"a": steady(1_000_000, load_s=50.0), "b": steady(1_000_000)}, time_limit_s=20.0
    )
    assert session.comparisons()[0].verdict is Verdict.UNRESOLVED


def test_a_lane_that_fails_in_a_later_launch_is_told_and_the_others_go_on(run: Runner) -> None:
    error = Failed(error="EngineError", message="No memory.")
    _, session = run(
        {
            "a": steady(1_000_000),
            "b": steady(2_000_000),
            "c": steady(3_000_000, load_error=error, loads_well=1),
        }
    )
    failure = session.failures["c"]
    assert (failure.message, failure.phase) == ("No memory.", Phase.MEASURING)
    assert {c.candidate: c.launches for c in session.comparisons()} == {"b": 8, "c": 1}
    assert session.finished is not None and session.finished.reason == "precision"


def test_where_the_baseline_fails_the_others_are_still_compared(run: Runner) -> None:
    error = Failed(error="EngineError", message="No.")
    _, session = run(
        {
            "base": Script(load_error=error),
            "a": steady(2_000_000),
            "b": steady(1_000_000, output=2.0),
        }
    )
    (comparison,) = session.comparisons()
    assert (comparison.baseline, comparison.candidate) == ("a", "b")
    assert comparison.speedup == 2.0
    assert [(o.baseline, o.candidate) for o in session.outputs] == [("a", "b")]


def test_telemetry_takes_its_place_among_the_events(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    monkeypatch.setattr(lane, "EngineProcess", scripted({"a": steady(1_000_000)}, journal))
    one = TelemetrySample(time_ns=1, cpu_pct=1.0, memory_used_bytes=1, memory_total_bytes=2)
    found = list(supervisor.run(scripted_plan("a", time_limit_s=1.0), telemetry=lambda: (one,)))
    # Before the start of the run nobody knows on which time axis a sample lies.
    assert isinstance(found[0], RunStarted)
    assert found[1] is one
    assert sum(event is one for event in found) == sum(event is not one for event in found) - 1


def test_a_lane_that_dies_is_told_and_the_other_goes_on(run: Runner) -> None:
    _, session = run(
        {"base": steady(1_000_000), "dies": steady(1_000_000, dies_at_turn=12, log=("boom",))}
    )
    failure = session.failures["dies"]
    assert "SIGKILL" in failure.message
    assert failure.log_tail == ("boom",)
    assert session.finished is not None
    assert session.finished.reason == "precision"
    assert len(session.rounds["base"]) > len(session.rounds["dies"])


def test_a_lane_that_cannot_load_keeps_its_reason(run: Runner, journal: Journal) -> None:
    error = Failed(error="ModelFileError", message="No such operator.", hint="Update.")
    _, session = run({"base": steady(1_000_000), "bad": Script(load_error=error)})
    failure = session.failures["bad"]
    assert (failure.phase, failure.message, failure.hint) == (
        Phase.LOADING,
        "No such operator.",
        "Update.",
    )
    assert ("bad", "Infer") not in journal


def test_all_lanes_failing_ends_the_run(run: Runner) -> None:
    error = Failed(error="EngineError", message="No.")
    events, session = run({"a": Script(load_error=error), "b": Script(load_error=error)})
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "all lanes failed"
    assert set(session.failures) == {"a", "b"}


def test_cancel_keeps_what_was_measured(run: Runner) -> None:
    seen: list[int] = []

    def cancelled() -> bool:
        seen.append(1)
        return len(seen) > 5

    _, session = run({"a": steady(1_000_000), "b": steady(1_000_000)}, cancelled=cancelled)
    assert session.finished is not None
    assert session.finished.reason == "stopped"
    assert len(session.rounds["a"]) > 0


def test_cancel_ends_a_hanging_lane(run: Runner) -> None:
    polls = itertools.count()
    _, session = run({"a": steady(1_000_000, hangs_at_turn=3)}, cancelled=lambda: next(polls) > 3)
    assert session.finished is not None
    assert session.finished.reason == "stopped"


def test_a_trace_that_never_answers_takes_the_lane_out(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its late reply would be taken for that of the next turn."""
    monkeypatch.setattr(lane_tracing, "TRACE_TIMEOUT_S", 0.0)
    _, session = run({"a": steady(1_000_000, hangs_in_trace=True), "b": steady(1_000_000)})
    assert "did not answer" in session.failures["a"].message
    assert session.finished is not None
    assert len(session.rounds["b"]) > len(session.rounds["a"])


def test_a_trace_that_fails_does_not_fail_the_lane(run: Runner) -> None:
    error = Failed(error="EngineError", message="No profile.")
    _, session = run({"a": steady(1_000_000, trace_error=error), "b": steady(1_000_000)})
    assert session.failures == {}
    assert session.operators("a") == []
    assert session.operators("b")[0].op_type == "Conv"
    assert any("No profile." in line.text for line in session.logs)


def test_outputs_that_differ_are_found(run: Runner) -> None:
    _, session = run({"a": steady(1_000_000), "b": steady(1_000_000, output=2.0)})
    (outputs,) = session.outputs
    assert not outputs.agree
    assert outputs.differences[0].max_abs == pytest.approx(1.0)


def test_a_lone_lane_is_measured(run: Runner) -> None:
    _, session = run({"only": steady(2_000_000)})
    assert session.verdict() == "only takes 2 ms (p50); nothing to compare with."


def test_progress_tells_the_phases_in_order(run: Runner) -> None:
    events, _ = run({"a": steady(1_000_000), "b": steady(1_000_000)})
    phases = [event.phase for event in events if isinstance(event, Progress)]
    assert [phase for phase, _ in itertools.groupby(phases)] == [
        Phase.LOADING,
        Phase.WARMING_UP,
        Phase.MEASURING,
        Phase.FINISHED,
    ]


def test_an_impossible_plan_is_refused_before_anything_starts() -> None:
    with pytest.raises(PlanError, match="Two lanes"):
        next(supervisor.run(scripted_plan("a", "a")))


def test_a_new_size_is_tried_when_all_else_is_done(run: Runner, journal: Journal) -> None:
    error = Failed(error="EngineError", message="Too large.")
    scripts = {"any": steady(1_000_000), "fixed": steady(1_000_000, size_error=error, output=2.0)}
    _, session = run(scripts, inputs=DYNAMIC)
    # Outputs differ: the look inside comes before.
    assert session.values
    assert [command for _, command in journal[-2:]] == ["TryInputs"] * 2
    tried = session.new_sizes["any"]
    assert (tried.dimension, tried.size, tried.new_size) == ("batch", 1, 2)
    assert (tried.first_ns, tried.later_ns) == (50_000_000, 1_000_000)
    assert "fixed" not in session.new_sizes
    assert not session.failures
    assert "Not called with batch = 2: Too large." in [line.text for line in session.logs]


def test_no_new_size_without_a_dynamic_dimension(run: Runner, journal: Journal) -> None:
    run({"a": steady(1_000_000)}, inputs=(msgspec.structs.replace(DYNAMIC[0], symbols=()),))
    assert "TryInputs" not in [command for _, command in journal]


def test_no_new_size_where_the_plan_leaves_it_out(run: Runner, journal: Journal) -> None:
    run({"a": steady(1_000_000)}, inputs=DYNAMIC, new_size=False)
    assert "TryInputs" not in [command for _, command in journal]


def test_a_new_size_takes_a_tenth_of_the_time_limit_at_most(run: Runner, journal: Journal) -> None:
    """Of both lanes: here eight calls would take 0.8 s of their 0.5 s each."""
    _, session = run(
        {"slow": steady(100_000_000), "b": steady(1_000_000)}, DYNAMIC, time_limit_s=10
    )
    assert [found for found in journal if found[1] == "TryInputs"] == [("b", "TryInputs")]
    assert any("batch = 2: It would take more than 0.5 s." in line.text for line in session.logs)


def test_a_new_size_that_never_answers_is_given_up(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane_sizes, "NEW_SIZE_LIMIT_S", 0.01)
    hanging = steady(1_000_000, hangs_with_new_size=True)
    _, session = run({"hanging": hanging, "b": steady(1_000_000)}, DYNAMIC)
    assert list(session.new_sizes) == ["b"]
    assert any("hanging did not answer within 0.01 s" in line.text for line in session.logs)
    assert not session.failures


def test_a_stop_ends_the_calls_with_a_new_size(run: Runner, journal: Journal) -> None:
    hanging = steady(1_000_000, hangs_with_new_size=True)
    _, session = run(
        {"hanging": hanging, "b": steady(1_000_000)},
        DYNAMIC,
        cancelled=lambda: ("hanging", "TryInputs") in journal,
    )
    assert journal[-1] == ("hanging", "TryInputs")
    assert not session.new_sizes
    assert session.finished is not None
    assert session.finished.reason == "precision"
