"""The HTML reports as a browser lays them out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtWebEngineWidgets import QWebEngineView
from pytestqt.qtbot import QtBot

from profiler.exporters import formats
from profiler.session_file import read_session
from profiler.sweep.html import render_html
from profiler.sweep.sweep_file import read_sweep
from tests.gui.driving import PATIENCE_MS
from tests.profiler.sweep.driving import Driver, install, plan, sweep_plan

MS = 1_000_000
# Of cells with text the narrowest; sections wider than the page; the page itself.
LAYOUT = """JSON.stringify({
  narrowest: Math.min(...Array.from(document.querySelectorAll("td:not(.number)"),
    (cell) => cell.offsetWidth)),
  too_wide: Array.from(document.querySelectorAll("section"))
    .filter((part) => part.scrollWidth > part.clientWidth).length,
  page: document.documentElement.scrollWidth,
})"""


def laid_out(qtbot: QtBot, text: str, tmp_path: Path) -> dict[str, Any]:
    """At 1280 pixels."""
    path = tmp_path / "report.html"
    path.write_text(text, encoding="utf-8")
    view = QWebEngineView()
    qtbot.addWidget(view)
    view.resize(1280, 900)
    view.show()
    with qtbot.waitSignal(view.loadFinished, timeout=PATIENCE_MS):
        view.load(QUrl.fromLocalFile(str(path)))
    found: list[str] = []
    view.page().runJavaScript(LAYOUT, found.append)
    qtbot.waitUntil(lambda: bool(found), timeout=PATIENCE_MS)
    layout: dict[str, Any] = json.loads(found[0])
    return layout


def assert_legible(layout: dict[str, Any]) -> None:
    assert layout["narrowest"] >= 60, "no name is written letter by letter"
    assert layout["too_wide"] == 0
    assert layout["page"] <= 1280


def test_a_sessions_tables_fit_the_page(qtbot: QtBot, tmp_path: Path, demo_session: Path) -> None:
    text = formats()["html"].render(read_session(demo_session))
    assert "it lies" in text and "within tolerance" in text
    assert_legible(laid_out(qtbot, text, tmp_path))


def test_a_sweeps_table_fits_with_a_long_reason(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver({"base": lambda n: 4 * MS * n, "fast": lambda n: (5 + n) * MS}, fails_at=4)
    install(monkeypatch, driver)
    path = tmp_path / "made.dualscope"
    driver.events(sweep_plan(plan("base", "fast"), "batch=1,2,4", "threads=1,2"), path)
    sweep = read_sweep(path)
    text = render_html(sweep)
    assert "too big" in text
    text = text.replace("too big", "too big, " * 40)
    assert_legible(laid_out(qtbot, text, tmp_path))
