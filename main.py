"""Entry point: the window, or the command line. Standard library only at module level."""

from __future__ import annotations

import sys
from pathlib import Path

# The same imports (`gui`, `profiler`) work from a checkout, a wheel and a frozen bundle.
sys.path.insert(0, str(Path(__file__).resolve().parent))

COMMANDS = (
    "profile",
    "generate",
    "bench-endpoint",
    "fastest",
    "suite",
    "cost",
    "export",
    "info",
    "locate",
    "trust",
)


def main() -> int:
    """Run `dualscope`: a subcommand goes to the command line, all else opens the window."""
    argv = sys.argv[1:]
    if argv and (argv[0] in COMMANDS or argv[0] in ("-h", "--help", "--version")):
        from profiler import cli

        return cli.run(argv)
    from gui import app

    return app.run(argv[1:] if argv and argv[0] == "open" else argv, COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
