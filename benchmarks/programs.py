"""Is a lane's program as fast as the lane? Processes of both in turn, some of each.

    python benchmarks/programs.py [MODEL.onnx ...] [--launches 6] [--seconds 1]

Each launch of the lane is a new engine process, measured in turns as in a run; each of the program
is `python run.py` in a folder of its own. The ratio of their p50 over the pairs, with the interval
of every comparison (the unit is the launch), should hold 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.models import DEMO, block_chain
from benchmarks.ratios import geometric_mean
from profiler.jobs import inspect_model
from profiler.lane import Lane
from profiler.lanes import parse_lane
from profiler.search.snippet import make_snippet, write_snippet
from profiler.types import EngineSpec, Load, ModelInfo

LANES = ("ort", "ort,intra_op_threads=1,io_binding=true")
WARMUP_S = 1.0
TURN_NS = 100_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--launches", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    print("| model | lane | lane p50, ms | program p50, ms | program / lane | 95 % interval |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model in arguments.models or (DEMO, block_chain(Path(folder), 100)):
            info = inspect_model(model)
            for text in LANES:
                compare(info, parse_lane(text), text, arguments, Path(folder))
    return 0


def compare(
    info: ModelInfo, spec: EngineSpec, text: str, arguments: argparse.Namespace, folder: Path
) -> None:
    """Print one row."""
    here = folder / f"{Path(info.source.path).stem}-{text.count(',')}"
    program = write_snippet(make_snippet(spec, info.source, info.inputs), here / "program")
    lanes, programs = [], []
    for number in range(arguments.launches):
        lanes.append(lane_p50_ms(info, spec, here / str(number), arguments.seconds))
        programs.append(program_p50_ms(program, arguments.seconds))
    ratio, low, high = geometric_mean([p / q for p, q in zip(programs, lanes, strict=True)])
    print(
        f"| {Path(info.source.path).stem} | {text} | {median(lanes):.4g} | {median(programs):.4g} "
        f"| {ratio:.3f} | {low:.3f}–{high:.3f} |",
        flush=True,
    )


def lane_p50_ms(info: ModelInfo, spec: EngineSpec, folder: Path, seconds: float) -> float:
    with_turns: list[int] = []
    lane = Lane(spec, info.source, folder, lambda: False)
    try:
        load = Load(spec=spec, model=info.source, inputs=info.inputs, work_dir=str(lane.work_dir))
        lane.request(load, 120.0)
        spent_ns = 0
        while spent_ns < (WARMUP_S + seconds) * 1e9:
            latencies = lane.infer(lane.calls_in(TURN_NS), 60.0).latencies_ns
            spent_ns += sum(latencies)
            if spent_ns > WARMUP_S * 1e9:
                with_turns += latencies
    finally:
        lane.close()
    return median(with_turns) / 1e6


def program_p50_ms(program: Path, seconds: float) -> float:
    done = subprocess.run(
        [sys.executable, "-I", str(program), f"--seconds={seconds}"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return float(json.loads(done.stdout)["p50_ms"])


if __name__ == "__main__":
    sys.exit(main())
