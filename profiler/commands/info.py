"""`dualscope info`: what a model or session file holds."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import msgspec

from profiler.console import printable, summary
from profiler.decision_options import add_decision_options, question_of
from profiler.exporters import formats
from profiler.inputs import describe_shape
from profiler.jobs import inspect_model
from profiler.model_options import add_model_options, factory_of
from profiler.session_file import kind_of, looks_like_session, read_session
from profiler.session_schema import SWEEP
from profiler.sweep import exporters, table
from profiler.sweep.sweep_file import read_sweep
from profiler.types import ModelInfo


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("info", help="show what a model or session file holds")
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model_options(parser)
    add_decision_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if looks_like_session(arguments.file) and kind_of(arguments.file) == SWEEP:
        sweep = read_sweep(arguments.file)
        text = exporters.render_json(sweep) if arguments.json else table.summary(sweep)
    elif looks_like_session(arguments.file):
        session = read_session(arguments.file)
        session.question = question_of(arguments, session.question)
        text = formats()["json"].render(session) if arguments.json else summary(session)
    else:
        info = inspect_model(arguments.file, factory=factory_of(arguments), trust=arguments.trust)
        text = json.dumps(msgspec.to_builtins(info), indent=2) if arguments.json else describe(info)
    sys.stdout.write(text + "\n")
    return 0


def describe(info: ModelInfo) -> str:
    """A few lines for a person."""
    source = info.source
    lines = [
        f"{Path(source.path).name}: {source.kind.value}, {source.size_bytes / 2**20:.2f} MiB",
        f"sha256 {source.sha256}",
        f"opset {source.opset or '-'}, producer {source.producer or '-'}",
        f"{info.parameter_count:,} parameters"
        + (f", {info.node_count} nodes" if info.node_count else ""),
        *(f"input {s.name}: {s.dtype} {describe_shape(s)}, {s.fill.value}" for s in info.inputs),
        *(f"output {s.name}: {s.dtype} {list(s.shape)}" for s in info.outputs),
    ]
    operators = ", ".join(f"{name} {count}" for name, count in list(info.op_counts.items())[:12])
    if operators:
        lines.append(f"operators: {operators}")
    if info.missing_torch_ops:
        lines.append(f"no PyTorch form of: {', '.join(info.missing_torch_ops)}")
    if info.generation is not None:
        cache = info.generation
        lines.append(
            f"generates text (dualscope generate): {cache.convention} cache of {cache.layers} "
            f"layers, {cache.heads} heads of {cache.head_size}; vocabulary {cache.vocabulary}"
        )
    lines += [f"note: {note}" for note in info.notes]
    return "\n".join(printable(line) for line in lines)
