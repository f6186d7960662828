"""`dualscope generate`: measure how fast a model with a KV cache generates text."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from profiler import consent
from profiler.console_run import looked_at, run_plan, sweep
from profiler.generation.plan import generation_plan
from profiler.lanes import parse_lane
from profiler.model_options import add_model_options
from profiler.quantities import whole
from profiler.run_options import (
    add_limit_options,
    add_output_options,
    add_pin_option,
    add_tolerance_options,
    chosen_tolerance,
)
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
    add_tolerance_options(parser, "logits")
    add_pin_option(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def add_token_options(parser: argparse.ArgumentParser) -> None:
    """How much is generated."""
    parser.add_argument(
        "--prompt-tokens", type=whole, metavar="N", help="tokens of the prefill (default: 128)"
    )
    parser.add_argument(
        "--new-tokens", type=whole, metavar="M", help="tokens that are generated (default: 32)"
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """When to stop, which tokens are drawn, and where results go."""
    add_limit_options(parser)
    parser.add_argument("--seed", type=whole, default=0, help="draws the tokens; a whole number")
    add_output_options(parser)


def run(arguments: argparse.Namespace) -> int:
    command = sweep if arguments.sweep else run_plan
    return command(arguments, lambda cancelled: make_plan(arguments, cancelled))


def make_plan(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> RunPlan:
    """Raises PlanError, ModelFileError before anything is measured."""
    engines = [parse_lane(text, generation=True) for text in arguments.lane]
    info = looked_at(arguments, cancelled)
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
