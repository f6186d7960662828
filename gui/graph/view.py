"""The graph: the real Netron, told what to show and what is selected."""

from __future__ import annotations

import json
from pathlib import Path

import shiboken6
from PySide6.QtCore import QObject, Qt, QUrl, Signal, Slot
from PySide6.QtWebChannel import QWebChannel
from PySide6.QtWebEngineCore import QWebEnginePage, QWebEngineProfile, QWebEngineSettings
from PySide6.QtWebEngineWidgets import QWebEngineView
from PySide6.QtWidgets import QLabel, QStackedWidget, QVBoxLayout, QWidget

from gui.graph.scheme import HOST, INDEX, NAME, Interceptor, SchemeHandler
from gui.views.keyboard import LeavesByTab

CRASHES_UNTIL_GIVING_UP = 3


class Bridge(QObject):
    """What the page may call: it has no other way into the program."""

    page_started = Signal()
    node_selected = Signal(str)
    graph_loaded = Signal(int)
    graph_failed = Signal(str)

    @Slot()
    def started(self) -> None:
        self.page_started.emit()

    @Slot(str)
    def selected(self, value_name: str) -> None:
        self.node_selected.emit(value_name)

    @Slot(int)
    def loaded(self, node_count: int) -> None:
        self.graph_loaded.emit(node_count)

    @Slot(str)
    def failed(self, message: str) -> None:
        self.graph_failed.emit(message)


class Page(QWebEnginePage):
    """A page that stays where it is and keeps what its console says."""

    def __init__(self, profile: QWebEngineProfile, parent: QObject) -> None:
        super().__init__(profile, parent)
        self.console: list[str] = []

    # Qt overrides

    def acceptNavigationRequest(
        self, url: QUrl | str, type: QWebEnginePage.NavigationType, is_main_frame: bool
    ) -> bool:
        del type, is_main_frame
        return QUrl(url).scheme().encode() == NAME

    def javaScriptConsoleMessage(
        self,
        level: QWebEnginePage.JavaScriptConsoleMessageLevel,
        message: str,
        line_number: int,
        source_id: str,
    ) -> None:
        del level
        self.console.append(f"{source_id}:{line_number}: {message}")


