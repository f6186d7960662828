"""Files that ask first: dialogs, driven with keys and clicks; nothing runs before the answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTableWidget
from pytestqt.qtbot import QtBot

from gui.dialogs.bounds_dialog import BoundsDialog
from gui.dialogs.consent_dialog import ConsentDialog
from gui.dialogs.factory_dialog import FactoryDialog
from gui.dialogs.trusted_dialog import TrustedDialog
from gui.main_window import MainWindow
from gui.views.inputs_table import FILL
from profiler import consent
from profiler.lanes import parse_lane
from profiler.types import Fill
from tests import model_zoo
from tests.gui.driving import DEMO, PATIENCE_MS, open_model

Kind = TypeVar("Kind", bound=QDialog)

LAYER = """
from pathlib import Path
import torch

(Path(__file__).parent / "imported").touch()


class Doubled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) * 2
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Path]:
    """A pickled module whose class lies beside it and leaves a mark when it is imported."""
    (tmp_path / "window_layer.py").write_text(LAYER)
    save = "import torch, window_layer; torch.save(window_layer.Doubled().eval(), 'foreign.pt')"
    subprocess.run([sys.executable, "-c", save], cwd=tmp_path, check=True)
    (tmp_path / "imported").unlink()
    yield tmp_path / "foreign.pt"
    assert "window_layer" not in sys.modules, "never in the window's process"


def asked(qtbot: QtBot, window: MainWindow, path: Path, kind: type[Kind]) -> Kind:
    """Open a file and wait for the dialog that it brings up."""
    window.open_path(path)
    return shown(qtbot, window, kind)


def shown(qtbot: QtBot, window: MainWindow, kind: type[Kind]) -> Kind:
    def visible() -> list[Kind]:
        return [found for found in window.findChildren(kind) if found.isVisible()]

    qtbot.waitUntil(lambda: bool(visible()), timeout=PATIENCE_MS)
    return visible()[0]


def text(table: QTableWidget, row: int, column: int) -> str:
    item = table.item(row, column)
    assert item is not None
    return item.text()


def press(dialog: ConsentDialog | FactoryDialog, role: QDialogButtonBox.ButtonRole) -> None:
    box = dialog.buttons
    (button,) = [b for b in box.buttons() if box.buttonRole(b) is role]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


ACCEPT, REJECT = QDialogButtonBox.ButtonRole.AcceptRole, QDialogButtonBox.ButtonRole.RejectRole


def test_a_foreign_module_asks_and_the_answer_can_be_taken_back(
    qtbot: QtBot, window: MainWindow, foreign: Path
) -> None:
    mark = foreign.parent / "imported"
    dialog = asked(qtbot, window, foreign, ConsentDialog)
    assert [text(dialog.table, 0, column) for column in range(2)] == ["window_layer", "Doubled"]
    # Enter is "Cancel": nobody agrees by mistake.
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    qtbot.waitUntil(window.messages.isVisible, timeout=PATIENCE_MS)
    assert window.draft.info is None and not mark.exists()
    assert not consent.kept()

    dialog = asked(qtbot, window, foreign, ConsentDialog)
    with qtbot.waitSignal(window.opener.model_opened, timeout=PATIENCE_MS):
        press(dialog, ACCEPT)
    assert mark.exists(), "a child imported it"
    assert window.draft.info is not None and window.draft.info.source.trusted
    assert [entry.name for entry in consent.kept()] == [str(foreign)]
    with qtbot.waitSignal(window.opener.model_opened, timeout=PATIENCE_MS):
        window.open_path(foreign)

    window.actions_by_name["trusted"].trigger()
    listing = shown(qtbot, window, TrustedDialog)
    assert text(listing.table, 0, 0) == "foreign.pt"
    assert not listing.take_back.isEnabled()
    centre = listing.table.visualItemRect(listing.table.item(0, 0)).center()
    QTest.mouseClick(
        listing.table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, centre
    )
    QTest.mouseClick(listing.take_back, Qt.MouseButton.LeftButton)
    assert listing.table.rowCount() == 0 and not consent.kept()
    QTest.keyClick(listing, Qt.Key.Key_Escape)
    dialog = asked(qtbot, window, foreign, ConsentDialog)
    press(dialog, REJECT)


def test_consent_to_a_lane_s_own_model_starts_the_run(
    qtbot: QtBot, window: MainWindow, foreign: Path
) -> None:
    open_model(qtbot, window, DEMO, graph=False)
    window.draft.add_engine(parse_lane(f"own=torch-eager,model={foreign}"))
    window.profile()
    dialog = shown(qtbot, window, ConsentDialog)
    with qtbot.waitSignal(window.runs.started, timeout=PATIENCE_MS):
        press(dialog, ACCEPT)
    window.stop()
    assert window.draft.info is not None and window.draft.info.source.path == str(DEMO)
    own = window.draft.engines[-1].model
    assert own is not None and own.path == str(foreign)


def test_dangerous_names_are_marked(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = model_zoo.hostile_module(tmp_path, marker)
    dialog = asked(qtbot, window, path, ConsentDialog)
    assert text(dialog.table, 0, 0).startswith("⚠")
    assert "system" in text(dialog.table, 0, 1)
    press(dialog, REJECT)
    qtbot.waitUntil(window.messages.isVisible, timeout=PATIENCE_MS)
    assert not marker.exists()


def test_a_state_dict_asks_for_its_factory(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    weights, factory = model_zoo.state_dict(tmp_path), model_zoo.factory_file(tmp_path)
    dialog = asked(qtbot, window, weights, FactoryDialog)
    assert not dialog.run_button.isEnabled()
    dialog.target.setFocus()
    QTest.keyClicks(dialog.target, f"{factory}:build")
    QTest.keyClicks(dialog.arguments, "classes")
    assert not dialog.run_button.isEnabled() and "NAME=VALUE" in dialog.problem.text()
    QTest.keyClicks(dialog.arguments, "=5")
    with qtbot.waitSignal(window.opener.failed, timeout=PATIENCE_MS):
        press(dialog, ACCEPT)
    assert "5.weight is [4, 8], the module's [5, 8]" in window.messages.text

    again = asked(qtbot, window, weights, FactoryDialog)
    assert again.target.text() == f"{factory}:build", "what was written is still there"
    QTest.keyClick(again.arguments, Qt.Key.Key_End)
    QTest.keyClick(again.arguments, Qt.Key.Key_Backspace)
    QTest.keyClicks(again.arguments, "4")
    with qtbot.waitSignal(window.opener.model_opened, timeout=PATIENCE_MS):
        press(again, ACCEPT)
    assert window.draft.info is not None and window.draft.info.parameter_count > 200
    # Other arguments are another question.
    assert [(entry.name, entry.names) for entry in consent.kept()] == [
        (f"{factory}:build", ('{"classes": 5}',)),
        (f"{factory}:build", ('{"classes": 4}',)),
    ]


def test_the_bounds_of_a_fill_are_asked(qtbot: QtBot, window: MainWindow) -> None:
    open_model(qtbot, window, DEMO, graph=False)
    table = window.model_panel.inputs
    box = table.cellWidget(0, FILL)
    box.setFocus()
    # The list of a combo box: down from "normal" to "uniform…".
    QTest.keyClick(box, Qt.Key.Key_Down)
    dialog = shown(qtbot, window, BoundsDialog)
    dialog.high.selectAll()
    QTest.keyClicks(dialog.high, "255")
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.draft.inputs[0].fill is Fill.UNIFORM, timeout=PATIENCE_MS)
    assert (window.draft.inputs[0].low, window.draft.inputs[0].high) == (0.0, 255.0)
