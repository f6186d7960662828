"""The window: where everything sits, and who talks to whom."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QMessageBox,
    QSizePolicy,
    QSplitter,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui import settings, theme
from gui.actions import ACTIONS, add_actions
from gui.background import Task
from gui.fastest_controller import FastestController
from gui.file_writer import FileWriter
from gui.message_bar import MessageBar
from gui.opener import DRAWN_AS_THEY_ARE, Opener
from gui.plan_draft import PlanDraft
from gui.questions import Questions
from gui.run_controller import RunController
from gui.session_model import SessionModel
from gui.status import RunStatus
from gui.suite_controller import SuiteController
from gui.suite_model import SuiteModel
from gui.sweep_controller import SweepController
from gui.sweep_model import SweepModel
from gui.views.cost_view import CostView
from gui.views.fastest_view import FastestView
from gui.views.generation_view import GenerationView
from gui.views.graph_panel import ZOOM_STEP, GraphPanel
from gui.views.live_view import LiveView
from gui.views.log_view import LogView
from gui.views.model_panel import ModelPanel
from gui.views.operators_view import OperatorsView
from gui.views.outputs_view import OutputsView
from gui.views.recommendation_card import RecommendationCard
from gui.views.report_view import ReportView
from gui.views.suite_view import SuiteView
from gui.views.sweep_view import SweepView
from gui.views.timeline_view import TimelineView
from gui.views.verdict_banner import VerdictBanner
from gui.views.why_view import WhyView
from profiler.errors import ProfilerError, SessionFileError
from profiler.exporters import formats
from profiler.lanes import ONNX
from profiler.search.planning import plan_so_far
from profiler.session import Session
from profiler.session_file import SUFFIX
from profiler.suite.table import notes
from profiler.sweep.state import Sweep
from profiler.sweep.table import progress_text
from profiler.telemetry import gpu_status
from profiler.types import Event, ModelConverted, ModelInfo, ModelKind, Question
from profiler.version import VERSION

SUFFIXES = "*.onnx *.pt *.pth *.jit *.ptl *.pt2 *.ckpt *.bin *.safetensors *.index.json"
FILTER = f"Models and sessions ({SUFFIXES} *{SUFFIX});;All files (*)"


class MainWindow(QMainWindow):
    """Dualscope's one window."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = settings.load()
        self.draft = PlanDraft(self)
        self.draft.time_limit_s = self.settings.time_limit_s
        self.draft.target_width = self.settings.target_width
        self.session_model = SessionModel(self)
        self.session_model.ask(Question(goal=self.settings.goal, cost=self.settings.cost))
        self.sweep_model = SweepModel(self)
        self.suite_model = SuiteModel(self)
        self.runs = RunController(self.session_model, self.sweep_model, self.suite_model, self)
        self.opener = Opener(self)
        self.questions = Questions(self.opener, self)
        self._profile_when_open = False
        self._quit_when_ended = False
        self._graph_put_off = False
        self.files = FileWriter(self.session_model, self.settings, self)
        self.setWindowTitle("Dualscope")
        self.setAcceptDrops(True)
        self.setMinimumSize(960, 620)
        self._build()
        self._connect()
        self._restore()
        self._refresh()

    # --- commands -------------------------------------------------------------------------

    def choose_file(self) -> None:
        """Ask for a model or session."""
        path, _ = QFileDialog.getOpenFileName(self, "Open", self.settings.last_folder, FILTER)
        if path:
            self.open_path(Path(path))

    def choose_folder(self) -> None:
        """Ask for a transformers folder."""
        path = QFileDialog.getExistingDirectory(self, "Open Folder", self.settings.last_folder)
        if path:
            self.open_path(Path(path))

    def open_path(self, path: Path, *, profile: bool = False) -> None:
        """Open a model or session; with `profile`, start a run when it's there."""
        if self.runs.running:
            self.messages.show_note(
                f"A run is going on: {path.name} was not opened.", "Stop it first (Shift+F5)."
            )
            return
        self.messages.clear()
        self._profile_when_open = profile
        self.opener.open(path.absolute())

    def profile(self) -> None:
        """Measure what is set up."""
        if self.draft.info is None or self.runs.running:
            return
        try:
            plan = self.draft.plan()
        except ProfilerError as error:
            self.messages.show_error(error)
            return
        self.messages.clear()
        self.opener.check(plan, self.runs.start)

    def find_fastest(self) -> None:
        """Search each engine's options."""
        self.fastest.ask()

    def choose_sweep(self) -> None:
        """Ask what to vary, and begin."""
        self.sweeps.ask()

    def show_suite(self) -> None:
        """What the suite runs, and what it found."""
        self.tabs.setTabVisible(self.tabs.indexOf(self.suite_view), True)
        self.tabs.setCurrentWidget(self.suite_view)

    def _open_of_suite(self, path: Path) -> None:
        """One of the suite's sessions."""
        self.tabs.setCurrentWidget(self.report)
        self.open_path(path)

    def stop(self) -> None:
        """End the run, or give up opening a file."""
        if self.runs.running:
            self.runs.stop()
        else:
            self.opener.cancel()
        self._refresh()

    def save_session(self) -> None:
        """Copy the session's file to where the person wants it."""
        source = self.session_model.path or self.sweep_model.path
        if source is not None and not self.runs.running:
            self.files.save(source)

    def show_trusted(self) -> None:
        """Which files may run their code."""
        self.questions.show_trusted()

    def find_node(self) -> None:
        """Search in the graph, or in the table if that is in front."""
        in_front = self.tabs.currentWidget()
        if isinstance(in_front, OperatorsView | WhyView):
            in_front.search.setFocus()
            return
        self.tabs.setCurrentWidget(self.graph)
        self.graph.graph.open_search()

    def zoom_in(self) -> None:
        self.graph.graph.zoom(ZOOM_STEP)

    def zoom_out(self) -> None:
        self.graph.graph.zoom(1 / ZOOM_STEP)

    def zoom_reset(self) -> None:
        self.graph.graph.zoom(0)

    def set_theme(self, name: str) -> None:
        """Light, dark, or as the system has it."""
        self.settings.theme = name
        theme.apply(name)
        self.restyle()

    def restyle(self) -> None:
        """Take on the theme's colours."""
        self.setStyleSheet(theme.style_sheet())
        self.live.restyle()
        self.sweep_view.restyle()
        self.suite_view.refresh()
        self.graph.graph.set_dark(theme.is_dark())
        self.graph.recolour()
        self.generation.restyle()
        self.model_panel.refresh()
        self.report.refresh()
        self.fastest_view.refresh()

    def open_sessions_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(settings.sessions_folder())))

    def about(self) -> None:
        keys = "".join(
            f"<tr><td>{spec.text.replace('&', '')}&nbsp;&nbsp;</td><td>{spec.shortcut}</td></tr>"
            for spec in ACTIONS
            if spec.shortcut
        )
        QMessageBox.about(
            self,
            "About Dualscope",
            f"<b>Dualscope {VERSION}</b><p>Is ONNX Runtime or PyTorch faster for your model, on "
            f"this machine, and why?</p><table>{keys}</table>"
            "<p>The graph is drawn by Netron. Nothing leaves this machine.</p>",
        )

    # --- layout ---------------------------------------------------------------------------

    def _build(self) -> None:
        self.actions_by_name, menus = add_actions(self)
        self._add_menus(menus)
        self._build_toolbar()
        self.messages = MessageBar(self)
        self.banner = VerdictBanner(self.session_model, self)
        self.card = RecommendationCard(self.session_model, self)
        self.model_panel = ModelPanel(self.draft, self)
        self.graph = GraphPanel(self.session_model, self)
        self.generation = GenerationView(self.session_model, self)
        self.why = WhyView(self.session_model, self)
        self.operators = OperatorsView(self.session_model, self)
        self.timeline = TimelineView(self.session_model, self)
        self.outputs = OutputsView(self.session_model, self)
        self.cost = CostView(self.session_model, self)
        self.fastest_view = FastestView(self.session_model, self)
        self.report = ReportView(self.session_model, self)
        self.log = LogView(self.session_model, self)
        self.sweep_view = SweepView(self.sweep_model, self)
        self.suite_view = SuiteView(self.suite_model, self)
        self.live = LiveView(self.session_model, self)
        self.status = RunStatus(self.statusBar(), self.session_model)
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        for widget, title in (
            (self.graph, "Graph"),
            (self.generation, "Generation"),
            (self.why, "Why"),
            (self.operators, "Operators"),
            (self.timeline, "Timeline"),
            (self.sweep_view, "Sweep"),
            (self.outputs, "Outputs"),
            (self.cost, "Cost"),
            (self.fastest_view, "Fastest"),
            (self.suite_view, "Suite"),
            (self.report, "Report"),
            (self.log, "Log"),
        ):
            self.tabs.addTab(widget, title)
        self.tabs.setTabVisible(self.tabs.indexOf(self.suite_view), False)
        upper = QSplitter(Qt.Orientation.Horizontal, self)
        upper.addWidget(self.model_panel)
        upper.addWidget(self.tabs)
        upper.setStretchFactor(1, 1)
        upper.setSizes([392, 880])
        upper.setChildrenCollapsible(False)
        self.body = QSplitter(Qt.Orientation.Vertical, self)
        self.body.addWidget(upper)
        self.body.addWidget(self.live)
        self.body.setStretchFactor(0, 1)
        self.body.setChildrenCollapsible(False)
        self.body.setSizes([480, 220])
        centre = QWidget(self)
        layout = QVBoxLayout(centre)
        layout.setContentsMargins(8, 8, 8, 0)
        layout.addWidget(self.messages)
        answer = QHBoxLayout()
        answer.addWidget(self.banner, 3)
        answer.addWidget(self.card, 2)
        layout.addLayout(answer)
        layout.addWidget(self.body, 1)
        self.setCentralWidget(centre)

    def _add_menus(self, menus: dict[str, QMenu]) -> None:
        file_menu, save = menus["File"], self.actions_by_name["save_session"]
        self.recent_menu = QMenu("Open &Recent", self)
        self.recent_menu.aboutToShow.connect(self._fill_recent_menu)
        file_menu.insertMenu(save, self.recent_menu)
        self.export_menu = QMenu("&Export", self)
        for exporter in formats().values():
            action = self.export_menu.addAction(f"{exporter.description}…")
            action.triggered.connect(lambda _=False, e=exporter: self.files.ask_export(e))
        file_menu.insertMenu(self.actions_by_name["quit"], self.export_menu)
        file_menu.insertSeparator(self.actions_by_name["quit"])
        theme_menu = menus["View"].addMenu("&Theme")
        for name in theme.SCHEMES:
            theme_menu.addAction(name.capitalize()).triggered.connect(
                lambda _=False, name=name: self.set_theme(name)
            )

    def _build_toolbar(self) -> None:
        bar = self.addToolBar("Main")
        bar.setObjectName("main-toolbar")
        bar.setMovable(False)
        bar.toggleViewAction().setVisible(False)
        bar.addAction(self.actions_by_name["open"])
        bar.addWidget(_menu_button("Recent", self.recent_menu, self))
        bar.addSeparator()
        bar.addAction(self.actions_by_name["profile"])
        bar.addAction(self.actions_by_name["sweep"])
        bar.addAction(self.actions_by_name["suite"])
        bar.addAction(self.actions_by_name["stop"])
        bar.addSeparator()
        self.export_button = _menu_button("Export", self.export_menu, self)
        bar.addWidget(self.export_button)
        spacer = QWidget(self)
        spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        bar.addWidget(spacer)
        self.device_chip = QLabel("CPU", self)
        self.device_chip.setProperty("role", "caption")
        self.device_chip.setContentsMargins(0, 0, 8, 0)
        bar.addWidget(self.device_chip)

    def _connect(self) -> None:
        self.draft.changed.connect(self._refresh)
        self.model_panel.refused.connect(self.messages.show_error)
        self.opener.busy.connect(self._on_busy)
        self.opener.failed.connect(self._on_open_failed)
        self.questions.failed.connect(self._on_declined)
        self.questions.declined.connect(self._on_declined)
        self.opener.model_opened.connect(self._on_model_opened)
        self.opener.session_opened.connect(self._on_session_opened)
        self.opener.sweep_opened.connect(self._on_sweep_opened)
        self.opener.point_opened.connect(self._on_point_opened)
        self.opener.form_found.connect(lambda path: self.graph.add_form("ONNX form", path))
        self.opener.form_failed.connect(self._on_form_failed)
        self.runs.started.connect(self._on_run_started)
        self.runs.ended.connect(self._on_run_ended)
        self.session_model.events_applied.connect(self._on_events_applied)
        self.session_model.session_reset.connect(self._refresh)
        self.session_model.question_changed.connect(self._on_question_changed)
        self.card.details_wanted.connect(lambda: self.tabs.setCurrentWidget(self.report))
        self.graph.node_selected.connect(self.operators.select_node)
        self.operators.node_selected.connect(self.graph.select_node)
        self.operators.node_selected.connect(self.why.select_node)
        self.graph.node_selected.connect(self.why.select_node)
        self.outputs.locate_wanted.connect(self.runs.locate)
        for shown in (self.graph, self.operators, self.why):
            self.outputs.node_selected.connect(shown.select_node)
        self.why.node_selected.connect(self.graph.select_node)
        self.why.node_selected.connect(self.operators.select_node)
        for chooser in (self.graph, self.operators, self.why):
            chooser.node_selected.connect(self.timeline.select_node)
        for shown in (self.graph, self.operators, self.why):
            self.timeline.node_selected.connect(shown.select_node)
        self._connect_commands()
        self._gpu_task = Task(lambda *_: gpu_status(), self)
        self._gpu_task.done.connect(self._on_gpu_status)
        self._gpu_task.start()

    def _connect_commands(self) -> None:
        """Those with a controller of their own, beside their views."""
        self.files.written.connect(self.status.show_message)
        self.files.failed.connect(self.messages.show_error)
        self.sweeps = SweepController(
            self.draft,
            self.opener,
            self.runs,
            self.sweep_model,
            self.messages,
            self.files.write,
            self,
        )
        self.sweep_view.point_chosen.connect(self.sweeps.open_point)
        self.sweep_view.resume_wanted.connect(self.sweeps.resume)
        self.sweep_view.stop_wanted.connect(self.stop)
        self.sweep_view.sweep_wanted.connect(self.sweeps.ask)
        self.sweep_view.export_wanted.connect(self.sweeps.export)
        self.suite = SuiteController(
            self.suite_model, self.opener, self.runs, self.files.write, self
        )
        self.suite_view.start_wanted.connect(self.suite.start)
        self.suite_view.stop_wanted.connect(self.stop)
        self.suite_view.resume_wanted.connect(self.suite.resume)
        self.suite_view.open_wanted.connect(self.suite.choose)
        self.suite_view.session_wanted.connect(self.suite.open_session)
        self.suite_view.export_wanted.connect(self.suite.ask_export)
        self.suite.session_wanted.connect(self._open_of_suite)
        self.fastest = FastestController(
            self.draft, self.opener, self.runs, self.session_model, self.files.write, self
        )
        self.fastest.begun.connect(lambda: self.tabs.setCurrentWidget(self.fastest_view))
        self.fastest_view.lane_wanted.connect(self.fastest.use)
        self.fastest_view.program_wanted.connect(self.fastest.save_program)

    def _restore(self) -> None:
        self.set_theme(self.settings.theme)
        self.resize(1360, 860)
        self.operators.show_columns(self.settings.operator_columns)
        if self.settings.geometry:
            self.restoreGeometry(QByteArray.fromHex(self.settings.geometry.encode()))
        if self.settings.window_state:
            self.body.restoreState(QByteArray.fromHex(self.settings.window_state.encode()))

    # --- what happens ---------------------------------------------------------------------

    def _refresh(self) -> None:
        running, ready = self.runs.running, self.draft.info is not None
        session = self.session_model.session
        enabled = {
            "open": not running,
            "open_folder": not running,
            "profile": ready and not running and not self.opener.is_busy,
            "fastest": ready and not running and not self.opener.is_busy,
            "sweep": ready and not (running or self.opener.is_busy),
            "stop": (running and not self.runs.stopping) or self.opener.is_busy,
            "save_session": not running
            and (self.session_model.path or self.sweep_model.path) is not None,
        }
        for name, value in enabled.items():
            self.actions_by_name[name].setEnabled(value)
        generating = self.generation.applies or self.draft.generates
        self.tabs.setTabVisible(self.tabs.indexOf(self.generation), generating)
        something = session.plan is not None or session.search.plan is not None
        self.export_menu.setEnabled(something)
        self.export_button.setEnabled(something)
        self.model_panel.set_editable(not running)
        self.outputs.set_busy(running)
        self.sweep_view.set_state(ready=ready, running=running and self.runs.sweeping)
        self.suite_view.set_state(
            idle=not running and not self.opener.is_busy, running=running and self.runs.in_suite
        )
        self.banner.set_ready_text(
            f"{Path(self.draft.info.source.path).name} is ready: press Profile (F5)"
            if self.draft.info is not None
            else ""
        )
        if running:
            self.banner.set_ready_text("Starting the engines…")

    def _on_busy(self, text: str) -> None:
        self.status.show_busy(text)
        self._refresh()

    def _on_open_failed(self, error: ProfilerError) -> None:
        if self.questions.ask(error):
            return
        self._on_declined(error)

    def _on_declined(self, error: ProfilerError) -> None:
        self._profile_when_open = False
        self.messages.show_error(error)

    def _on_model_opened(self, info: ModelInfo) -> None:
        self.opener.drop_form()
        path = Path(info.source.path)
        settings.remember_file(self.settings, path)
        self._save_settings()
        self.session_model.show(Session(), None)
        self.sweep_model.show(Sweep(), None)
        self.draft.set_model(info)
        self.setWindowTitle(f"{path.name} – Dualscope")
        self._show_graph(info)
        if self._profile_when_open:
            self._profile_when_open = False
            self.profile()

    def _on_session_opened(self, session: Session, path: Path) -> None:
        settings.remember_file(self.settings, path)
        self._save_settings()
        plan = session.plan or plan_so_far(session.search)
        if plan is None:
            self.messages.show_error(
                SessionFileError(f"{path.name} holds no run.", "It was broken off at its start.")
            )
            return
        self.opener.drop_form()
        self.draft.set_plan(plan)
        self.sweep_model.show(Sweep(), None)
        self.session_model.show(session, path)
        self.status.show_session(session)
        self.setWindowTitle(f"{path.name} – Dualscope")
        self._show_graph_of_draft(session)

    def _on_sweep_opened(self, sweep: Sweep, path: Path) -> None:
        settings.remember_file(self.settings, path)
        self._save_settings()
        if sweep.plan is None:
            self.messages.show_error(
                SessionFileError(f"{path.name} holds no sweep.", "It was broken off at its start.")
            )
            return
        self.opener.drop_form()
        self.draft.set_plan(sweep.plan.plan)
        self.session_model.show(Session(), None)
        self.sweep_model.show(sweep, path)
        self._refresh()
        self.setWindowTitle(f"{path.name} – Dualscope")
        self._show_graph_of_draft()
        self.tabs.setCurrentWidget(self.sweep_view)

    def _on_point_opened(self, session: Session, index: int) -> None:
        self.session_model.show(session, None)
        self.status.show_message(f"Showing {self.sweep_view.point_text(index)}.")
        self.tabs.setCurrentWidget(self.report)

    def _show_graph_of_draft(self, session: Session | None = None) -> None:
        assert self.draft.info is not None
        measured = _onnx_form(session) if session is not None else None
        if measured is not None and self.draft.info.source.kind not in DRAWN_AS_THEY_ARE:
            # What the lanes ran: neither converted again nor asked about.
            self.graph.show_forms([("ONNX form", measured)])
        elif Path(self.draft.info.source.path).exists():
            self._show_graph(self.draft.info)
        else:
            name = Path(self.draft.info.source.path).name
            self.graph.show_text(f"{name} isn't on this machine, so there is no graph to draw.")

    def _show_graph(self, info: ModelInfo) -> None:
        path = Path(info.source.path)
        if info.source.kind in DRAWN_AS_THEY_ARE:
            name = "TorchScript" if info.source.kind is ModelKind.TORCHSCRIPT else "ONNX"
            self.graph.show_forms([(name, path)])
        else:
            self.graph.show_text("Converting to ONNX, to draw the graph…")
            self.opener.find_form(info.source, info.inputs)

    def _on_form_failed(self, error: ProfilerError) -> None:
        self.graph.show_text(f"There is no graph to draw: {error.message}\n{error.hint}")

    def _on_events_applied(self, events: list[Event]) -> None:
        for event in events:
            # The graph stays that of the model which is open.
            if isinstance(event, ModelConverted) and not self.runs.in_suite:
                self.graph.add_form(f"{event.form} form", Path(event.model.path))

    def _on_run_started(self) -> None:
        """A conversion beside the lanes would take the CPU that they are measured on."""
        self._graph_put_off = self.opener.drop_form()
        if self._graph_put_off:
            self.graph.show_text("The graph is drawn when the run has ended.")
        if self.runs.sweeping:
            self.tabs.setCurrentWidget(self.sweep_view)
        if self.runs.in_suite:
            self.show_suite()
        self._refresh()

    def _on_run_ended(self, error: ProfilerError | None) -> None:
        if error is not None:
            self.messages.show_error(error)
        elif not (self.runs.sweeping or self.runs.in_suite):
            self._tell_failures()
        if self.runs.in_suite:
            suite = self.suite_model.suite
            self.status.show_ended(f"Suite ended: {notes(suite)[0]}" if suite.plan else "")
            # The last model's run is one of the suite's sessions, none of the model that is open.
            self.session_model.show(Session(), None)
        elif self.runs.sweeping:
            self.status.show_ended(f"Sweep ended: {progress_text(self.sweep_model.sweep)}")
        else:
            self.status.show_session(self.session_model.session)
        path = self.sweep_model.path if self.runs.sweeping else self.session_model.path
        if path is not None and path.exists():
            settings.remember_file(self.settings, path)
            self._save_settings()
        self._refresh()
        if self._quit_when_ended:
            self.close()
        elif self._graph_put_off and not self.graph.form.count():
            assert self.draft.info is not None
            self._show_graph(self.draft.info)

    def _tell_failures(self) -> None:
        session = self.session_model.session
        for label, failure in session.failures.items():
            hint = f"{failure.hint} The other lanes went on; see the Log tab.".strip()
            message = f"{session.name(label)} failed while {failure.phase}: {failure.message}"
            self.messages.show_error(ProfilerError(message, hint))

    def _on_question_changed(self) -> None:
        question = self.session_model.question
        self.settings.goal, self.settings.cost = question.goal, question.cost
        self.report.refresh()
        self._save_settings()

    def _on_gpu_status(self, text: object) -> None:
        self.device_chip.setText(f"CPU  ·  {text}")
        self.live.gpu.set_status(str(text))

    def _fill_recent_menu(self) -> None:
        self.recent_menu.clear()
        for name in self.settings.recent_files:
            path = Path(name)
            action = self.recent_menu.addAction(f"{path.name}    {path.parent}")
            action.setEnabled(path.exists())
            action.triggered.connect(lambda _=False, path=path: self.open_path(path))
        if not self.settings.recent_files:
            self.recent_menu.addAction("nothing yet").setEnabled(False)

    def _save_settings(self) -> None:
        self.settings.time_limit_s = self.draft.time_limit_s
        self.settings.target_width = self.draft.target_width
        self.settings.operator_columns = self.operators.chosen_columns()
        self.settings.geometry = bytes(self.saveGeometry().toHex().data()).decode()
        self.settings.window_state = bytes(self.body.saveState().toHex().data()).decode()
        try:
            settings.save(self.settings)
        except OSError as error:
            self.status.show_message(f"Settings can't be saved: {error.strerror}")

    # --- Qt overrides ---------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.open_path(Path(event.mimeData().urls()[0].toLocalFile()))

    def closeEvent(self, event: QCloseEvent) -> None:
        if self.runs.running:
            event.ignore()
            if not self._quit_when_ended and self._may_stop():
                self._quit_when_ended = True
                self.runs.stop()
            return
        self._save_settings()
        self.opener.shut_down()
        self._gpu_task.wait()
        self.files.wait()
        self.graph.graph.shut_down()
        super().closeEvent(event)

    def _may_stop(self) -> bool:
        answer = QMessageBox.question(
            self, "Quit", "A run is going on. Stop it and quit?\nWhat was measured is kept."
        )
        return answer is QMessageBox.StandardButton.Yes


def _onnx_form(session: Session) -> Path | None:
    """The ONNX file that lanes of the session ran, where it is still there."""
    paths = [Path(event.model.path) for event in session.converted if event.form == ONNX]
    return next((path for path in paths if path.exists()), None)


def _menu_button(text: str, menu: QMenu, parent: QWidget) -> QToolButton:
    button = QToolButton(parent)
    button.setText(text)
    button.setMenu(menu)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    return button
