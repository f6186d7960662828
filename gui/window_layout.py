"""Where everything in the window sits: views of the models, in tabs and around them."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QSplitter, QTabWidget, QVBoxLayout, QWidget

from gui import theme
from gui.message_bar import MessageBar
from gui.plan_draft import PlanDraft
from gui.session_model import SessionModel
from gui.settings import Settings
from gui.status import RunStatus
from gui.suite_model import SuiteModel
from gui.sweep_model import SweepModel
from gui.views.cost_view import CostView
from gui.views.fastest_view import FastestView
from gui.views.generation_view import GenerationView
from gui.views.graph_panel import ZOOM_STEP, GraphPanel
from gui.views.keyboard import let_tab_leave
from gui.views.live_view import LiveView
from gui.views.log_view import LogView
from gui.views.model_panel import ModelPanel
from gui.views.operators_view import OperatorsView
from gui.views.outputs_view import OutputsView
from gui.views.recommendation_card import RecommendationCard
from gui.views.report_view import ReportView
from gui.views.selections import link_selections
from gui.views.suite_view import SuiteView
from gui.views.sweep_view import SweepView
from gui.views.timeline_view import TimelineView
from gui.views.verdict_banner import VerdictBanner
from gui.views.why_view import WhyView
from profiler.types import Question


class WindowLayout(QMainWindow):
    """Models and views, and what concerns these alone; knows nothing of files and runs."""

    def __init__(self, kept: Settings) -> None:
        super().__init__()
        self.settings = kept
        self.draft = PlanDraft(self)
        self.draft.time_limit_s = kept.time_limit_s
        self.draft.target_width = kept.target_width
        self.session_model = SessionModel(self)
        self.session_model.ask(Question(goal=kept.goal, cost=kept.cost))
        self.sweep_model = SweepModel(self)
        self.suite_model = SuiteModel(self)
        self.messages = MessageBar(self)
        self.banner = VerdictBanner(self.session_model, self)
        self.card = RecommendationCard(self.session_model, self)
        self.model_panel = ModelPanel(self.draft, self)
        self.live = LiveView(self.session_model, self)
        self.status = RunStatus(self.statusBar(), self.session_model)
        self._build_tabs()
        self._lay_out()
        let_tab_leave(self)
        self.card.details_wanted.connect(lambda: self.tabs.setCurrentWidget(self.report))
        link_selections(self.graph, self.operators, self.why, self.timeline, self.outputs)

    def show_suite(self) -> None:
        """What the suite runs, and what it found."""
        self.tabs.setTabVisible(self.tabs.indexOf(self.suite_view), True)
        self.tabs.setCurrentWidget(self.suite_view)

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

    def restyle(self) -> None:
        """Take on the theme's colours."""
        self.setStyleSheet(theme.style_sheet())
        self.messages.restyle()
        self.live.restyle()
        self.sweep_view.restyle()
        self.suite_view.refresh()
        self.graph.graph.set_dark(theme.is_dark())
        self.graph.recolour()
        self.generation.restyle()
        self.model_panel.refresh()
        self.report.refresh()
        self.fastest_view.refresh()

    def _build_tabs(self) -> None:
        model = self.session_model
        self.graph = GraphPanel(model, self)
        self.generation = GenerationView(model, self)
        self.why = WhyView(model, self)
        self.operators = OperatorsView(model, self)
        self.timeline = TimelineView(model, self)
        self.sweep_view = SweepView(self.sweep_model, self)
        self.outputs = OutputsView(model, self)
        self.cost = CostView(model, self)
        self.fastest_view = FastestView(model, self)
        self.suite_view = SuiteView(self.suite_model, self)
        self.report = ReportView(model, self)
        self.log = LogView(model, self)
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

    def _lay_out(self) -> None:
        self.setWindowTitle("Dualscope")
        self.setMinimumSize(960, 620)
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
        self.body.setSizes([510, 190])
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
