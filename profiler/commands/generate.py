"""`dualscope generate`: measure how fast a model with a KV cache generates text."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from profiler import consent
from profiler.commands.profile import (
    bound,
    chosen_tolerance,
    run_plan,
    seconds,
    seed,
    share,
    sweep,
)
from profiler.generation.plan import generation_plan
from profiler.jobs import inspect_model
from profiler.lanes import parse_lane
from profiler.model_options import add_model_options, factory_of
from profiler.session_schema import SUFFIX
from profiler.sweep.command import add_sweep_axes
from profiler.types import RunPlan


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "generate", help="measure text generation: time to first token, inter-token latency"
    )
    parser.add_argument(
        "model", type=Path, help="an ONNX file with a KV cache, or a transformers folder"
    )
    add_token_options(parser)
    parser.add_argument(
        "--lane",
        action="append",
        default=[],
        metavar="NAME=ENGINE[,key=value...]",
        help="ort, torch-eager, torch-compile or endpoint,url=URL; may be repeated "
        "(default: ort and torch-eager)",
    )
    parser.add_argument("--baseline", help="the lane that speedups refer to")
    add_run_options(parser)
    add_sweep_axes(parser, "prompt=32,64,128, tokens=8,16, threads=1..4")
    parser.add_argument("--rtol", type=bound, help="relative tolerance of logits")
    parser.add_argument(
        "--atol", type=bound, help="absolute tolerance, over the root mean square of the logits"
    )
    parser.add_argument(
        "--no-pin", action="store_true", help="let lanes use every CPU, also the window's"
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def add_token_options(parser: argparse.ArgumentParser) -> None:
    """How much is generated."""
    parser.add_argument(
        "--prompt-tokens", type=seed, metavar="N", help="tokens of the prefill (default: 128)"
    )
    parser.add_argument(
        "--new-tokens", type=seed, metavar="M", help="tokens that are generated (default: 32)"
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """When to stop, and where results go."""
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
        help="width of the interval, over the ratio, at which to stop, such as 2%%",
    )
    parser.add_argument("--seed", type=seed, default=0, help="draws the tokens; a whole number")
    parser.add_argument("-o", "--output", type=Path, help=f"session file ({SUFFIX})")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - for standard output")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the HTML report")


def run(arguments: argparse.Namespace) -> int:
    command = sweep if arguments.sweep else run_plan
    return command(arguments, lambda cancelled: make_plan(arguments, cancelled))


def make_plan(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> RunPlan:
    """Raises PlanError, ModelFileError before anything is measured."""
    engines = [parse_lane(text, generation=True) for text in arguments.lane]
    sys.stderr.write(f"looking at {arguments.model}\n")
    info = inspect_model(
        arguments.model,
        factory=factory_of(arguments),
        trust=arguments.trust,
        cancelled=cancelled,
    )
    for note in info.notes:
        sys.stderr.write(f"note: {note}\n")
    plan = generation_plan(
        info,
        prompt_tokens=arguments.prompt_tokens,
        new_tokens=arguments.new_tokens,
        engines=engines,
        baseline=arguments.baseline,
        time_limit_s=arguments.time_limit,
        target_width=arguments.target,
        seed=arguments.seed,
        tolerance=chosen_tolerance(arguments),
        pin=not arguments.no_pin,
    )
    return consent.renewed(plan, trust=arguments.trust)
