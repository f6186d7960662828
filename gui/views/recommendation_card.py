"""The recommendation beside the verdict, for the goal that is chosen there."""

from __future__ import annotations

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui.reasons import allow
from gui.session_model import SessionModel
from profiler.recommendation import GOAL_WORDS, Outcome, Recommendation, recommend
from profiler.types import Event, Goal, RunFinished

TIPS = {
    Goal.LATENCY: "the lowest median latency of a call",
    Goal.P99: "the lowest p99 latency",
    Goal.THROUGHPUT: "the most samples a second, of one caller unless a lane has more",
    Goal.COST: "the least cost, with the prices of the Cost tab",
    Goal.MEMORY: "the smallest peak of memory",
    Goal.PORTABILITY: "the form that needs the fewest things where it runs",
}
DETAILS_TIP = "Reasons, what to mind, and what was not measured"
WAITING = "The recommendation comes when the run has ended."


class RecommendationCard(QFrame):
    """Hidden while there is no run. Signal `details_wanted()`: show what the sentence rests on."""

    details_wanted = Signal()

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.setProperty("role", "card")
        self.goal = QComboBox(self)
        for goal in Goal:
            self.goal.addItem(GOAL_WORDS[goal], goal)
            self.goal.setItemData(self.goal.count() - 1, TIPS[goal], Qt.ItemDataRole.ToolTipRole)
        self.goal.setToolTip("What the recommendation is for")
        self.sentence = QLabel(self)
        self.sentence.setWordWrap(True)
        self.sentence.setTextFormat(Qt.TextFormat.PlainText)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.setProperty("role", "heading")
        self.note = QLabel(self)
        self.note.setProperty("role", "caption")
        self.note.setWordWrap(True)
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self._details = QToolButton(self)
        self._details.setText("Reasons…")
        self._details.clicked.connect(self.details_wanted)
        caption = QLabel("Recommended for", self)
        caption.setProperty("role", "caption")
        above = QHBoxLayout()
        above.addWidget(caption)
        above.addWidget(self.goal)
        above.addStretch(1)
        above.addWidget(self._details)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 6, 10, 6)
        layout.setSpacing(2)
        layout.addLayout(above)
        layout.addWidget(self.sentence)
        layout.addWidget(self.note)
        layout.addStretch(1)
        self.goal.activated.connect(self._on_goal_chosen)
        model.session_reset.connect(self.refresh)
        model.question_changed.connect(self.refresh)
        model.events_applied.connect(self._on_events_applied)
        self.refresh()

    def refresh(self) -> None:
        """Work it out again; while a run goes on that waits for its end."""
        self.goal.setCurrentIndex(self.goal.findData(self._model.question.goal))
        self.setVisible(self._model.session.plan is not None)
        if self.isHidden():
            return
        found = None if self._model.live else recommend(self._model.session)
        why_not = WAITING if self._model.live else "No lane was measured."
        allow(self._details, "" if found else why_not.rstrip("."), DETAILS_TIP)
        self.sentence.setVisible(found is not None)
        if found is None:
            self.note.setText(why_not)
            self.note.setVisible(True)
            return
        self.sentence.setText(found.sentence)
        note = _note(found)
        self.note.setText(note)
        self.note.setVisible(bool(note))
        self.setToolTip("\n".join(reason.text for reason in found.reasons))

    def _on_goal_chosen(self, index: int) -> None:
        goal = Goal(self.goal.itemData(index))
        self._model.ask(msgspec.structs.replace(self._model.question, goal=goal))

    def _on_events_applied(self, events: list[Event]) -> None:
        if self.isHidden() or any(isinstance(event, RunFinished) for event in events):
            self.refresh()


def _note(found: Recommendation) -> str:
    """The export's differences, and what matters most of the rest, in a line or two."""
    parts = [found.outputs] if found.label else []
    if found.outcome is Outcome.ASK:
        parts += [reason.text for reason in found.reasons[:1]]
    parts += found.cautions[:1]
    return ". ".join(part for part in parts if part)
