"""The window: its commands, and who talks to whom."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QMessageBox,
)

from gui import settings, theme
from gui.actions import tip
from gui.background import Task
from gui.dialogs.about_dialog import show_about
from gui.fastest_controller import FastestController
from gui.file_writer import FileWriter
from gui.graph_drawing import GraphDrawing
from gui.menus import Menus
from gui.opener import Opener
from gui.questions import Questions
from gui.reasons import NO_MODEL, NO_SESSION, OPENING, RUNNING, allow
from gui.run_controller import RunController
from gui.strips_shown import StripsShown
from gui.suite_controller import SuiteController
from gui.sweep_controller import SweepController
from gui.tools import Tools
from gui.window_layout import WindowLayout
from profiler.errors import ProfilerError, SessionFileError
from profiler.search.planning import plan_so_far
from profiler.session import Session
from profiler.session_schema import SUFFIX
from profiler.suite.table import notes
from profiler.sweep.state import Sweep
from profiler.sweep.table import progress_text
from profiler.telemetry import gpu_status
from profiler.types import Event, ModelConverted, ModelInfo

SUFFIXES = "*.onnx *.pt *.pth *.jit *.ptl *.pt2 *.ckpt *.bin *.safetensors *.index.json"
FILTER = f"Models and sessions ({SUFFIXES} *{SUFFIX});;All files (*)"


class MainWindow(WindowLayout):
    """Dualscope's one window: its commands, and what happens."""

    def __init__(self) -> None:
        super().__init__(settings.load())
        self._profile_when_open = False
        self._quit_when_ended = False
        self.runs = RunController(self.session_model, self.sweep_model, self.suite_model, self)
        self.opener = Opener(self)
        self.questions = Questions(self.opener, self)
        self.files = FileWriter(self.session_model, self.settings, self)
        self.menus = Menus(self, self.settings, self.files)
        self.actions_by_name = self.menus.actions
        self.strips_shown = StripsShown(
            self, self.live, self.actions_by_name["strips"], self.statusBar(), self.settings
        )
        self.setAcceptDrops(True)
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

    def toggle_strips(self) -> None:
        """Show or hide what moves along the bottom."""
        self.strips_shown.toggle()

    def set_theme(self, name: str) -> None:
        """Light, dark, or as the system has it."""
        self.settings.theme = name
        theme.apply(name)
        self.restyle()

    def open_sessions_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(settings.sessions_folder())))

    def about(self) -> None:
        show_about(self)

    def _connect(self) -> None:
        self.menus.file_wanted.connect(self.open_path)
        self.menus.theme_wanted.connect(self.set_theme)
        self.draft.changed.connect(self._refresh)
        self.model_panel.refused.connect(self.messages.show_error)
        self.opener.busy.connect(self._on_busy)
        self.opener.failed.connect(self._on_open_failed)
        self.questions.failed.connect(self._on_declined)
        self.questions.declined.connect(self._on_declined)
        self.opener.model_opened.connect(self._on_model_opened)
        self.opener.session_opened.connect(self._on_session_opened)
        self.opener.sweep_opened.connect(self._on_sweep_opened)
        self.drawing = GraphDrawing(self.graph, self.opener)
        self.runs.started.connect(self._on_run_started)
        self.runs.ended.connect(self._on_run_ended)
        self.session_model.events_applied.connect(self._on_events_applied)
        self.session_model.session_reset.connect(self._refresh)
        self.session_model.question_changed.connect(self._on_question_changed)
        self.outputs.locate_wanted.connect(self.runs.locate)
        self._connect_commands()
        self._gpu_task = Task(lambda *_: gpu_status(), self)
        self._gpu_task.done.connect(self._on_gpu_status)
        self._gpu_task.start()

    def _connect_commands(self) -> None:
        """Those with a controller of their own, beside their views."""
        self.files.written.connect(self.status.show_message)
        self.files.failed.connect(self.messages.show_error)
        tools = Tools(self, self.draft, self.opener, self.runs, self.files, self.messages)
        self.sweeps = SweepController(tools, self.sweep_model, self.session_model)
        self.sweeps.point_shown.connect(self._on_point_shown)
        self.sweep_view.point_chosen.connect(self.sweeps.open_point)
        self.sweep_view.resume_wanted.connect(self.sweeps.resume)
        self.sweep_view.stop_wanted.connect(self.stop)
        self.sweep_view.sweep_wanted.connect(self.sweeps.ask)
        self.sweep_view.export_wanted.connect(self.sweeps.ask_export)
        self.suite = SuiteController(tools, self.suite_model)
        self.suite_view.start_wanted.connect(self.suite.start)
        self.suite_view.stop_wanted.connect(self.stop)
        self.suite_view.resume_wanted.connect(self.suite.resume)
        self.suite_view.open_wanted.connect(self.suite.choose)
        self.suite_view.session_wanted.connect(self.suite.open_session)
        self.suite_view.export_wanted.connect(self.suite.ask_export)
        self.suite.session_wanted.connect(self._open_of_suite)
        self.fastest = FastestController(tools, self.session_model)
        self.fastest.begun.connect(lambda: self.tabs.setCurrentWidget(self.fastest_view))
        self.fastest_view.search_wanted.connect(self.fastest.ask)
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
        running = self.runs.running
        session = self.session_model.session
        reasons = self._reasons()
        for name, reason in reasons.items():
            allow(self.actions_by_name[name], reason, tip(name))
        self.strips_shown.set_running(running)
        generating = self.generation.applies or self.draft.generates
        self.tabs.setTabVisible(self.tabs.indexOf(self.generation), generating)
        self.menus.set_exportable(session.plan is not None or session.search.plan is not None)
        self.model_panel.set_editable(not running)
        self.outputs.set_busy(running)
        self.fastest_view.set_reason(reasons["fastest"])
        self.sweep_view.set_state(reason=reasons["sweep"], running=running and self.runs.sweeping)
        self.suite_view.set_state(reason=self._busy_with(), running=running and self.runs.in_suite)
        self.banner.set_ready_text(
            f"{Path(self.draft.info.source.path).name} is ready: press Profile (F5)"
            if self.draft.info is not None
            else ""
        )
        if running:
            self.banner.set_ready_text("Starting the engines…")

    def _busy_with(self) -> str:
        """Why nothing can be begun now; "" where something can."""
        return RUNNING if self.runs.running else OPENING if self.opener.is_busy else ""

    def _reasons(self) -> dict[str, str]:
        """Why an action can't be used now, by name; "" where it can."""
        busy, running = self._busy_with(), RUNNING if self.runs.running else ""
        no_start = busy or ("" if self.draft.info is not None else NO_MODEL)
        kept = self.session_model.path or self.sweep_model.path
        stopping = "It is being stopped" if self.runs.stopping else ""
        return {
            "open": running,
            "open_folder": running,
            "profile": no_start,
            "fastest": no_start,
            "sweep": no_start,
            "stop": "" if self.opener.is_busy else stopping if running else "Nothing is going on",
            "save_session": running or ("" if kept is not None else NO_SESSION),
        }

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
        self.drawing.draw(info.source, info.inputs)
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
        self.drawing.draw_measured(plan.model, plan.inputs, session)

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
        self.drawing.draw_measured(sweep.plan.plan.model, sweep.plan.plan.inputs)
        self.tabs.setCurrentWidget(self.sweep_view)

    def _on_point_shown(self, index: int) -> None:
        self.status.show_message(f"Showing {self.sweep_view.point_text(index)}.")
        self.tabs.setCurrentWidget(self.report)

    def _on_events_applied(self, events: list[Event]) -> None:
        for event in events:
            # The graph stays that of the model which is open.
            if isinstance(event, ModelConverted) and not self.runs.in_suite:
                self.graph.add_form(f"{event.form} form", Path(event.model.path))

    def _on_run_started(self) -> None:
        self.drawing.put_off()
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
        else:
            self.drawing.make_up(self.draft.info)

    def _tell_failures(self) -> None:
        session = self.session_model.session
        others = any(label not in session.failures for label in session.labels())
        went_on = "The other lanes went on; see the Log tab." if others else "See the Log tab."
        self.messages.show_errors(
            [
                ProfilerError(
                    f"{session.name(label)} failed while {failure.phase}: {failure.message}",
                    f"{failure.hint} {went_on}".strip(),
                )
                for label, failure in session.failures.items()
            ]
        )

    def _on_question_changed(self) -> None:
        question = self.session_model.question
        self.settings.goal, self.settings.cost = question.goal, question.cost
        self.report.refresh()
        self._save_settings()

    def _on_gpu_status(self, text: object) -> None:
        self.menus.device_chip.setText(f"CPU  ·  {text}")
        self.live.gpu.set_status(str(text))

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
            if self._quit_when_ended or not self._may_stop():
                event.ignore()
                return
            # The run may have ended while the question was open.
            if self.runs.running:
                event.ignore()
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
