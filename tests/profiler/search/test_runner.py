"""Whole searches with scripted engines: which configuration wins is known exactly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import pytest

from profiler import lane, lane_group, supervisor
from profiler.search import runner
from profiler.search.result import found_by, winner
from profiler.search.space import leader_label, spaces
from profiler.session import Session
from profiler.types import (
    ArmState,
    EngineKind,
    EngineSpec,
    Event,
    Failed,
    RaceFinished,
    RaceStarted,
    RunFinished,
    SearchPlan,
    Verdict,
)
from tests.profiler.search.test_space import search_plan
from tests.scripted_engine import Clock, Script, ScriptedLoad, ScriptedTable, scripted

BASE_NS = 10_000_000
Cost = Callable[[EngineSpec], float]
Searcher = Callable[..., tuple[list[Event], Session, "Machine"]]


class Machine:
    """Scripted engines for every configuration of a plan; `cost`: of each, over the default's."""

    def __init__(
        self, plan: SearchPlan, cost: Cost, special: Mapping[str, Script], load_s: float
    ) -> None:
        self.clock = Clock()
        self.journal: list[tuple[str, str]] = []
        specs = {made.label: made.spec for space in spaces(plan) for made in space.grid()}
        self.scripts = {
            label: special.get(label)
            or Script(latencies_ns=itertools.repeat(int(BASE_NS * cost(spec))), load_s=load_s)
            for label, spec in specs.items()
        }
        for space in spaces(plan):
            self.scripts[leader_label(space.family)] = Script()
        self.make = scripted(self.scripts, self.journal, self.clock)
        self.alive: set[object] = set()
        self.most_alive = 0
        self.cost = cost

    def __call__(self, spec: EngineSpec, work_dir: object, launch: int = 0) -> object:
        process = self.make(spec, work_dir, launch)
        if spec.label.startswith("fastest "):
            # A leader's lane in the confirmation: what its options cost.
            process._turns = itertools.repeat(int(BASE_NS * self.cost(spec)))
        self.alive = {other for other in self.alive if not other.closed}  # type: ignore[attr-defined]
        self.alive.add(process)
        self.most_alive = max(self.most_alive, len(self.alive))
        return process


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> Searcher:
    def run(
        plan: SearchPlan,
        cost: Cost,
        special: Mapping[str, Script] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        load_s: float = 0.5,
    ) -> tuple[list[Event], Session, Machine]:
        machine = Machine(plan, cost, special or {}, load_s)
        monkeypatch.setattr(lane, "EngineProcess", machine)
        monkeypatch.setattr(lane_group, "ForeignLoad", lambda: ScriptedLoad(itertools.repeat(0.0)))
        monkeypatch.setattr(supervisor, "ProcessTable", ScriptedTable)
        session, events = Session(), []
        for event in runner.search(plan, cancelled=cancelled, clock=machine.clock):
            session.apply(event)
            events.append(event)
        assert all(process.closed for process in machine.alive)  # type: ignore[attr-defined]
        return events, session, machine

    return run


def ort_plan(**more: object) -> SearchPlan:
    return search_plan(engines=[EngineKind.ORT], **more)  # type: ignore[arg-type]


def one_thread_wins(spec: EngineSpec) -> float:
    """One thread halves the latency, bound inputs take a fifth off, less optimizing costs."""
    options = spec.options
    cost = 0.5 if options.get("intra_op_threads") == 1 else 1.0
    cost *= 2.0 if options.get("execution_mode") == "parallel" else 1.0
    cost *= {"all": 1.0, "extended": 1.1, "basic": 1.5, "disable": 3.0}[
        str(options.get("graph_optimization_level", "all"))
    ]
    return cost * (0.8 if options.get("io_binding") else 1.0)


def all_alike(spec: EngineSpec) -> float:
    del spec
    return 1.0


def state_of(session: Session, label: str) -> ArmState:
    return {tried.label: tried.state for tried in session.search.tried()}[label]


def test_the_known_best_is_found_and_confirmed(search: Searcher) -> None:
    events, session, _ = search(ort_plan(), one_thread_wins)
    (found,) = found_by(session)
    assert found.leader == "ort,intra_op_threads=1,io_binding=true"
    assert found.gain is not None
    assert found.gain.speedup == pytest.approx(1 / 0.4)
    assert found.gain.verdict is Verdict.FASTER
    assert found.gain.launches > 1
    best = winner(session)
    assert best is not None
    assert best.label == "fastest ONNX Runtime"
    assert best.options == {"intra_op_threads": 1, "io_binding": True}
    assert isinstance(events[-1], RunFinished)
    assert "ort,intra_op_threads=1,io_binding=true is 2.500× faster than the default" in (
        session.verdict()
    )


