"""How much of each lane's operator time lies in regions that both lanes run, on real models?

    python benchmarks/alignment_coverage.py [--small] [--only BERT-base] [--time-limit 6]

Each architecture (transformers, random weights) is written as ONNX and as a program of
torch.export. A short run measures four lanes: ONNX Runtime with all optimizations and with none,
PyTorch eager on the imported ONNX file, and PyTorch eager on the program itself. One row a pair.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402

from profiler import supervisor  # noqa: E402
from profiler.explanation import Explanation  # noqa: E402
from profiler.jobs import inspect_model  # noqa: E402
from profiler.model_file import identify  # noqa: E402
from profiler.plan import default_plan  # noqa: E402
from profiler.session import Session  # noqa: E402
from profiler.types import EngineKind, EngineSpec, WarmupRule  # noqa: E402

PAIRS = (
    ("imported", "ort"),
    ("program", "ort"),
    ("program", "imported"),
    ("unoptimized", "ort"),
)
HEADER = (
    "| model | baseline / candidate | in shared regions | regions | largest region | "
    "operators / traced | traced / timed | the gap |\n|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    from tests.architectures import ARCHITECTURES, save

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
            session = measured(onnx_path, program_path, arguments.time_limit)
            for row in rows(name, session):
                print(row, flush=True)
    return 0


def measured(onnx_path: Path, program_path: Path, time_limit_s: float) -> Session:
    """A run of all four lanes."""
    plain: dict[str, str | int | float | bool] = {"graph_optimization_level": "disable"}
    lanes = (
        EngineSpec(label="ort", engine=EngineKind.ORT),
        EngineSpec(label="unoptimized", engine=EngineKind.ORT, options=plain),
        EngineSpec(label="imported", engine=EngineKind.TORCH_EAGER),
        EngineSpec(label="program", engine=EngineKind.TORCH_EAGER, model=identify(program_path)),
    )
    plan = default_plan(inspect_model(onnx_path), engines=lanes, time_limit_s=time_limit_s)
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
            problem = next((f.message for f in session.failures.values()), "not traced")
            yield f"| {name} | {baseline} / {candidate} | {problem} | | | | | |"
        else:
            yield f"| {name} | {baseline} / {candidate} | {_figures(found)} |"


def _figures(found: Explanation) -> str:
    cells = (
        _both(f"{share:.1%}" for share in found.coverage),
        str(len(found.regions)),
        _both(_largest(found, lane) for lane in (0, 1)),
        _both(f"{figures.coverage:.1%}" for figures in found.figures),
        _both(f"{figures.tracing_cost:.2f}" for figures in found.figures),
        found.sentence(),
    )
    return " | ".join(cells)


def _both(texts: Iterator[str]) -> str:
    return " / ".join(texts)


def _largest(found: Explanation, lane: int) -> str:
    """The largest region's share of the lane's time, beside its largest operator's."""
    whole = found.figures[lane].operators_ns
    region = max(found.regions, key=lambda region: region.traced_ns[lane])
    operator = max(row.mean_ns for region in found.regions for row in region.operators[lane])
    return f"{region.traced_ns[lane] / whole:.1%} ({operator / whole:.1%})"


if __name__ == "__main__":
    sys.exit(main())
