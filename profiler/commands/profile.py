"""`dualscope profile`: measure a model's lanes and say which is faster."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from profiler import consent
from profiler.console_run import looked_at, run_plan, sweep
from profiler.decision_options import add_decision_options
from profiler.errors import PlanError
from profiler.lanes import parse_lane
from profiler.model_options import add_model_options
from profiler.noise import noise_rule
from profiler.placement import lane_cpus, usable_cores
from profiler.plan import check_plan, default_plan
from profiler.quantities import whole
from profiler.run_options import (
    add_input_options,
    add_limit_options,
    add_output_options,
    add_pin_option,
    add_tolerance_options,
    chosen_inputs,
    chosen_tolerance,
)
from profiler.session_file import read_session
from profiler.sweep.command import add_sweep_options
from profiler.types import Locate, RunPlan


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("profile", help="measure a model's lanes")
    parser.add_argument("model", type=Path, nargs="?", help="not needed with --repeat")
    parser.add_argument(
        "--repeat",
        type=Path,
        metavar="SESSION",
        help="run the plan of a session again; the limits below may be changed",
    )
    parser.add_argument(
        "--lane",
        action="append",
        default=[],
        metavar="NAME=ENGINE[,key=value...]",
        help="an engine in one configuration; may be repeated (default: ort, "
        "and torch-script for TorchScript, torch-export for .pt2, else torch-eager)",
    )
    parser.add_argument("--baseline", help="the lane that speedups refer to")
    add_input_options(parser)
    add_limit_options(parser)
    add_sweep_options(parser)
    add_model_options(parser)
    add_decision_options(parser)
    parser.add_argument("--seed", type=whole, help="a whole number from 0")
    add_tolerance_options(parser)
    parser.add_argument(
        "--locate",
        choices=[when.value for when in Locate],
        help="compare values inside of the model, to name the first layer that differs: when the "
        "outputs differ (default), always or never",
    )
    add_pin_option(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    def plan(cancelled: Callable[[], bool]) -> RunPlan:
        return repeated_plan(arguments) if arguments.repeat else make_plan(arguments, cancelled)

    return (sweep if arguments.sweep or arguments.resume else run_plan)(arguments, plan)


def repeated_plan(arguments: argparse.Namespace) -> RunPlan:
    """The session's own plan, on the same files. Raises PlanError, SessionFileError."""
    given = ("model", "lane", "baseline", "input", "data", "factory")
    if any(getattr(arguments, name) for name in given):
        raise PlanError(
            "--repeat runs the session's own model, lanes and inputs.",
            "Leave out MODEL, --lane, --baseline and --input.",
        )
    plan = read_session(arguments.repeat).plan
    if plan is None:
        raise PlanError(f"{arguments.repeat} holds no plan.", "Choose another session.")
    plan = consent.renewed(plan, trust=arguments.trust)
    stopping = msgspec.structs.replace(
        plan.stopping,
        time_limit_s=arguments.time_limit or plan.stopping.time_limit_s,
        target_width=arguments.target or plan.stopping.target_width,
    )
    seed = plan.seed if arguments.seed is None else arguments.seed
    # What belongs to the machine is this machine's.
    repeated = msgspec.structs.replace(
        plan,
        stopping=stopping,
        seed=seed,
        noise=noise_rule(os.cpu_count() or 1),
        lane_cpus=() if arguments.no_pin else lane_cpus(usable_cores()),
        tolerance=chosen_tolerance(arguments) or plan.tolerance,
        locate=Locate(arguments.locate) if arguments.locate else plan.locate,
    )
    check_plan(repeated)
    return repeated


def make_plan(arguments: argparse.Namespace, cancelled: Callable[[], bool]) -> RunPlan:
    """Raises PlanError, InputError, ModelFileError before anything is measured."""
    if arguments.model is None:
        raise PlanError("Which model?", "Name a model file, or a session with --repeat.")
    engines = [parse_lane(text) for text in arguments.lane]
    info = looked_at(arguments, cancelled)
    plan = default_plan(
        info,
        inputs=chosen_inputs(info.inputs, arguments),
        engines=engines,
        baseline=arguments.baseline,
        time_limit_s=arguments.time_limit,
        target_width=arguments.target,
        seed=arguments.seed or 0,
        tolerance=chosen_tolerance(arguments),
        pin=not arguments.no_pin,
    )
    plan = msgspec.structs.replace(plan, locate=Locate(arguments.locate or Locate.DIFFER))
    return consent.renewed(plan, trust=arguments.trust)
