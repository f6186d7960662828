"""A lane as a short Python program that runs alone: NumPy, the engine, and the model's file."""

from __future__ import annotations

import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from profiler.errors import ModelFileError, PlanError, SessionFileError
from profiler.inputs import Array, make_array
from profiler.jobs import program_form
from profiler.lanes import forms
from profiler.onnx_header import read_header
from profiler.search import snippet_ort, snippet_torch
from profiler.session import Session
from profiler.types import EngineKind, EngineSpec, Fill, InputSpec, ModelKind, ModelSource

PROGRAM = "run.py"
INPUTS = "inputs.npz"
# What PyTorch's own loaders can't read alone: it goes through an exported program.
THROUGH_EXPORT = frozenset(
    {ModelKind.ONNX, ModelKind.STATE_DICT, ModelKind.CHECKPOINT, ModelKind.SAFETENSORS}
)

HEAD = '''"""Runs {model} as Dualscope measured it: {lane}.

    python {program} [--seconds 3] [--outputs FILE.npz]

Prints the latency of single calls in milliseconds as JSON.
"""

import argparse
import gc
import json
{imports}

FOLDER = Path(__file__).resolve().parent


def make_inputs():
    """The values that were measured with; put your own here."""
{inputs}


{engine}

def measure(call, seconds):
    """Latencies in ms of single calls, after a warm-up."""
    calls, until = 0, time.perf_counter() + min(1.0, seconds)
    while calls < 8 or time.perf_counter() < until:
        call()
        calls += 1
    gc.collect()
    gc.freeze()
    gc.disable()
    latencies, until = [], time.perf_counter() + seconds
    while len(latencies) < 10 or time.perf_counter() < until:
        started = time.perf_counter_ns()
        call()
        latencies.append((time.perf_counter_ns() - started) / 1e6)
    p50, p90, p99 = np.percentile(latencies, (50, 90, 99))
    return {{"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "calls": len(latencies)}}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to measure")
    parser.add_argument("--outputs", help="save the outputs of one call here (.npz)")
    arguments = parser.parse_args()
    call, to_arrays = make_call(make_inputs())
    print(json.dumps(measure(call, arguments.seconds)))
    if arguments.outputs:
        np.savez(arguments.outputs, *to_arrays(call()))


if __name__ == "__main__":
    main()
'''


@dataclass(frozen=True)
class Snippet:
    """The program's text, the files it needs by the name that it knows them by, and values."""

    program: str
    files: dict[str, Path]
    arrays: dict[str, Array]


def make_snippet(
    spec: EngineSpec, model: ModelSource, inputs: tuple[InputSpec, ...], *, threads: int = 0
) -> Snippet:
    """For a lane and the file that it loads. `threads`: the default's, 0 for the engine's own.

    Raises InputError.
    """
    path = Path(model.path)
    given = [item for item in inputs if item.fill is Fill.FILE]
    of = snippet_ort if spec.engine is EngineKind.ORT else snippet_torch
    bfloat16 = any(item.dtype == "bfloat16" for item in inputs)
    imports = of.imports(spec)
    if bfloat16:
        imports += "\nimport ml_dtypes"
    program = HEAD.format(
        model=path.name,
        lane=_lane(spec),
        program=PROGRAM,
        imports=imports,
        inputs=_inputs(inputs),
        engine=of.engine(spec, model, [item.name for item in inputs], threads),
    )
    files = {path.name: path}
    if model.kind is ModelKind.ONNX:
        files |= _weights_beside(path)
    return Snippet(program, files, {item.name: make_array(item) for item in given})


