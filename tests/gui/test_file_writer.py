"""Names that are proposed for files, and what a name without its suffix becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QMessageBox
from pytestqt.qtbot import QtBot

from gui.main_window import MainWindow
from profiler.exporters import formats
from profiler.session import Session
from profiler.types import Generated
from tests.gui.driving import open_session, wait_for_file
from tests.sample_session import generation_events, sample_events, session_of


def test_each_format_has_a_name_of_its_own(
    qtbot: QtBot, window: MainWindow, demo_session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_session(qtbot, window, demo_session)
    proposed: list[str] = []

    def cancelled(_: object, __: str, start: str, ___: str) -> tuple[str, str]:
        proposed.append(Path(start).name)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", cancelled)
    for exporter in formats().values():
        window.files.ask_export(exporter)
    assert len(set(proposed)) == len(formats())
    assert {"demo.json", "demo.html", "demo-chrome-trace.json"} < set(proposed)


def test_only_what_the_session_holds_is_offered(window: MainWindow) -> None:
    without_text = [e for e in sample_events() if not isinstance(e, Generated)]
    entries = offered(window, session_of(without_text))
    assert entries["Generated tokens (CSV): no text was generated"] is False
    assert entries["Configurations tried (CSV): not a search for the fastest"] is False
    assert [text for text, enabled in entries.items() if enabled] == [
        "Timeline (Chrome trace, Perfetto)…",
        "Operators (CSV)…",
        "Rounds and latencies (CSV)…",
        "Report (HTML)…",
        "Everything (JSON)…",
    ]
    text = offered(window, session_of(generation_events()))
    assert text["Generated tokens (CSV)…"] is True
    assert text["Operators (CSV): generations are timed token by token, not traced"] is False
    begun = offered(window, session_of(sample_events()[:1]))
    assert begun["Rounds and latencies (CSV): nothing was measured"] is False


def offered(window: MainWindow, session: Session) -> dict[str, bool]:
    """Entries of the Export menu, and whether they can be chosen."""
    window.session_model.show(session, None)
    window.menus.export.aboutToShow.emit()
    return {action.text(): action.isEnabled() for action in window.menus.export.actions()}


def test_a_name_gets_its_suffix_and_replaces_nothing_unasked(
    qtbot: QtBot,
    window: MainWindow,
    demo_session: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_session(qtbot, window, demo_session)
    typed, target = tmp_path / "report v1.2", tmp_path / "report v1.2.html"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(typed), ""))
    window.files.ask_export(formats()["html"])
    wait_for_file(qtbot, target)
    window.files.wait()
    assert not typed.exists()
    target.write_text("mine")
    asked: list[str] = []

    def answer_no(_: object, __: str, text: str) -> QMessageBox.StandardButton:
        asked.append(text)
        return QMessageBox.StandardButton.No

    monkeypatch.setattr(QMessageBox, "question", answer_no)
    window.files.ask_export(formats()["html"])
    window.files.wait()
    assert "report v1.2.html" in asked[0]
    assert target.read_text() == "mine"