class GraphView(QWidget):
    """Netron's view of one model file.

    Signals: `node_selected(value name of the node's first output)`, `loaded(number of nodes)`,
    `failed(message)`.
    """

    node_selected = Signal(str)
    loaded = Signal(int)
    failed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._profile = QWebEngineProfile(self)
        self.interceptor = Interceptor(self._profile)
        self._handler = SchemeHandler(self._profile)
        self._profile.setUrlRequestInterceptor(self.interceptor)
        self._profile.installUrlSchemeHandler(NAME, self._handler)
        self._bridge = Bridge(self)
        self._page_is_up = False
        self._crashes = 0
        self._shown: Path | None = None
        self._served = 0
        self._wanted_node = ""
        self._heat: dict[str, tuple[str, str, str]] = {}
        self._page: Page | None = None

        self._web = QWebEngineView(self)
        # Files that are dropped here are the window's to open.
        self._web.setAcceptDrops(False)
        LeavesByTab(self._web)
        self._web.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self._note = QLabel(self)
        self._note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._note.setWordWrap(True)
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self._note)
        self._stack.addWidget(self._web)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)

        self._bridge.page_started.connect(self._on_page_started)
        self._bridge.node_selected.connect(self.node_selected)
        self._bridge.graph_loaded.connect(self._on_graph_loaded)
        self._bridge.graph_failed.connect(self._on_graph_failed)
        self._load_page()

    @property
    def shown(self) -> Path | None:
        """The file whose graph is shown or on its way."""
        return self._shown

    @property
    def page(self) -> Page:
        """For scripts of tests; views use the methods below."""
        assert self._page is not None
        return self._page

    def show_model(self, path: Path) -> None:
        """Draw the graph of this file; `loaded` or `failed` follows."""
        self._shown = path
        self._wanted_node = ""
        # Netron lays the graph out in frames, which a hidden page doesn't get.
        self._stack.setCurrentWidget(self._web)
        if self._page_is_up:
            self._open()

    def clear(self) -> None:
        """Show nothing."""
        self._shown = None
        self.say("")

    def say(self, text: str) -> None:
        """Show a text in place of the graph."""
        self._note.setText(text)
        self._stack.setCurrentWidget(self._note)

    def select_node(self, value_name: str) -> None:
        """Select and scroll to the node whose first output has this name; no signal comes back."""
        self._wanted_node = value_name
        self._script(f"dualscope.select({json.dumps(value_name)})")

    def show_heat(self, colours: dict[str, tuple[str, str, str]]) -> None:
        """Colour nodes by name: fill, colour of the text, label. Empty: Netron's own colours."""
        self._heat = colours
        self._script(f"dualscope.heat({json.dumps(colours)})")

    def zoom(self, factor: float) -> None:
        """Zoom by a factor; 0 goes back to the original size."""
        self._script(f"dualscope.zoom({factor!r})")

    def open_search(self) -> None:
        """Open Netron's own search."""
        self._script("dualscope.find()")

    def set_dark(self, dark: bool) -> None:
        """Follow the window's theme; the graph is drawn again when it changes."""
        if self._handler.dark == dark:
            return
        self._handler.dark = dark
        self._page_is_up = False
        self.page.load(QUrl(f"{NAME.decode()}://{HOST}/{INDEX}"))

    def shut_down(self) -> None:
        """Delete the page before its profile; nothing is shown after this."""
        self._page_is_up = False
        self._shown = None
        if self._page is not None and shiboken6.isValid(self._page):
            shiboken6.delete(self._page)

    def _load_page(self) -> None:
        self._page_is_up = False
        page = Page(self._profile, self._web)
        channel = QWebChannel(page)
        channel.registerObject("bridge", self._bridge)
        page.setWebChannel(channel)
        settings = page.settings()
        for attribute, value in (
            (QWebEngineSettings.WebAttribute.LocalContentCanAccessFileUrls, False),
            (QWebEngineSettings.WebAttribute.LocalContentCanAccessRemoteUrls, False),
            (QWebEngineSettings.WebAttribute.JavascriptCanOpenWindows, False),
            (QWebEngineSettings.WebAttribute.PluginsEnabled, False),
        ):
            settings.setAttribute(attribute, value)
        page.renderProcessTerminated.connect(self._on_render_process_gone)
        before, self._page = self._page, page
        self._web.setPage(page)
        if before is not None:
            before.deleteLater()
        page.load(QUrl(f"{NAME.decode()}://{HOST}/{INDEX}"))

    def _open(self) -> None:
        if self._shown is None:
            return
        # Netron tells the format by the suffix; the rest of the name is ours, so that no name of
        # a file can mean anything in a URL. The number keeps an older answer from a cache.
        self._served += 1
        name = f"model-{self._served}{self._shown.suffix.lower()}"
        self._handler.offer_model(name, self._shown)
        self._script(f"dualscope.open({json.dumps(name)}, {json.dumps(self._shown.name)})")

    def _script(self, text: str) -> None:
        if self._page_is_up:
            self.page.runJavaScript(text)

    def _on_page_started(self) -> None:
        self._page_is_up = True
        self._open()

    def _on_graph_loaded(self, node_count: int) -> None:
        if self._shown is None:
            return
        self._crashes = 0
        # A page that was loaded anew knows of no colours.
        self.show_heat(self._heat)
        if self._wanted_node:
            self.select_node(self._wanted_node)
        self.loaded.emit(node_count)

    def _on_graph_failed(self, message: str) -> None:
        if self._shown is None:
            return
        text = message or "Netron found no graph in this file."
        self.say(f"The graph can't be shown: {text}")
        self.failed.emit(text)

    def _on_render_process_gone(
        self, status: QWebEnginePage.RenderProcessTerminationStatus, code: int
    ) -> None:
        self._crashes += 1
        if self._crashes >= CRASHES_UNTIL_GIVING_UP:
            self._page_is_up = False
            self.say(f"The graph's process ended ({status.name}, {code}); all else still works.")
            self.failed.emit(f"the graph's process ended: {status.name}, {code}")
            return
        self._load_page()
