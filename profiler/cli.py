"""The command line: one subcommand a file in `commands`; errors are caught here, once."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import pkgutil
import re
import sys
from collections.abc import Sequence

from profiler import commands
from profiler.errors import CancelledError, PlanError, ProfilerError
from profiler.version import VERSION

EPILOG = """exit codes:
  0  done                        5  looking at the model took too long
  2  wrong usage or plan         6  wrong input
  3  not a model                 7  every lane failed
  4  it would run code: --trust  8  session file
  130  stopped by Ctrl-C; what was measured is kept"""


def build_parser() -> argparse.ArgumentParser:
    """The parser with every subcommand that the folder holds."""
    parser = argparse.ArgumentParser(
        prog="dualscope",
        description="Profile ONNX Runtime and PyTorch side by side. "
        "`dualscope [FILE]` or `dualscope open [FILE]` opens the window.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dualscope {VERSION}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for found in pkgutil.iter_modules(commands.__path__):
        module = importlib.import_module(f"{commands.__name__}.{found.name}")
        module.add_parser(subparsers)
    return parser


def run(argv: Sequence[str]) -> int:
    """Run a command; returns the exit code. Messages go to standard error."""
    _write_anything()
    arguments = build_parser().parse_args(_joined(argv))
    try:
        _check_text(argv)
        code: int = arguments.run(arguments)
        # Here, so that a reader that went away shows now and not while Python ends.
        sys.stdout.flush()
    except ProfilerError as error:
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        return CancelledError.exit_code
    return code


def _write_anything() -> None:
    """Names in a model may hold what the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _joined(argv: Sequence[str]) -> list[str]:
    """`--time-limit -5s` as `--time-limit=-5s`: argparse takes `-5s` for an option, and says that a
    value is missing, where the option itself can say what is wrong with it.
    """
    joined: list[str] = []
    for argument in argv:
        before = joined[-1] if joined else ""
        if re.match(r"-\.?\d", argument) and before.startswith("--") and "=" not in before:
            joined[-1] = f"{before}={argument}"
        else:
            joined.append(argument)
    return joined


def _check_text(argv: Sequence[str]) -> None:
    """File names may be any bytes; ours go to children and into files as UTF-8."""
    for argument in argv:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise PlanError(f"{argument!r} is not valid UTF-8.", "Rename the file.") from error
