"""`dualscope export`: a session or a sweep in another format."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from profiler.decision_options import add_decision_options, question_of
from profiler.errors import SessionFileError
from profiler.exporters import export, formats
from profiler.session_file import kind_of, read_session
from profiler.session_schema import SWEEP
from profiler.sweep.exporters import FORMATS, export_sweep
from profiler.sweep.sweep_file import read_point, read_sweep


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("export", help="write a session or sweep in another format")
    parser.add_argument("session", type=Path)
    parser.add_argument("--format", required=True, choices=sorted({*formats(), *FORMATS}))
    parser.add_argument(
        "--point", type=int, metavar="N", help="one point of a sweep, as a session (from 0)"
    )
    parser.add_argument("-o", "--output", type=Path, help="default: beside the session")
    add_decision_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    source, name, point = arguments.session, arguments.format, arguments.point
    as_sweep = kind_of(source) == SWEEP and point is None
    known = FORMATS if as_sweep else formats()
    if name not in known:
        what = "sweep" if as_sweep else "session"
        raise SessionFileError(
            f"A {what} can't be written as {name}.", f"Use one of: {', '.join(known)}."
        )
    stem = source.stem if point is None else f"{source.stem}-point{point}"
    path = arguments.output or source.with_name(f"{stem}-{name}{known[name].suffix}")
    if path.resolve() == source.resolve():
        raise SessionFileError(f"{path} is the session itself.", "Choose another name.")
    if as_sweep:
        export_sweep(read_sweep(source), name, path)
    else:
        session = read_session(source) if point is None else read_point(source, point)
        session.question = question_of(arguments, session.question)
        export(session, name, path)
    sys.stdout.write(f"{path}\n")
    return 0
