"""When a run goes on, and when it waits for the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from gui import run_thread
from gui.run_thread import RunThread
from profiler.types import Event, Phase, Progress, Round, RoundKind, RunPlan
from tests.gui.driving import DEMO, PATIENCE_MS, demo_plan

TURNS = 4


def turns(begun: list[int]) -> Callable[..., Iterator[Event]]:
    """Stands in for `record`: a run of nothing but turns, each noted as it begins."""

    def record(plan: RunPlan, path: Path, *, cancelled: Callable[[], bool]) -> Iterator[Event]:
        del path, cancelled
        yield Progress(time_ns=0, phase=Phase.MEASURING, detail="")
        for index in range(TURNS):
            begun.append(index)
            yield Round(
                time_ns=index,
                label=plan.baseline,
                index=index,
                kind=RoundKind.TIMED,
                started_ns=index,
                latencies_ns=(1,),
            )

    return record


@pytest.mark.parametrize(("cpus", "waits"), [((), True), ((1, 2), False)])
def test_a_turn_begins_when_the_window_has_painted_unless_it_has_a_core_of_its_own(
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cpus: tuple[int, ...],
    waits: bool,
) -> None:
    begun: list[int] = []
    seen: list[int] = []
    monkeypatch.setattr(run_thread, "record", turns(begun))
    monkeypatch.setattr(run_thread, "SHOW_INTERVAL_S", 0.0)
    monkeypatch.setattr(run_thread, "SHOW_LIMIT_S", 60.0)
    plan = msgspec.structs.replace(demo_plan(DEMO), lane_cpus=cpus)
    thread = RunThread(plan, tmp_path / "a.dualscope")

    def paint() -> None:
        assert thread.wants_stillness
        seen.append(len(begun))
        thread.shown()

    thread.turn_over.connect(paint)
    with qtbot.waitSignal(thread.finished, timeout=PATIENCE_MS):
        thread.start()
    assert thread.error is None
    assert len(thread.take()) == TURNS + 1
    assert seen == (list(range(1, TURNS + 1)) if waits else [])
