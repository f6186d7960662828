"""How far do launches of one and the same lane differ from each other?

    python benchmarks/launches.py [--launches 8] [--rounds 60]

Several processes of one lane take turns in random order. Each one's latency over the round's median
of all, with its interval; and the spread between launches that is left when the uncertainty within
a launch is taken off (variance of the launches' medians minus their mean squared standard error).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.models import DEMO, block_chain
from profiler.jobs import inspect_model
from profiler.lane import Lane
from profiler.stats import median_interval
from profiler.types import LEAD_IN_NS, EngineKind, EngineSpec, Load, ModelInfo

TURN_NS = 50_000_000
# Half-width of an interval at the level of `profiler.stats`, in standard errors.
STANDARD_ERRORS = 2.33


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--launches", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=60)
    arguments = parser.parse_args()
    print("| model | engine | launches, sorted | spread between launches |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model in (block_chain(Path(folder), 100), DEMO):
            info = inspect_model(model)
            for engine in (EngineKind.ORT, EngineKind.TORCH_EAGER):
                compare(info, engine, Path(folder), arguments.launches, arguments.rounds)
    return 0


def compare(info: ModelInfo, engine: EngineKind, folder: Path, launches: int, rounds: int) -> None:
    """Print one row."""
    lanes: list[Lane] = []
    try:
        for number in range(launches):
            spec = EngineSpec(label=f"{engine.value}-{number}", engine=engine)
            name = f"{Path(info.source.path).stem}-{spec.label}"
            lane = Lane(spec, info.source, folder / name, lambda: False)
            lanes.append(lane)
            load = Load(
                spec=spec,
                model=info.source,
                inputs=info.inputs,
                work_dir=str(lane.work_dir),
                launch=number,
            )
            lane.request(load, 120.0)
            lane.infer(10, 120.0)
            lane.infer(lane.calls_in(500_000_000), 120.0)
        found = np.array([one_round(lanes) for _ in range(rounds)])
    finally:
        for lane in lanes:
            lane.close()
    ratios = found / np.median(found, axis=1, keepdims=True)
    medians = np.median(ratios, axis=0)
    intervals = [median_interval(ratios[:, number]) for number in range(launches)]
    errors = np.array([(high - low) / 2 / STANDARD_ERRORS for low, high in intervals])
    variance = medians.var(ddof=1) - float((errors**2).mean())
    spread = f"{np.sqrt(variance):.2%}" if variance > 0 else "none found"
    listed = ", ".join(f"{value:.3f}" for value in sorted(medians))
    name = Path(info.source.path).stem
    print(
        f"| {name} | {engine.value} | {listed} | {spread} "
        f"(uncertainty of one {errors.mean():.2%}) |",
        flush=True,
    )


def one_round(lanes: list[Lane]) -> list[float]:
    """Median latency in ns of each lane's turn."""
    medians = [0.0] * len(lanes)
    for number in random.sample(range(len(lanes)), len(lanes)):
        lane = lanes[number]
        reply = lane.infer(lane.calls_in(TURN_NS), 120.0, lane.lead_in(LEAD_IN_NS))
        medians[number] = float(np.median(reply.latencies_ns))
    return medians


if __name__ == "__main__":
    sys.exit(main())
