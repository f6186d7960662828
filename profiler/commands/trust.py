"""`dualscope trust`: which files may run their code; give consent and take it back."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from profiler import consent, model_file
from profiler.console import printable
from profiler.errors import PlanError


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("trust", help="list, give and take back consent to run code")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--list", action="store_true", help="files and factories that are trusted")
    group.add_argument("--add", type=Path, metavar="FILE", help="trust this model file from now on")
    group.add_argument(
        "--remove", metavar="HASH", help="take consent back; the first characters will do"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.add is not None:
        _add(arguments.add)
    elif arguments.remove is not None:
        _remove(arguments.remove)
    else:
        lines = [f"{e.sha256[:16]}  {e.given}  {consent.listed(e)}" for e in consent.kept()]
        sys.stdout.write(
            "".join(f"{printable(line)}\n" for line in lines) or "nothing is trusted\n"
        )
    return 0


def _add(path: Path) -> None:
    """Raises ModelFileError, UnsafeModelError."""
    try:
        consent.checked(model_file.identify(path), trust=False)
    except consent.ConsentNeededError as error:
        consent.keep(error.entry)
        for found in error.names:
            sys.stdout.write(f"{printable(consent.mark(found))}\n")
        sys.stdout.write(f"trusted: {printable(error.entry.name)}\n")
    else:
        sys.stdout.write(f"{printable(str(path))} needs no consent\n")


def _remove(start: str) -> None:
    found = [e for e in consent.kept() if start and (e.sha256.startswith(start) or e.name == start)]
    if len(found) != 1:
        raise PlanError(
            f"{len(found)} trusted files match {start!r}.", "See dualscope trust --list."
        )
    consent.take_back(found[0].sha256)
    sys.stdout.write(f"no longer trusted: {printable(found[0].name)}\n")
