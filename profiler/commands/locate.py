"""`dualscope locate`: name the first layer whose values differ between the lanes of a session."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from profiler.console import ProgressLine, first_difference, printable
from profiler.console_run import stop_on_interrupt
from profiler.exporters.json_report import comparison_of_values
from profiler.locate import record_first_difference
from profiler.session_file import read_session
from profiler.types import ValuesCompared


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "locate", help="name the first layer whose values differ between a session's lanes"
    )
    parser.add_argument("session", type=Path)
    parser.add_argument(
        "--lane",
        action="append",
        default=[],
        metavar="NAME",
        help="compare this lane with the baseline; may be repeated (default: all)",
    )
    parser.add_argument(
        "--trust", action="store_true", help="agree to code that the model's file brings"
    )
    parser.add_argument("--json", action="store_true", help="write JSON to standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    session, progress = read_session(arguments.session), ProgressLine()
    with stop_on_interrupt() as cancelled:
        events = record_first_difference(
            session,
            arguments.session,
            arguments.lane,
            trust=arguments.trust,
            cancelled=cancelled,
        )
        pairs = []
        for event in events:
            session.apply(event)
            progress.show(event)
            if isinstance(event, ValuesCompared):
                pairs.append((event.baseline, event.candidate))
    progress.clear()
    if arguments.json:
        results = [comparison_of_values(session, *pair) for pair in pairs]
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    else:
        for pair in pairs:
            sys.stdout.write(printable(first_difference(session, session.values[pair])) + "\n")
    return 0
