"""A sweep in the window: the form, plots and table, a point's run, stop and resume."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui import app, opener
from gui.dialogs.sweep_dialog import SweepDialog
from gui.main_window import MainWindow
from gui.sweep_model import SweepModel
from gui.views.sweep_view import CURVES, FRONT, HEAT, SweepView
from profiler.session import Session
from profiler.sweep.points import order
from profiler.sweep.state import Sweep
from profiler.sweep.sweep_file import read_point, read_sweep
from profiler.types import PointState, Round, SweepPlan
from tests.gui.driving import DEMO, PATIENCE_MS, SHORT_WARMUP, open_model
from tests.profiler.sweep.driving import Driver, install, plan, sweep_plan

MS = 1_000_000


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A sweep of two axes on scripted lanes; points of batch 4 can't run."""
    driver = Driver({"base": lambda n: 4 * MS * n, "fast": lambda n: (5 + n) * MS}, fails_at=4)
    install(monkeypatch, driver)
    path = tmp_path / "made.dualscope"
    driver.events(sweep_plan(plan("base", "fast"), "batch=1,2,3,4", "threads=1,2"), path)
    return path


def test_the_form_shows_what_applies_and_what_is_wrong(qtbot: QtBot) -> None:
    dialog = SweepDialog(plan("base", "fast"))
    qtbot.addWidget(dialog)
    (box, line), *_ = dialog.rows
    assert (box.currentText(), line.text()) == ("batch", "1,2,4,8,16")
    names = [box.itemText(number) for number in range(box.count())]
    assert "sequence" not in names
    assert "callers" in names
    line.setText("1,two")
    assert "can't be 'two'" in dialog.problem.text()
    assert not dialog.start.isEnabled()
    line.setText("1,2")
    dialog.add_axis("precision", "fp32,int8")
    assert "4 points" in dialog.estimate.text()
    dialog.limit.setValue(3.0)
    found = dialog.sweep()
    assert [axis.values for axis in found.axes] == [("1", "2"), ("fp32", "int8")]
    assert found.plan.stopping.time_limit_s == 3.0
    dialog.add_axis("batch", "1,2")
    assert "twice" in dialog.problem.text()


def test_curves_front_heat_map_and_table_show_the_sweep(
    qtbot: QtBot, qapp: QApplication, made: Path
) -> None:
    app.set_up(qapp)
    model = SweepModel()
    view = SweepView(model)
    qtbot.addWidget(view)
    view.resize(900, 600)
    view.show()
    model.show(read_sweep(made), made)
    assert "fast wins from batch 2, base up to 1" in view.findings.text()
    assert "2 of 8 points could not run" in view.findings.text()
    assert view.table.rowCount() == 8 * 2
    notes = {view.table.item(row, 8).text() for row in range(view.table.rowCount())}  # type: ignore[union-attr]
    assert any("too big" in note for note in notes)
    assert view.kind.currentText() == CURVES
    assert [len(plot.listDataItems()) > 0 for plot in view.plots] == [True] * 3
    with qtbot.waitSignal(view.point_chosen) as chosen:
        curve = view.plots[0].listDataItems()[-1]
        curve.sigPointsClicked.emit(curve, curve.scatter.points()[:1], None)
    assert chosen.args is not None
    assert chosen.args[0] in range(8)
    view.kind.setCurrentText(HEAT)
    view.kind.activated.emit(view.kind.currentIndex())
    assert (view.heat.rowCount(), view.heat.columnCount()) == (4, 2)
    assert view.heat.item(2, 0).text() == "1.50×"  # type: ignore[union-attr]
    assert view.heat.item(3, 0) is None
    view.kind.setCurrentText(FRONT)
    view.kind.activated.emit(view.kind.currentIndex())
    assert view.front.getPlotItem().items
    assert not view.resume.isVisibleTo(view)
    assert view.export.isVisibleTo(view)


