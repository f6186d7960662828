"""The report's parts on what to use and what it costs, in HTML that a text browser knows too."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from profiler.cost_report import cost_report
from profiler.decision_text import cost_rows, settings_words, title, with_interval
from profiler.recommendation import Recommendation, recommend
from profiler.report.tables import table
from profiler.session import Session


def render_recommendation(session: Session) -> str:
    """For the session's question; every text is escaped."""
    found = recommend(session)
    return recommendation_html(found) if found else "<p>No lane was measured.</p>"


def recommendation_html(found: Recommendation) -> str:
    """Sentence, configuration, reasons, outputs, cautions, model type, what was not measured."""
    configuration = (
        f"<p>Configuration: <code>{escape(found.configuration)}</code></p>"
        if found.configuration
        else ""
    )
    outputs = f"<p>{escape(found.outputs)}.</p>" if found.outputs else ""
    return (
        f"<p><b>{escape(found.sentence)}</b></p>{configuration}"
        f"{_list('Because', [reason.text for reason in found.reasons])}{outputs}"
        f"{_list('Mind', found.cautions)}"
        f"<p>Model type: {escape(found.model_type.sentence)}.</p>"
        f"{_list('Not measured', found.not_measured)}"
    )


def _list(heading: str, texts: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<p>{escape(heading)}:</p><ul>{items}</ul>" if items else ""


def render_cost(session: Session) -> str:
    """A row a figure, a column a lane, and the formulas."""
    report = cost_report(session, session.question.cost)
    if not report.lanes:
        return "<p>No lane was measured.</p>"
    rows, formulas = [], []
    for figure, cells in cost_rows(report):
        values = [escape(with_interval(cell)) if cell else "–" for cell in cells]
        rows.append((escape(title(figure, report.settings)), *values))
        formulas.append(f"{figure.title} = {figure.formula}")
    header = ("", *(lane.name for lane in report.lanes))
    missing = "".join(f"<p>Not told: {escape(text)}.</p>" for text in report.missing)
    return (
        f"<p>Worked out for {escape(settings_words(report))}.</p>{table(header, rows)}{missing}"
        f"{_list('How it is worked out', formulas)}"
    )
