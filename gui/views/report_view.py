"""The figures of the session in words and tables, and how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QTextBrowser, QVBoxLayout, QWidget

from gui import theme
from gui.session_model import SessionModel
from profiler.compare import plain
from profiler.intervals import ends_text, value_text
from profiler.method import method_note
from profiler.report.decision import render_cost, render_recommendation
from profiler.report.generation import generation_tables
from profiler.report.search import search_tables
from profiler.report.why import render_why
from profiler.session import Session

MIB = 2**20


class ReportView(QWidget):
    """Follows the verdict, so that it is rewritten at most twice a second."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.text = QTextBrowser(self)
        self.text.setOpenLinks(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        model.session_reset.connect(self.refresh)
        model.verdict_changed.connect(self.refresh)

    def refresh(self) -> None:
        """Write it again, if anyone sees it; the place in the text is kept."""
        if not self.isVisible():
            return
        if not self._model.session.plan:
            self.text.setHtml(_styled("<p>Profile a model, or open a session.</p>"))
            return
        bar = self.text.verticalScrollBar()
        place = bar.value()
        decision = "" if self._model.live else decision_html(self._model.session)
        self.text.setHtml(_styled(decision + report_html(self._model.session)))
        bar.setValue(place)

    # Qt overrides

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()


def decision_html(session: Session) -> str:
    """What to use and what it costs: for a run that has ended, since it takes every round."""
    return (
        f"<h3>Recommendation</h3>{render_recommendation(session)}"
        f"<h3>Cost</h3>{render_cost(session)}"
    )


def report_html(session: Session) -> str:
    """The report in the part of HTML that a text browser knows; foreign texts are escaped."""
    search = search_tables(session)
    generation = generation_tables(session, dict.fromkeys(session.labels(), ""))
    parts = [
        _failures(session),
        f"<h3>Find the fastest</h3>{search}" if search else "",
        f"<h3>Generation</h3>{generation}" if generation else "",
        f"<h3>Latency{' of whole generations' if generation else ''}</h3>",
        _latency(session),
        _comparisons(session),
        "<h3>Why</h3>",
        render_why(session),
        "<h3>Memory and start</h3>",
        _start(session),
        "<h3>Method</h3>",
        f"<p>{escape(method_note(session))}</p>",
        _notes(session),
        "<h3>Environment</h3>",
        _table([], [(escape(k), escape(v)) for k, v in session.environment.items()]),
    ]
    return "".join(parts)


def _styled(body: str) -> str:
    soft, line = theme.soft_text().name(), theme.line().name()
    return (
        f"<style>th {{ color: {soft}; font-weight: normal; text-align: left; }}"
        f"td, th {{ padding: 3px 18px 3px 0; border-bottom: 1px solid {line}; }}"
        f"h3 {{ margin-top: 14px; }} .failed {{ color: {theme.BAD}; }}</style>"
        f'<div style="margin: 8px">{body}</div>'
    )


def _table(header: list[str], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in header)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table cellspacing='0'>{f'<tr>{head}</tr>' if head else ''}{lines}</table>"


def _failures(session: Session) -> str:
    parts = []
    for label, failure in session.failures.items():
        tail = "<br>".join(escape(text) for text in failure.log_tail[-8:])
        parts.append(
            f'<p><b class="failed">{escape(session.name(label))} failed while '
            f"{escape(failure.phase.value)}:</b> {escape(failure.message)} "
            f"{escape(failure.hint)}</p><p><code>{tail}</code></p>"
        )
    return "".join(parts)


def _latency(session: Session) -> str:
    rows = []
    for label in session.labels():
        stats = session.latency_stats(label)
        if stats is None:
            continue
        figures = (stats.p50_ns, stats.p90_ns, stats.p99_ns, stats.min_ns, stats.mean_ns)
        rows.append(
            (
                f"<b>{escape(session.name(label))}</b>",
                *(f"{value / 1e6:.4g}" for value in figures),
                plain(stats.throughput_per_s),
                f"{stats.iterations} in {stats.rounds}",
            )
        )
    header = ["Lane, ms", "p50", "p90", "p99", "min", "mean", "per second", "iterations, rounds"]
    return _table(header, rows) if rows else "<p>Nothing was measured yet.</p>"


def _comparisons(session: Session) -> str:
    rows = [
        (
            escape(f"{session.name(c.candidate)} against {session.name(c.baseline)}"),
            f"<b>{value_text(c.estimate)}</b>",
            ends_text(c.estimate),
            escape(c.verdict.value),
            f"{c.rounds}, {c.set_aside} set aside",
        )
        for c in session.comparisons()
        if c.rounds >= 2
    ]
    header = ["Comparison", "speedup", "95 % interval", "verdict", "paired rounds"]
    return "<p></p>" + _table(header, rows) if rows else ""


def _start(session: Session) -> str:
    rows = []
    for label, ready in session.ready.items():
        peak, device = session.peak_memory_bytes(label), session.device_memory_bytes(label)
        rows.append(
            (
                f"<b>{escape(session.name(label))}</b>",
                f"{ready.load_time_ns / 1e6:.0f} ms",
                f"{ready.compile_time_ns / 1e6:.0f} ms" if ready.compile_time_ns else "–",
                f"{ready.first_iteration_ns / 1e6:.4g} ms",
                f"{ready.weights_bytes / MIB:.1f} MiB",
                "–" if peak is None else f"{peak / MIB:.0f} MiB",
                "–" if device is None else f"{device / MIB:.0f} MiB",
                escape(f"{ready.engine_version} {ready.graph_note}".strip()),
            )
        )
    header = ["Lane", "load", "compile", "first iteration", "weights", "peak", "GPU", "runs"]
    return _table(header, rows) if rows else ""


def _notes(session: Session) -> str:
    notes = [note for converted in session.converted for note in converted.notes]
    return "".join(f"<p>{escape(note)}</p>" for note in dict.fromkeys(notes))
