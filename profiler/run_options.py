"""Options that several commands share: inputs, when to stop, tolerances, where results go."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from profiler.inputs import apply_data, apply_overrides
from profiler.quantities import seconds, share, tolerance
from profiler.session_schema import SUFFIX
from profiler.types import InputSpec, Tolerance


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """`--input` and `--data`."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=DTYPE[DIMS]",
        help="an input's shape, NAME=uniform(0,255) or NAME=FILE.npy; may be repeated",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="values for all inputs: .npz, .npy, ONNX test_data_set folder, Polygraphy .json",
    )


def add_limit_options(parser: argparse.ArgumentParser) -> None:
    """`--time-limit` and `--target`."""
    parser.add_argument(
        "--time-limit",
        type=seconds,
        metavar="TIME",
        help="stop measuring after this, such as 90s or 2min (default: 60s)",
    )
    parser.add_argument(
        "--target",
        type=share,
        metavar="SHARE",
        help="width of the speedup's interval, over the speedup, at which to stop, such as 2%%",
    )


def add_tolerance_options(parser: argparse.ArgumentParser, of: str = "outputs") -> None:
    """`--rtol` and `--atol`; `of` names what is compared."""
    parser.add_argument("--rtol", type=tolerance, help=f"relative tolerance of {of}")
    parser.add_argument(
        "--atol",
        type=tolerance,
        help=f"absolute tolerance of {of}, over the root mean square of each",
    )


def add_pin_option(parser: argparse.ArgumentParser) -> None:
    """`--no-pin`."""
    parser.add_argument(
        "--no-pin", action="store_true", help="let lanes use every CPU, also the window's"
    )


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """`--output`, `--json` and `--html`."""
    parser.add_argument("-o", "--output", type=Path, help=f"session file ({SUFFIX})")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - for standard output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the HTML report")


def chosen_inputs(
    inputs: Sequence[InputSpec], arguments: argparse.Namespace
) -> tuple[InputSpec, ...]:
    """What was proposed, with the person's values and then their changes. Raises InputError."""
    given = apply_data(inputs, arguments.data) if arguments.data else inputs
    return apply_overrides(given, arguments.input)


def chosen_tolerance(arguments: argparse.Namespace) -> Tolerance | None:
    """None: by the outputs' precision. One bound alone leaves the other at 0."""
    if arguments.rtol is None and arguments.atol is None:
        return None
    return Tolerance(rtol=arguments.rtol or 0.0, atol=arguments.atol or 0.0)
