"""The command line's options on how a model file is opened: factory and consent."""

from __future__ import annotations

import argparse
import json
from typing import Any

from profiler.errors import PlanError
from profiler.types import Factory


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """`--factory`, `--factory-arg` and `--trust`."""
    parser.add_argument(
        "--factory",
        metavar="MODULE:NAME",
        help="what builds the module of a file of weights: package.module:name or file.py:name",
    )
    parser.add_argument(
        "--factory-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the factory, its value in JSON or a plain text; may be repeated",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="consent, for this run, to running code that the model file or the factory brings",
    )


def factory_of(arguments: argparse.Namespace) -> Factory | None:
    """What was written, or None. Raises PlanError."""
    if arguments.factory is None:
        if arguments.factory_arg:
            raise PlanError("There are arguments, but no factory.", "Add --factory MODULE:NAME.")
        return None
    return Factory(
        target=arguments.factory, arguments=dict(map(parse_argument, arguments.factory_arg))
    )


def parse_argument(text: str) -> tuple[str, Any]:
    """`name=value`, the value in JSON where it is JSON, else as text. Raises PlanError."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise PlanError(
            f"{text!r} is no argument of a factory.", "Write NAME=VALUE, such as num_classes=10."
        )
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value