def test_an_opened_sweep_shows_a_points_run_and_is_exported(
    qtbot: QtBot, window: MainWindow, made: Path, tmp_path: Path
) -> None:
    with qtbot.waitSignal(window.opener.sweep_opened, timeout=PATIENCE_MS):
        window.open_path(made)
    assert window.tabs.currentWidget() is window.sweep_view
    assert window.actions_by_name["save_session"].isEnabled()
    with qtbot.waitSignal(window.opener.point_opened, timeout=PATIENCE_MS):
        window.sweeps.open_point(5)
    shown = window.session_model.session
    assert shown.plan is not None
    assert shown.plan.inputs[0].shape == (3, 3)
    assert shown.operators("fast")
    assert "fast is 1.50× faster than base" in window.banner.text
    target = tmp_path / "out.json"
    window.sweeps.export("json", target)
    qtbot.waitUntil(lambda: target.exists() and target.stat().st_size > 0, timeout=PATIENCE_MS)
    assert len(json.loads(target.read_text())["points"]) == 8


def test_a_points_run_is_read_once(
    qtbot: QtBot, window: MainWindow, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counted(path: Path, index: int) -> Session:
        read.append(index)
        return read_point(path, index)

    monkeypatch.setattr(opener, "read_point", counted)
    with qtbot.waitSignal(window.opener.sweep_opened, timeout=PATIENCE_MS):
        window.open_path(made)
    with qtbot.waitSignal(window.opener.point_opened, timeout=PATIENCE_MS):
        window.sweeps.open_point(5)
        window.sweeps.open_point(5)
    shown = window.session_model.session
    window.tabs.setCurrentWidget(window.sweep_view)
    window.sweeps.open_point(5)
    assert not window.opener.is_busy
    assert window.tabs.currentWidget() is window.report
    assert read == [5]
    # Back to the one that is shown, while another is being read.
    window.sweeps.open_point(4)
    window.sweeps.open_point(5)
    assert not window.opener.is_busy
    assert window.session_model.session is shown
    with qtbot.waitSignal(window.opener.point_opened, timeout=PATIENCE_MS):
        window.sweeps.open_point(4)
    assert window.session_model.session is not shown


def test_a_sweep_is_stopped_and_resumed(qtbot: QtBot, window: MainWindow) -> None:
    """Real engines, on the demo model."""
    open_model(qtbot, window, DEMO, graph=False)
    dialog = SweepDialog(window.draft.plan(), window)
    dialog.rows[0][1].setText("1,2")
    dialog.limit.setValue(1.0)
    sweep = _quick(dialog.sweep())
    dialog.deleteLater()

    def begun() -> bool:
        return any(isinstance(r, Round) for r in _rounds(window.sweep_model.sweep))

    window.sweeps.start(sweep)
    qtbot.waitUntil(begun, timeout=PATIENCE_MS)
    assert window.sweep_view.halt.isVisible()
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS) as ended:
        window.sweep_view.halt.click()
    assert ended.args == [None]
    stopped = window.sweep_model.sweep
    assert [r.state for r in stopped.results.values()] == [PointState.STOPPED]
    assert window.sweep_view.resume.isVisible()
    with qtbot.waitSignal(window.runs.ended, timeout=PATIENCE_MS):
        window.sweep_view.resume.click()
    path = window.sweep_model.path
    assert path is not None
    found = read_sweep(path)
    assert [found.results[p.index].state for p in order(sweep)] == [PointState.DONE] * 2
    assert not window.sweep_view.resume.isVisible()
    assert window.sweep_view.table.rowCount() == 4
    assert str(path) in window.settings.recent_files


def _quick(sweep: SweepPlan) -> SweepPlan:
    return msgspec.structs.replace(
        sweep, plan=msgspec.structs.replace(sweep.plan, warmup=SHORT_WARMUP)
    )


def _rounds(sweep: Sweep) -> list[Round]:
    sessions = [result.session for result in sweep.results.values()]
    return [turn for s in sessions for rounds in s.rounds.values() for turn in rounds]
