"""`dualscope export`: a session in another format."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from profiler.decision_options import add_decision_options, question_of
from profiler.errors import SessionFileError
from profiler.exporters import export, formats
from profiler.session_file import read_session


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("export", help="write a session in another format")
    parser.add_argument("session", type=Path)
    parser.add_argument("--format", required=True, choices=list(formats()))
    parser.add_argument("-o", "--output", type=Path, help="default: beside the session")
    add_decision_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    session = read_session(arguments.session)
    session.question = question_of(arguments, session.question)
    suffix = formats()[arguments.format].suffix
    path = arguments.output or arguments.session.with_name(
        f"{arguments.session.stem}-{arguments.format}{suffix}"
    )
    if path.resolve() == arguments.session.resolve():
        raise SessionFileError(f"{path} is the session itself.", "Choose another name.")
    export(session, arguments.format, path)
    sys.stdout.write(f"{path}\n")
    return 0
