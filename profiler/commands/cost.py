"""`dualscope cost`: what each lane of a session costs, what a switch saves, and what to use."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from profiler.console import printable
from profiler.cost import CostReport
from profiler.cost_report import cost_report
from profiler.decision_options import add_decision_options, question_of
from profiler.decision_text import (
    cost_rows,
    recommendation_lines,
    settings_words,
    title,
    with_interval,
)
from profiler.errors import PlanError
from profiler.exporters.json_report import finite, render_decision
from profiler.recommendation import recommend
from profiler.session_file import read_session
from profiler.types import Goal

TITLE_WIDTH, CELL_WIDTH = 46, 30


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("cost", help="what each lane of a session costs, and saves")
    parser.add_argument("session", type=Path)
    add_decision_options(parser)
    parser.add_argument("--formulas", action="store_true", help="with the numbers filled in")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Raises SessionFileError, PlanError for a session without figures."""
    session = read_session(arguments.session)
    session.question = question_of(arguments, session.question)
    if arguments.goal is None:
        session.question = type(session.question)(goal=Goal.COST, cost=session.question.cost)
    found = recommend(session)
    if found is None:
        raise PlanError(f"{arguments.session} holds no latencies.", "Choose another session.")
    report = cost_report(session, session.question.cost)
    if arguments.json:
        text = json.dumps(finite(render_decision(session)), indent=2, allow_nan=False)
    else:
        lines = [*cost_table(report), "", *formulas(report, filled=arguments.formulas)]
        lines += ["", *recommendation_lines(found)]
        text = "\n".join(printable(line) for line in lines)
    sys.stdout.write(text + "\n")
    return 0


def cost_table(report: CostReport) -> list[str]:
    """A line a figure, a column a lane."""
    names = "".join(f"{lane.name:>{CELL_WIDTH}}" for lane in report.lanes)
    lines = [settings_words(report), "", f"{'':<{TITLE_WIDTH}}{names}"]
    for figure, cells in cost_rows(report):
        values = "".join(f"{with_interval(c) if c else '–':>{CELL_WIDTH}}" for c in cells)
        lines.append(f"{title(figure, report.settings):<{TITLE_WIDTH}}{values}")
    lines += [f"not told: {text}" for text in report.missing]
    return lines


def formulas(report: CostReport, *, filled: bool) -> list[str]:
    """How each figure is worked out; with `filled` for every lane with its numbers."""
    lines = []
    for figure, cells in cost_rows(report):
        lines.append(f"{figure.title} = {figure.formula}")
        if filled:
            named = zip(report.lanes, cells, strict=True)
            lines += [f"    {lane.name}: {c.worked}" for lane, c in named if c]
    return lines