def test_far_fewer_configurations_run_than_a_grid_has(search: Searcher) -> None:
    plan = ort_plan()
    _, session, _ = search(plan, one_thread_wins)
    (found,) = found_by(session)
    grid = list(spaces(plan)[0].grid())
    assert len(grid) > 100
    assert found.tried <= 15


def test_what_is_slower_is_eliminated_with_its_interval(search: Searcher) -> None:
    _, session, _ = search(ort_plan(), one_thread_wins)
    tried = {item.label: item for item in session.search.tried()}
    disabled = tried["ort,intra_op_threads=1,graph_optimization_level=disable"]
    assert disabled.state is ArmState.SLOWER
    assert disabled.against == "ort,intra_op_threads=1"
    assert disabled.ratio == pytest.approx(3.0)
    assert 1 < disabled.low < 3 < disabled.high
    assert disabled.judged is not None
    assert disabled.judged.rounds == 7
    assert disabled.judged.p50_ns == BASE_NS * 1.5


def test_what_does_not_matter_stays_at_its_default(search: Searcher) -> None:
    _, session, _ = search(ort_plan(), all_alike)
    (found,) = found_by(session)
    assert found.leader == "ort"
    assert found.gain is None
    assert "the default is the best" in session.verdict()
    bound = next(t for t in session.search.tried() if t.label == "ort,io_binding=true")
    assert (bound.state, bound.against) == (ArmState.NOT_FASTER, "ort")
    # As exact as three launches are, and no more.
    assert bound.ratio == pytest.approx(1.0)
    assert 0.97 < bound.low < 0.99
    assert 1.01 < bound.high < 1.03


def test_a_pair_of_choices_that_only_helps_together_is_found_by_going_round(
    search: Searcher,
) -> None:
    """Binding pays only with less optimizing, which alone gains 10 %, and only at one thread."""

    def cost(spec: EngineSpec) -> float:
        options = spec.options
        one = options.get("intra_op_threads") == 1
        basic = options.get("graph_optimization_level") == "basic"
        bound = bool(options.get("io_binding"))
        if bound and not one:
            return 0.7
        return 1.2 if one and not bound else 0.4 if one and not basic else 1.0

    _, session, _ = search(ort_plan(), cost)
    (found,) = found_by(session)
    assert found.leader == "ort,intra_op_threads=1,io_binding=true"


def test_each_family_has_a_leader_and_the_fastest_of_all_wins(search: Searcher) -> None:
    def cost(spec: EngineSpec) -> float:
        if spec.engine is EngineKind.ORT:
            return 0.9 * one_thread_wins(spec)
        return {"torch-compile": 0.3}.get(spec.engine.value, 1.2)

    _, session, _ = search(search_plan(budget_s=400.0), cost)
    leaders = {found.family: found.leader for found in found_by(session)}
    assert leaders == {"ort": "ort,intra_op_threads=1,io_binding=true", "torch": "torch-compile"}
    best = winner(session)
    assert best is not None
    assert best.engine is EngineKind.TORCH_COMPILE
    assert session.labels() == [
        "ort",
        "fastest ONNX Runtime",
        "torch-eager",
        "fastest PyTorch",
    ]
    assert session.plan is not None
    assert session.plan.baseline == "torch-eager"
    assert "torch-compile is 1.200× faster than ort,intra_op_threads=1,io_binding=true" in (
        session.verdict()
    )


def test_a_family_that_no_time_was_left_for_is_told_and_compared(search: Searcher) -> None:
    def cost(spec: EngineSpec) -> float:
        return 1.0 if spec.engine is EngineKind.ORT else 4.0

    _, session, _ = search(search_plan(budget_s=30.0), cost, load_s=10.0)
    assert session.search.families() == ["ort"]
    ort, torch = found_by(session)
    assert (torch.family, torch.best_lane, torch.tried) == ("torch", "torch-eager", 0)
    assert "PyTorch: only the default was measured" in session.verdict()
    assert f"{ort.best_lane} is 4.0× faster than torch-eager" in session.verdict()
    best = winner(session)
    assert best is not None and best.engine is EngineKind.ORT


