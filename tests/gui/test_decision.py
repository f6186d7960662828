"""The goal beside the verdict, and costs with the person's prices."""

from __future__ import annotations

from pathlib import Path

from pytestqt.qtbot import QtBot

from gui import settings
from gui.main_window import MainWindow
from gui.views.cost_form import PRICE, CostForm, parse_price
from gui.views.recommendation_card import WAITING
from profiler.recommendation import recommend
from profiler.session import Session
from profiler.types import CostSettings, Goal
from tests.decision_sessions import compared, rounds, run_events, session
from tests.gui.driving import open_session
from tests.sample_session import session_of


def choose(window: MainWindow, goal: Goal) -> None:
    window.card.goal.setCurrentIndex(window.card.goal.findData(goal))
    window.card.goal.activated.emit(window.card.goal.currentIndex())


def test_the_card_follows_the_goal(window: MainWindow) -> None:
    assert window.card.isHidden(), "without a run the banner has the whole width"
    found = session(*rounds("eager", 8.0), *rounds("onnx", 4.0), compared("eager", "onnx"))
    window.session_model.show(found, None)
    assert window.card.isVisible()
    assert window.card.sentence.text() == "For latency: use onnx, p50 4 ms."
    assert "within tolerance" in window.card.note.text()
    choose(window, Goal.COST)
    assert window.card.sentence.text() == "For cost: tell the price per hour of the machine."
    assert "saves 50 %" in window.card.note.text()
    assert settings.load().goal is Goal.COST
    window.card.details_wanted.emit()
    assert window.tabs.currentWidget() is window.report
    text = window.report.text.toPlainText()
    assert "Not measured" in text and "Whatever the price" in text


def test_prices_are_kept_and_change_the_table(window: MainWindow) -> None:
    window.session_model.show(session(*rounds("eager", 8.0), *rounds("onnx", 4.0)), None)
    window.tabs.setCurrentWidget(window.cost)
    rows = window.cost.table.rowCount()
    form = window.cost.form
    item = form.prices.item(0, PRICE)
    assert item is not None and not item.text()
    item.setText("3.6")
    form.requests.setValue(1e6)
    assert window.cost.table.rowCount() > rows
    kept = settings.load().cost
    assert (kept.prices, kept.requests_per_day) == ({"cpu": 3.6}, 1e6)
    assert window.session_model.session.question.cost == kept
    titles = {
        cell.text(): row
        for row in range(window.cost.table.rowCount())
        if (cell := window.cost.table.verticalHeaderItem(row)) is not None
    }
    row = titles["Cost per million inferences"]
    cost = window.cost.table.item(row, 1)
    # A million in fours of 4 ms are 1000 s, at 70 % utilization.
    assert cost is not None and cost.text() == f"{1000 / 3600 / 0.7 * 3.6:.4g}"
    assert "×" in cost.toolTip()
    window.cost.table.selectRow(row)
    worked = window.cost.worked.text().splitlines()
    assert worked[0].startswith("Cost per million inferences = machine hours per million ×")
    assert worked[2] == f"onnx: {cost.toolTip()}"
    form.requests.setValue(2e6)
    assert window.cost.worked.text().splitlines() == worked, "the chosen row stays chosen"


def test_a_price_that_is_no_number_says_so(qtbot: QtBot) -> None:
    form = CostForm(CostSettings(prices={"cpu": 1.5}))
    qtbot.addWidget(form)
    assert form.settings() == CostSettings(prices={"cpu": 1.5})
    item = form.prices.item(0, PRICE)
    assert item is not None
    item.setText("cheap")
    assert form.settings().prices == {}
    assert "number" in item.toolTip()
    form.replicas.setValue(2)
    assert item.text().split() == ["cheap", "✗"], "another edit doesn't mark it again"
    item.setText("1,20 ✗")
    assert item.text() == "1,20", "the mark is no part of what a person corrects"
    assert form.settings().prices == {"cpu": 1.2}
    assert [parse_price(text) for text in ("", "-1", "nan", "0", " 2 ")] == [None] * 4 + [2.0]


def test_nothing_is_recommended_while_a_run_goes_on(window: MainWindow) -> None:
    events = run_events(*rounds("eager", 8.0), *rounds("onnx", 4.0))
    window.session_model.show(Session(), None)
    window.session_model.apply(events[:1])
    assert window.card.isVisible()
    assert (window.card.note.text(), window.card.sentence.isHidden()) == (WAITING, True)
    window.tabs.setCurrentWidget(window.cost)
    window.session_model.apply(events[1:-1])
    assert window.card.sentence.isHidden()
    assert window.cost.table.rowCount() == 0
    window.session_model.apply(events[-1:])
    assert window.card.sentence.text() == "For latency: use onnx, p50 4 ms."
    assert window.cost.table.rowCount() > 0


def test_a_run_that_was_broken_off_is_answered_as_far_as_it_went(window: MainWindow) -> None:
    events = run_events(*rounds("eager", 8.0), *rounds("onnx", 4.0))
    window.session_model.show(session_of(events[:-1]), None)
    assert window.card.sentence.text() == "For latency: use onnx, p50 4 ms."
    assert "did not end" in window.card.note.text()


def test_the_persons_prices_count_and_not_the_files(
    qtbot: QtBot, window: MainWindow, demo_session: Path
) -> None:
    choose(window, Goal.MEMORY)
    open_session(qtbot, window, demo_session)
    found = recommend(window.session_model.session)
    assert found is not None and found.goal is Goal.MEMORY
    assert window.card.sentence.text() == found.sentence
