"""Does a lane's latency depend on which lane ran before it?

    python benchmarks/interference.py [--rounds 60]

For each engine: turns of 50 ms straight after an idle pause, and straight after another lane's
turn, in random order; the paired ratio of the medians with its interval.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.models import DEMO
from profiler.jobs import inspect_model
from profiler.lane import Lane
from profiler.stats import median_interval
from profiler.types import LEAD_IN_NS, EngineKind, EngineSpec, Latencies, Load

TURN_NS = 50_000_000
IDLE_S = 0.1
LANES = {
    "ONNX Runtime": EngineSpec(label="ort", engine=EngineKind.ORT),
    "PyTorch eager": EngineSpec(label="torch", engine=EngineKind.TORCH_EAGER),
    "another PyTorch eager": EngineSpec(label="torch 2", engine=EngineKind.TORCH_EAGER),
}
PAIRS = (
    ("ONNX Runtime", "PyTorch eager"),
    ("PyTorch eager", "ONNX Runtime"),
    ("PyTorch eager", "another PyTorch eager"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    info = inspect_model(DEMO)
    lanes: dict[str, Lane] = {}
    print("| lane | straight after | ratio to after idle | 95 % interval |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, spec in LANES.items():
                lane = Lane(spec, info.source, Path(folder) / spec.label, lambda: False)
                lanes[name] = lane
                work_dir = str(lane.work_dir)
                lane.request(
                    Load(spec=spec, model=info.source, inputs=info.inputs, work_dir=work_dir),
                    120.0,
                )
                for _ in range(10):
                    lane.infer(lane.calls_in(TURN_NS), 120.0)
            for name, other in PAIRS:
                print_pair(name, other, lanes, rounds)
        finally:
            for lane in lanes.values():
                lane.close()
    return 0


def print_pair(name: str, other: str, lanes: dict[str, Lane], rounds: int) -> None:
    """One row."""
    ratios = []
    for _ in range(rounds):
        found = {}
        for before in random.sample(("idle", "other"), 2):
            time.sleep(IDLE_S)
            if before == "other":
                take_turn(lanes[other])
            reply = take_turn(lanes[name])
            found[before] = float(np.median(reply.latencies_ns))
        ratios.append(found["other"] / found["idle"])
    low, high = median_interval(np.array(ratios))
    print(f"| {name} | {other} | {np.median(ratios):.3f} | {low:.3f} – {high:.3f} |", flush=True)


def take_turn(lane: Lane) -> Latencies:
    """As in a run."""
    return lane.infer(lane.calls_in(TURN_NS), 120.0, lane.lead_in(LEAD_IN_NS))


if __name__ == "__main__":
    sys.exit(main())
