"""The window's menus and toolbar: the table of actions, and what comes with the state of things."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QLabel, QMainWindow, QMenu, QSizePolicy, QWidget

from gui import theme
from gui.actions import add_actions
from gui.file_writer import FileWriter
from gui.reasons import NO_SESSION, allow
from gui.settings import Settings
from gui.views.menu_button import export_menu, menu_button
from profiler.exporters import formats

EXPORT_TIP = "Write the session in another format"


class Menus(QObject):
    """Signals: `file_wanted(Path)` of a recent file, `theme_wanted(name)`.

    `actions` by name; `recent`, `export` are menus; `device_chip` tells what the machine has.
    """

    file_wanted = Signal(object)
    theme_wanted = Signal(str)

    def __init__(self, window: QMainWindow, settings: Settings, files: FileWriter) -> None:
        super().__init__(window)
        self._settings = settings
        self.actions, menus = add_actions(window)
        self.recent = QMenu("Open &Recent", window)
        self.recent.aboutToShow.connect(self.fill_recent)
        self.export = export_menu(
            {name: exporter.description for name, exporter in formats().items()},
            lambda name: files.ask_export(formats()[name]),
            window,
            lambda name: files.missing(formats()[name]),
        )
        self._complete(menus)
        self.device_chip = QLabel("CPU", window)
        self._build_toolbar(window)

    def set_exportable(self, something: bool) -> None:
        """Whether there is a session to export."""
        reason = "" if something else NO_SESSION
        allow(self.export.menuAction(), reason, EXPORT_TIP)
        allow(self._export_button, reason, EXPORT_TIP)

    def fill_recent(self) -> None:
        """The recent files as they are now."""
        self.recent.clear()
        for name in self._settings.recent_files:
            path = Path(name)
            gone = "" if path.exists() else "It is no longer there"
            text = f"{path.name}    {path.parent}"
            action = self.recent.addAction(f"{text}    ({gone.lower()})" if gone else text)
            allow(action, gone)
            action.triggered.connect(lambda _=False, path=path: self.file_wanted.emit(path))
        if not self._settings.recent_files:
            self.recent.addAction("nothing yet").setEnabled(False)

    def _complete(self, menus: dict[str, QMenu]) -> None:
        file_menu, actions = menus["File"], self.actions
        file_menu.insertMenu(actions["save_session"], self.recent)
        file_menu.insertMenu(actions["quit"], self.export)
        file_menu.insertSeparator(actions["quit"])
        theme_menu = menus["View"].addMenu("&Theme")
        for name in theme.SCHEMES:
            theme_menu.addAction(name.capitalize()).triggered.connect(
                lambda _=False, name=name: self.theme_wanted.emit(name)
            )

    def _build_toolbar(self, window: QMainWindow) -> None:
        bar = window.addToolBar("Main")
        bar.setObjectName("main-toolbar")
        bar.setMovable(False)
        bar.toggleViewAction().setVisible(False)
        bar.addAction(self.actions["open"])
        bar.addWidget(menu_button("Recent", self.recent, window))
        bar.addSeparator()
        for name in ("profile", "sweep", "suite", "stop"):
            bar.addAction(self.actions[name])
        bar.addSeparator()
        self._export_button = menu_button("Export", self.export, window)
        bar.addWidget(self._export_button)
        spacer = QWidget(window)
        spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        bar.addWidget(spacer)
        self.device_chip.setProperty("role", "caption")
        self.device_chip.setContentsMargins(0, 0, 8, 0)
        bar.addWidget(self.device_chip)
