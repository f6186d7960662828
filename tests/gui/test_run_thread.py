"""When a run goes on, and when it waits for the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from pytestqt.qtbot import QtBot

from gui import run_thread
from gui.run_thread import RunThread
from profiler.types import Event, Phase, Progress, RaceRound, Round, RoundKind
from tests.gui.driving import PATIENCE_MS

TURNS = 4


def turns(begun: list[int], *, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """A run of nothing but turns and rounds of a race, each noted as it begins."""
    del cancelled
    yield Progress(time_ns=0, phase=Phase.MEASURING, detail="")
    for index in range(TURNS):
        begun.append(index)
        if index % 2:
            # A race tells its rounds as a whole.
            yield RaceRound(time_ns=index, race=0, index=index, launch=0, medians_ns={"a": 1.0})
            continue
        yield Round(
            time_ns=index,
            label="a",
            index=index,
            kind=RoundKind.TIMED,
            started_ns=index,
            latencies_ns=(1,),
        )


@pytest.mark.parametrize("shares_cores", [True, False])
def test_a_turn_begins_when_the_window_has_painted_and_rests_unless_it_has_its_own_core(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, shares_cores: bool
) -> None:
    begun: list[int] = []
    seen: list[int] = []
    rested: list[int] = []
    monkeypatch.setattr(run_thread, "SHOW_INTERVAL_S", 0.0)
    monkeypatch.setattr(run_thread, "SHOW_LIMIT_S", 60.0)
    thread = RunThread(partial(turns, begun), shares_cores=shares_cores)

    def paint() -> None:
        assert thread.wants_stillness
        seen.append(len(begun))
        thread.shown()

    def wait_for_rest(quiet_s: float) -> None:
        assert quiet_s > 0
        rested.append(len(begun))

    monkeypatch.setattr(run_thread, "wait_for_rest", wait_for_rest)

    thread.turn_over.connect(paint)
    with qtbot.waitSignal(thread.finished, timeout=PATIENCE_MS):
        thread.start()
    assert thread.error is None
    assert len(thread.take()) == TURNS + 1
    assert seen == (list(range(1, TURNS + 1)) if shares_cores else [])
    assert rested == seen
