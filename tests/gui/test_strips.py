"""The live strips: when they are shown, and what stands in them."""

from __future__ import annotations

import re

import pytest
from pytestqt.qtbot import QtBot

from gui import settings
from gui.main_window import MainWindow
from gui.strips_shown import ROOMY_HEIGHT
from gui.views.operator_bars import COLUMN_WIDTH, FIGURES_WIDTH, MARGIN, ROW_HEIGHT
from profiler.session import Session
from profiler.types import EngineKind, EngineSpec, OpTimings
from tests.decision_sessions import rounds, session
from tests.gui.driving import PATIENCE_MS
from tests.sample_session import sample_ops

LABELS = ("torch", "zeta", "alpha", "mid", "beta")


def five_lanes() -> Session:
    kinds = (EngineKind.TORCH_EAGER, *[EngineKind.ORT] * 4)
    lanes = [EngineSpec(label=n, engine=kind) for n, kind in zip(LABELS, kinds, strict=True)]
    traced = [
        OpTimings(
            time_ns=9,
            label=label,
            round=1,
            iterations=2,
            traced_latencies_ns=(6_000, 6_000),
            ops=sample_ops(f"conv_{label}"),
        )
        for label in LABELS
    ]
    timed = [found for label in LABELS for found in rounds(label, 4.0, launches=2, count=5)]
    return session(*timed, *traced, lanes=lanes)


def test_a_low_window_has_strips_while_something_is_measured(
    qtbot: QtBot, window: MainWindow
) -> None:
    action = window.actions_by_name["strips"]
    assert window.height() < ROOMY_HEIGHT
    assert window.live.isHidden() and not action.isChecked()
    window.strips_shown.set_running(True)
    assert window.live.isVisible() and action.isChecked()
    window.strips_shown.set_running(False)
    assert window.live.isHidden()
    window.resize(1280, ROOMY_HEIGHT)
    qtbot.waitUntil(window.live.isVisible, timeout=PATIENCE_MS)


@pytest.mark.parametrize("running", [False, True])
def test_the_persons_choice_counts_and_is_kept(window: MainWindow, running: bool) -> None:
    window.strips_shown.set_running(running)
    action = window.actions_by_name["strips"]
    action.trigger()
    assert window.live.isVisible() is action.isChecked() is not running
    window.strips_shown.set_running(not running)
    assert window.live.isVisible() is not running
    window._save_settings()
    assert settings.load().strips is not running
    action.trigger()
    assert window.live.isVisible() is running


@pytest.mark.parametrize("shown_at_quit", [True, False])
def test_the_place_of_the_handle_is_kept(
    qtbot: QtBot, window: MainWindow, shown_at_quit: bool
) -> None:
    action = window.actions_by_name["strips"]
    action.trigger()
    window.body.setSizes([400, 260])
    height = window.live.height()
    action.trigger()
    action.trigger()
    qtbot.waitUntil(lambda: abs(window.live.height() - height) < 2)
    if not shown_at_quit:
        action.trigger()
    window._save_settings()
    again = MainWindow()
    qtbot.addWidget(again)
    again.resize(1280, 800)
    again.show()
    assert again.live.isVisible() is shown_at_quit
    if not shown_at_quit:
        again.actions_by_name["strips"].trigger()
    qtbot.waitUntil(lambda: abs(again.live.height() - height) < 40, timeout=PATIENCE_MS)
    again.close()


def test_the_legend_is_in_the_order_of_lanes(window: MainWindow) -> None:
    window.session_model.show(five_lanes(), None)
    text = re.sub("<[^>]*>", "", window.live.latency.figures.text())
    places = [text.index(label) for label in LABELS]
    assert places == sorted(places)


def test_five_lanes_have_room_for_figures(window: MainWindow) -> None:
    window.actions_by_name["strips"].trigger()
    window.session_model.show(five_lanes(), None)
    bars = window.live.operators.columns
    assert bars.width() >= len(LABELS) * COLUMN_WIDTH, "they scroll rather than shrink"
    for column, label in enumerate(LABELS):
        row = bars.row_at(MARGIN + column * COLUMN_WIDTH + 20, ROW_HEIGHT + 4)
        assert row is not None and row.label == label
        assert bars.figures(row, COLUMN_WIDTH) == f"{row.share:.0%}"
        assert "µs" in bars.figures(row, 2 * FIGURES_WIDTH + 1)
    assert bars.row_at(MARGIN + 20, 2) is None, "there stands the lane's name"
