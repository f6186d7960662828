"""The window's commands as data: menus, toolbar and shortcuts derive from this table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu


@dataclass(frozen=True)
class ActionSpec:
    """`menu` is the menu's title; `slot` the name of the window's method."""

    name: str
    text: str
    menu: str
    slot: str
    shortcut: str = ""
    tip: str = ""
    toolbar: bool = False
    checkable: bool = False


ACTIONS = (
    ActionSpec("open", "&Open…", "&File", "choose_file", "Ctrl+O", "Open a model or session", True),
    ActionSpec(
        "open_folder",
        "Open &Folder…",
        "&File",
        "choose_folder",
        "Ctrl+Shift+O",
        "Open a folder that transformers saved a language model in",
    ),
    ActionSpec("save_session", "&Save Session As…", "&File", "save_session", "Ctrl+S"),
    ActionSpec("trusted", "&Trusted Files…", "&File", "show_trusted"),
    ActionSpec("quit", "&Quit", "&File", "close", "Ctrl+Q"),
    ActionSpec(
        "profile", "▶ &Profile", "&Run", "profile", "F5", "Measure the lanes (F5)", toolbar=True
    ),
    ActionSpec(
        "fastest",
        "Find the &Fastest…",
        "&Run",
        "find_fastest",
        "F6",
        "Search each engine's options for the fastest configuration (F6)",
    ),
    ActionSpec(
        "sweep", "S&weep…", "&Run", "choose_sweep", "F7", "Measure at several values (F7)", True
    ),
    ActionSpec(
        "suite",
        "S&uite…",
        "&Run",
        "show_suite",
        "F8",
        "Well-known models on this machine, and what an article claims (F8)",
        True,
    ),
    ActionSpec(
        "stop", "■ &Stop", "&Run", "stop", "Shift+F5", "Stop; what was measured is kept", True
    ),
    ActionSpec("find", "&Find Node…", "&View", "find_node", "Ctrl+F"),
    ActionSpec("zoom_in", "Zoom &In", "&View", "zoom_in", "Ctrl++"),
    ActionSpec("zoom_out", "Zoom &Out", "&View", "zoom_out", "Ctrl+-"),
    ActionSpec("zoom_reset", "&Original Size", "&View", "zoom_reset", "Ctrl+0"),
    ActionSpec(
        "strips",
        "&Live Strips",
        "&View",
        "toggle_strips",
        "Ctrl+L",
        "Latency, operators, GPUs, CPU and memory along the bottom (Ctrl+L). Until you choose, a "
        "low window shows them while something is measured",
        checkable=True,
    ),
    ActionSpec("about", "&About Dualscope", "&Help", "about"),
    ActionSpec("sessions_folder", "Open Sessions &Folder", "&Help", "open_sessions_folder"),
)


def tip(name: str) -> str:
    """What the action does, as its tool tip has it."""
    spec = next(spec for spec in ACTIONS if spec.name == name)
    return spec.tip or spec.text.replace("&", "")


def add_actions(window: QMainWindow) -> tuple[dict[str, QAction], dict[str, QMenu]]:
    """Make every action and its menu; returns both by name (menus by title without `&`)."""
    actions: dict[str, QAction] = {}
    menus: dict[str, QMenu] = {}
    for spec in ACTIONS:
        title = spec.menu.replace("&", "")
        if title not in menus:
            menus[title] = window.menuBar().addMenu(spec.menu)
        action = QAction(spec.text, window)
        action.setCheckable(spec.checkable)
        if spec.shortcut:
            action.setShortcut(QKeySequence(spec.shortcut))
        action.setToolTip(tip(spec.name))
        slot: Callable[[], object] = getattr(window, spec.slot)
        action.triggered.connect(lambda _=False, slot=slot: slot())
        menus[title].addAction(action)
        actions[spec.name] = action
    return actions, menus