def write_snippet(snippet: Snippet, folder: Path) -> Path:
    """Write program and files; returns the program's path. Raises SessionFileError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in snippet.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not (target.exists() and target.samefile(source)):
                shutil.copyfile(source, target)
        if snippet.arrays:
            arrays: dict[str, Any] = dict(snippet.arrays)
            np.savez(folder / INPUTS, **arrays)
        path = folder / PROGRAM
        path.write_text(snippet.program, encoding="utf-8", newline="\n")
    except OSError as error:
        raise SessionFileError(
            f"The program can't be written to {folder}: {error.strerror}.",
            "Choose another folder.",
        ) from error
    return path


def write_program(session: Session, spec: EngineSpec, folder: Path) -> Path:
    """The program of a lane on a session's model, such as a search's winner. Raises ProfilerError.

    May start a process that exports the model; call it off the UI thread.
    """
    plan = session.plan or session.search.plan
    if plan is None:
        raise PlanError("The session holds no run.", "Choose another session.")
    model = spec.model or plan.model
    if not Path(model.path).exists():
        raise ModelFileError(f"{model.path} is not there any more.", "Put it back, and try again.")
    if needed := forms(spec, model):
        for form in needed:
            model = _converted(session, spec, model, form)
    elif spec.engine is not EngineKind.ORT and model.kind in THROUGH_EXPORT:
        folder.mkdir(parents=True, exist_ok=True)
        model = program_form(model, plan.inputs, folder / f"{Path(model.path).stem}.pt2")
    search = session.search.plan
    cores = search.cores if search and plan.lane_cpus else 0
    return write_snippet(make_snippet(spec, model, plan.inputs, threads=cores), folder)


def _converted(session: Session, spec: EngineSpec, model: ModelSource, form: str) -> ModelSource:
    """The lane's model in that form, of the cache. Raises ModelFileError where it has gone."""
    source = model.derived_from or model.sha256
    made = [
        found
        for found in session.converted
        if found.form == form
        and (found.model.derived_from or source) == source
        and Path(found.model.path).exists()
    ]
    if not made:
        raise ModelFileError(f"The model in {form} is not in the cache any more.", "Run it again.")
    # Lanes may have files of their own.
    return next((found for found in made if spec.label in found.labels), made[0]).model


def _lane(spec: EngineSpec) -> str:
    options = [f"{name}={value}" for name, value in spec.options.items() if name != "callers"]
    words = ", ".join([spec.engine.value, *options, f"on {spec.device}"])
    callers = int(spec.options.get("callers", 1))
    return words if callers == 1 else f"{words}; it was called by {callers} at once, here by one"


def _inputs(inputs: tuple[InputSpec, ...]) -> str:
    lines = ["    values = {}"]
    if any(item.fill is Fill.FILE for item in inputs):
        lines.append(f'    values |= np.load(FOLDER / "{INPUTS}")')
    for item in inputs:
        if item.fill is not Fill.FILE:
            lines.append(f"    values[{item.name!r}] = {_values(item)}")
    return "\n".join([*lines, "    return values"])


def _values(item: InputSpec) -> str:
    """As `profiler.inputs.make_array` fills it."""
    dtype = "ml_dtypes.bfloat16" if item.dtype == "bfloat16" else f'"{item.dtype}"'
    generator = f"np.random.default_rng(({item.seed}, {zlib.crc32(item.name.encode())}))"
    match item.fill:
        case Fill.ZEROS | Fill.ONES:
            made = f"np.{item.fill.value}({item.shape}, {dtype})"
        case Fill.NORMAL:
            made = f"{generator}.standard_normal({item.shape}).astype({dtype})"
        case Fill.UNIFORM:
            made = f"{generator}.uniform({item.low}, {item.high}, {item.shape}).astype({dtype})"
        case _:
            high = max(int(item.high), int(item.low) + 1)
            made = f"{generator}.integers({int(item.low)}, {high}, {item.shape}).astype({dtype})"
    return made if item.limit is None else f"np.clip({made}, 0, {item.limit - 1})"


def _weights_beside(path: Path) -> dict[str, Path]:
    header = read_header(path)
    names = header.weights_files if header else set()
    inside = path.parent.resolve()
    found = {name: (inside / name).resolve() for name in names}
    return {name: place for name, place in found.items() if place.is_relative_to(inside)}
