"""`dualscope bench-endpoint`: measure servers with an OpenAI-compatible interface."""

from __future__ import annotations

import argparse
import re

import msgspec

from profiler.commands.generate import add_run_options, add_token_options
from profiler.console_run import run_plan
from profiler.errors import PlanError
from profiler.generation.plan import generation_plan
from profiler.lanes import lane_spec
from profiler.quantities import whole
from profiler.types import EngineKind, EngineSpec, RunPlan

GIVEN = ("served_model", "api", "requests", "key_variable")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "bench-endpoint",
        help="measure a server: vLLM, TGI, transformers serve, llama.cpp, any OpenAI-compatible",
    )
    parser.add_argument(
        "url", nargs="+", help="its address, such as http://127.0.0.1:8000/v1; several to compare"
    )
    add_token_options(parser)
    parser.add_argument(
        "--concurrency",
        type=numbers,
        metavar="N[,N...]",
        help="requests in flight at once (default: 1); a lane for each number",
    )
    parser.add_argument(
        "--rate",
        type=numbers,
        metavar="R[,R...]",
        help="requests a second, arriving at random (Poisson); a lane for each number",
    )
    parser.add_argument("--requests", type=whole, metavar="N", help="in a turn (default: 16)")
    parser.add_argument("--served-model", help="the model's name there (default: its first)")
    parser.add_argument("--api", choices=("completions", "chat"), help="default: completions")
    parser.add_argument(
        "--key-variable", metavar="NAME", help="environment variable with the server's key"
    )
    parser.add_argument("--baseline", help="the lane that speedups refer to (default: the first)")
    add_run_options(parser)
    parser.set_defaults(run=run)


def numbers(text: str) -> list[str]:
    """`1,8,32`, kept as they were written: they name lanes, too."""
    found = text.split(",")
    if not all(re.fullmatch(r"\d+(\.\d+)?", number) for number in found):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers; write for example 1,8")
    return found


def run(arguments: argparse.Namespace) -> int:
    return run_plan(arguments, lambda _: make_plan(arguments))


def make_plan(arguments: argparse.Namespace) -> RunPlan:
    """A lane for each address and each concurrency or rate. Raises PlanError."""
    if arguments.concurrency and arguments.rate:
        raise PlanError(
            "Requests either arrive at a rate, or so many are in flight at once.",
            "Give --concurrency or --rate.",
        )
    lanes = endpoint_lanes(arguments)
    return generation_plan(
        None,
        prompt_tokens=arguments.prompt_tokens,
        new_tokens=arguments.new_tokens,
        requests=arguments.requests,
        engines=lanes,
        baseline=arguments.baseline or lanes[0].label,
        time_limit_s=arguments.time_limit,
        target_width=arguments.target,
        seed=arguments.seed,
        # The client is light, and a server here needs every CPU.
        pin=False,
    )


def endpoint_lanes(arguments: argparse.Namespace) -> list[EngineSpec]:
    """Named by what they differ in."""
    name, values = (
        ("rate", arguments.rate) if arguments.rate else ("concurrency", arguments.concurrency)
    )
    lanes = []
    for url in arguments.url:
        given = {key: str(getattr(arguments, key)) for key in GIVEN if getattr(arguments, key)}
        where = re.sub(r"^https?://|/v1/?$", "", url)
        for value in values or ["1"]:
            told = f"{where} ×{value}" if name == "concurrency" else f"{where} {value}/s"
            spec = lane_spec(
                told, EngineKind.ENDPOINT, {"url": url, name: value, **given}, generation=True
            )
            lanes.append(spec)
    if len(lanes) == len(arguments.url):
        plain = (re.sub(r"^https?://|/v1/?$", "", str(s.options["url"])) for s in lanes)
        return [
            msgspec.structs.replace(spec, label=label)
            for spec, label in zip(lanes, plain, strict=True)
        ]
    return lanes
