"""How much of each lane's operator time lies in regions that both lanes run, on real models?

    python benchmarks/alignment_coverage.py [--small] [--only BERT-base] [--time-limit 6]

Each architecture (transformers, random weights) is written as ONNX, as ONNX quantized to int8, and
as a program of torch.export. A short run measures seven lanes: ONNX Runtime with all optimizations,
with basic ones, and on the int8 file; PyTorch eager and torch.compile on the imported ONNX
file; PyTorch eager on the program itself; and TorchScript, traced. One row a pair.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec

from benchmarks.models import OneSample
from profiler import supervisor
from profiler.explanation import Explanation
from profiler.inputs import make_arrays
from profiler.jobs import inspect_model
from profiler.model_file import identify
from profiler.plan import default_plan
from profiler.session import Session
from profiler.trace_figures import TraceFigures
from profiler.types import EngineKind, EngineSpec, WarmupRule

PAIRS = (
    ("imported", "ort"),
    ("program", "ort"),
    ("script", "ort"),
    ("compile", "ort"),
    ("basic", "ort"),
    ("ort", "int8"),
)
# From so many on, a model is quantized by calibration: integer convolutions are slow else.
MANY_CONVOLUTIONS = 10
HEADER = (
    "| model | baseline / candidate | in shared regions | regions | largest region | "
    "shared out | operators / traced | no operator: before, between, after | traced / timed | "
    "the gap |\n|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Files:
    """One model in four forms."""

    onnx: Path
    int8: Path
    program: Path
    script: Path


def main() -> int:
    from tests.architectures import ARCHITECTURES, build, save
    from tests.model_zoo import save_script

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="small widths and few layers")
    parser.add_argument("--only", action="append", choices=list(ARCHITECTURES))
    parser.add_argument("--time-limit", type=float, default=6.0, metavar="SECONDS")
    arguments = parser.parse_args()
    print(HEADER)
    for name in arguments.only or ARCHITECTURES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DUALSCOPE_CACHE"] = folder
            onnx_path, program_path = save(name, Path(folder), small=arguments.small)
            script_path = onnx_path.with_suffix(".pt")
            module, example = build(name, small=arguments.small)
            save_script(module, script_path, example)
            files = Files(onnx_path, quantized(onnx_path), program_path, script_path)
            session = measured(files, arguments.time_limit)
            for row in rows(name, session):
                print(row, flush=True)
    return 0


def quantized(onnx_path: Path) -> Path:
    """The same model in int8: convolutions by a calibration on random inputs, else dynamically."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    int8_path = onnx_path.with_name(f"{onnx_path.stem}-int8.onnx")
    arrays = make_arrays(inspect_model(onnx_path).inputs)
    model = onnx.load(onnx_path)
    # The quantizer renames values, and trips over what the exporter noted of their shapes.
    del model.graph.value_info[:]
    onnx.save(model, int8_path)
    if [node.op_type for node in model.graph.node].count("Conv") < MANY_CONVOLUTIONS:
        quantize_dynamic(int8_path, int8_path, weight_type=QuantType.QInt8)
        return int8_path

    quantize_static(int8_path, int8_path, OneSample(arrays), quant_format=QuantFormat.QDQ)
    return int8_path


def measured(files: Files, time_limit_s: float) -> Session:
    """A run of all lanes."""
    basic: dict[str, str | int | float | bool] = {"graph_optimization_level": "basic"}
    lanes = (
        EngineSpec(label="ort", engine=EngineKind.ORT),
        EngineSpec(label="basic", engine=EngineKind.ORT, options=basic),
        EngineSpec(label="int8", engine=EngineKind.ORT, model=identify(files.int8)),
        EngineSpec(label="imported", engine=EngineKind.TORCH_EAGER),
        EngineSpec(label="script", engine=EngineKind.TORCH_SCRIPT, model=identify(files.script)),
        EngineSpec(label="compile", engine=EngineKind.TORCH_COMPILE),
        EngineSpec(label="program", engine=EngineKind.TORCH_EAGER, model=identify(files.program)),
    )
    plan = default_plan(inspect_model(files.onnx), engines=lanes, time_limit_s=time_limit_s)
    plan = msgspec.structs.replace(plan, warmup=WarmupRule(time_limit_s=1.0))
    session = Session()
    for event in supervisor.run(plan):
        session.apply(event)
    return session


def rows(name: str, session: Session) -> Iterator[str]:
    """A line of the table for each pair that was traced."""
    for baseline, candidate in PAIRS:
        found = session.explanation(baseline, candidate)
        if found is None:
            failed = [session.failures.get(label) for label in (baseline, candidate)]
            problem = next((f.message for f in failed if f), "not traced")
            yield f"| {name} | {baseline} / {candidate} | {problem} | | | | | | | |"
        else:
            yield f"| {name} | {baseline} / {candidate} | {_figures(found)} |"


def _figures(found: Explanation) -> str:
    cells = (
        _both(f"{share:.1%}" for share in found.coverage),
        str(len(found.regions)),
        _both(_largest(found, lane) for lane in (0, 1)),
        _both(_shared_out(found, lane) for lane in (0, 1)),
        _both(f"{figures.coverage:.1%}" for figures in found.figures),
        _both(_own_time(figures) for figures in found.figures),
        _both(f"{figures.tracing_cost:.2f}" for figures in found.figures),
        found.sentence(),
    )
    return " | ".join(cells)


def _both(texts: Iterator[str]) -> str:
    return " / ".join(texts)


def _own_time(figures: TraceFigures) -> str:
    """Shares of a traced call in which no operator ran."""
    times = (figures.before_ns, figures.between_ns, figures.after_ns)
    whole_ns = figures.operators_ns + figures.outside_ns
    return " + ".join(f"{time_ns / whole_ns:.1%}" for time_ns in times)


def _shared_out(found: Explanation, lane: int) -> str:
    """The share of operator time that is an estimate: kernels divided by bytes moved."""
    rows = [row for region in found.regions for row in region.operators[lane]]
    estimated = sum(row.traced_ns for row in rows if row.estimated)
    return f"{estimated / found.figures[lane].operators_ns:.1%}"


def _largest(found: Explanation, lane: int) -> str:
    """The largest region's share of the lane's time, beside its largest operator's."""
    whole = found.figures[lane].operators_ns
    region = max(found.regions, key=lambda region: region.traced_ns[lane])
    operator = max(row.traced_ns for region in found.regions for row in region.operators[lane])
    return f"{region.traced_ns[lane] / whole:.1%} ({operator / whole:.1%})"


if __name__ == "__main__":
    sys.exit(main())
