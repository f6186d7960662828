"""The status bar: phase, rounds, how wide the interval still is, time left."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QProgressBar, QStatusBar

from gui.session_model import SessionModel
from profiler.session import Session
from profiler.types import Event, Phase, Progress, Round, RoundKind

STEPS = 1000
MESSAGE_MS = 8000


class RunStatus:
    """Writes into the window's status bar."""

    def __init__(self, bar: QStatusBar, model: SessionModel) -> None:
        self._bar = bar
        self._model = model
        self.label = QLabel("Ready")
        self.progress = QProgressBar()
        self.progress.setMaximumWidth(220)
        self.progress.setTextVisible(False)
        self.progress.setMaximum(STEPS)
        self.progress.hide()
        self.label.setContentsMargins(6, 0, 0, 0)
        bar.addWidget(self.progress)
        bar.addWidget(self.label, 1)
        model.events_applied.connect(self._on_events_applied)

    def show_busy(self, text: str) -> None:
        """Something of unknown length goes on; "" when it's over."""
        self.label.setText(text or "Ready")
        self.progress.setMaximum(0 if text else STEPS)
        self.progress.setVisible(bool(text))

    def show_message(self, text: str) -> None:
        """Something that was done; it goes away by itself."""
        self._bar.showMessage(text, MESSAGE_MS)

    def show_session(self, session: Session) -> None:
        """What a run came to."""
        self.progress.hide()
        timed = {r.index for found in session.rounds.values() for r in found if _is_timed(r)}
        reason = session.finished.reason if session.finished else "broken off"
        self.label.setText(f"Run ended: {reason}; {len(timed)} rounds")

    def show_ended(self, text: str) -> None:
        """What something longer than a run came to."""
        self.progress.hide()
        self.label.setText(text)

    def _on_events_applied(self, events: list[Event]) -> None:
        for event in reversed(events):
            if isinstance(event, Progress):
                self._show(event)
                return

    def _show(self, event: Progress) -> None:
        known = event.fraction is not None
        self.progress.setMaximum(STEPS if known else 0)
        self.progress.setValue(round(STEPS * (event.fraction or 0.0)))
        self.progress.setVisible(event.phase is not Phase.FINISHED)
        self.label.setText(self._text(event))

    def _text(self, event: Progress) -> str:
        labels = self._model.session.labels()
        detail = event.detail
        if detail in labels:
            detail = self._model.session.name(detail)
        if event.phase is not Phase.MEASURING:
            return f"{event.phase.value.capitalize()} {detail}".strip()
        parts = [f"Measuring: round {event.round}"]
        if event.detail:
            parts.append(event.detail)
        if event.interval_width is not None and event.interval_width < 10:
            plan = self._model.session.plan
            target = plan.stopping.target_width if plan else 0.0
            parts.append(f"interval {event.interval_width:.1%} of the ratio (target {target:.1%})")
        if event.time_left_s is not None:
            parts.append(f"{event.time_left_s:.0f} s left at most")
        return ", ".join(parts)


def _is_timed(found: Round) -> bool:
    return found.kind is RoundKind.TIMED