def test_other_outputs_are_past_tolerance(search: Searcher) -> None:
    special = {
        "ort,intra_op_threads=1": Script(
            latencies_ns=itertools.repeat(BASE_NS // 10), output=1.5, load_s=0.5
        )
    }
    _, session, _ = search(ort_plan(), one_thread_wins, special)
    (found,) = found_by(session)
    assert found.leader == "ort,io_binding=true"
    judged = session.search.judged["ort,intra_op_threads=1"]
    assert judged.state is ArmState.OTHER_OUTPUTS
    assert "differs by up to 0.5" in judged.reason


def test_a_configuration_that_fails_is_kept_with_its_reason(search: Searcher) -> None:
    error = Failed(error="EngineError", message="No memory.", hint="Buy some.")
    special = {
        "ort,intra_op_threads=1": Script(load_error=error),
        "ort,io_binding=true": Script(
            latencies_ns=itertools.repeat(BASE_NS), dies_at_turn=9, load_s=0.5
        ),
    }
    _, session, _ = search(ort_plan(), one_thread_wins, special)
    judged = session.search.judged["ort,intra_op_threads=1"]
    assert judged.state is ArmState.FAILED
    assert judged.reason == "while loading: No memory. Buy some."
    assert session.search.judged["ort,io_binding=true"].state is ArmState.FAILED
    assert found_by(session)[0].leader == "ort"


def test_the_p99_limit_bars_the_fastest(search: Searcher) -> None:
    """One thread: half the latency, but now and then a turn takes ten times as long."""
    spiky = itertools.cycle([BASE_NS // 2] * 3 + [BASE_NS * 5])
    special = {"ort,intra_op_threads=1": Script(latencies_ns=spiky, load_s=0.5)}
    plan = ort_plan(max_p99_ns=2.0 * BASE_NS)
    _, session, _ = search(plan, one_thread_wins, special)
    assert state_of(session, "ort,intra_op_threads=1") is ArmState.OVER_P99
    # Bound inputs keep to the limit, and one thread is tried again beside them.
    assert found_by(session)[0].leader == "ort,intra_op_threads=1,io_binding=true"


def test_nothing_within_the_limits_is_said(search: Searcher) -> None:
    # Scripted processes have a peak of one byte.
    _, session, _ = search(ort_plan(max_memory_bytes=0), one_thread_wins)
    states = {tried.state for tried in session.search.tried()}
    assert states == {ArmState.OVER_MEMORY}
    assert winner(session) is None
    assert "none of its configurations could be chosen" in session.verdict()
    assert session.finished is not None
    assert session.finished.reason == "all lanes failed"


def test_no_more_processes_are_alive_than_allowed(search: Searcher) -> None:
    _, session, machine = search(ort_plan(at_once=2), one_thread_wins)
    # The confirmation has two lanes as well.
    assert machine.most_alive == 2
    assert found_by(session)[0].leader == "ort,intra_op_threads=1,io_binding=true"


def test_the_budget_holds(search: Searcher) -> None:
    """Calls of a second, on many cores: a race takes a while."""
    plan = ort_plan(budget_s=120.0, cores=16)
    _, session, machine = search(plan, lambda spec: 100 * one_thread_wins(spec))
    assert machine.clock.now_s <= 120.0 * 1.1
    states = {tried.state for tried in session.search.tried()}
    assert ArmState.LEADER in states


def test_stopping_keeps_what_was_found(search: Searcher) -> None:
    session_seen: list[int] = []

    def cancelled() -> bool:
        session_seen.append(1)
        return len(session_seen) > 60

    events, session, _ = search(ort_plan(), one_thread_wins, cancelled=cancelled)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "stopped"
    assert session.plan is None
    assert found_by(session)[0].leader
    assert "stopped before" in session.verdict()
    assert len(session.search.finished) == len(session.search.races)


def test_races_follow_the_axes_and_each_ends(search: Searcher) -> None:
    events, _, _ = search(ort_plan(), one_thread_wins)
    started = [event for event in events if isinstance(event, RaceStarted)]
    ended = [event for event in events if isinstance(event, RaceFinished)]
    assert [race.axis for race in started[:3]] == ["threads", "graph", "binding"]
    assert [race.race for race in started] == [race.race for race in ended]
    assert started[0].incumbent == "ort"


def test_the_same_plan_gives_the_same_search(search: Searcher) -> None:
    _, first, one = search(ort_plan(), one_thread_wins)
    _, again, two = search(ort_plan(), one_thread_wins)
    assert one.journal == two.journal
    assert [t.label for t in first.search.tried()] == [t.label for t in again.search.tried()]
