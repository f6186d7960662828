"""The command line: one subcommand a file in `commands`; errors are caught here, once."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from profiler import commands
from profiler.errors import ProfilerError
from profiler.version import VERSION

EPILOG = """exit codes:
  0  done                        5  conversion failed
  2  wrong usage or plan         6  wrong input
  3  not a model                 7  every lane failed
  4  loading it would run code   8  session file
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
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except ProfilerError as error:
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away, as `head` does.
        sys.stderr.close()
        return 0
    return code
