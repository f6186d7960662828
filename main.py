"""Entry point: the window, or the command line. Standard library only at module level."""

from __future__ import annotations

import difflib
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
WRONG_USAGE = 2


def main() -> int:
    """Run `dualscope`: a subcommand goes to the command line, all else opens the window."""
    argv = sys.argv[1:]
    if argv and (argv[0] in COMMANDS or argv[0] in ("-h", "--help", "--version")):
        from profiler import cli

        return cli.run(argv)
    if argv and is_wrong_command(argv[0]):
        near = difflib.get_close_matches(argv[0], (*COMMANDS, "open"), n=1)
        meant = f"Did you mean {near[0]}? " if near else ""
        sys.stderr.write(
            f"error: {argv[0]!r} is no command, and no file.\n"
            f"hint: {meant}dualscope --help lists the commands.\n"
        )
        return WRONG_USAGE
    from gui import app

    return app.run(argv[1:] if argv and argv[0] == "open" else argv)


def is_wrong_command(word: str) -> bool:
    """Whether it is one bare word that names no file: nobody's model."""
    bare = word.replace("-", "_").isidentifier() and not word.startswith("-")
    return bare and word != "open" and not Path(word).exists()


if __name__ == "__main__":
    sys.exit(main())
