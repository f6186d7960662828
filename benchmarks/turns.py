"""How long should a lane's turn be? What a second of rounds tells, by the length of turns.

    python benchmarks/turns.py [--seconds 75]

Two lanes of equal blocks, 100 against 105, take turns of 15 to 240 ms; the length changes every 1.5
seconds, in random order, so that all meet the same machine. Printed for each length: how long a
round takes, rest included, what the log ratio of a round varies by (half of the distance between
its quantiles at 16 and 84 %, which is one standard deviation), and that times the square root of a
round's seconds: the standard deviation of what one second tells.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.calibration import ENGINES, plan_for
from profiler.compare import ENGINE_NAMES
from profiler.lane_group import LaneGroup
from profiler.run_context import RunContext
from profiler.types import EngineKind, Round, RoundKind

TURNS_MS = (15, 30, 50, 100, 240)
SAME_LENGTH_S, LAUNCH_S = 1.5, 25.0
BLOCKS = 105
# (log ratio, seconds) of each round, by the length of its turns in ms.
Rounds = dict[int, list[tuple[float, float]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=75.0, help="of each engine")
    seconds = parser.parse_args().seconds
    print("| engine | turn | rounds | a round takes | it varies by | one second varies by |")
    print("|---" * 6 + "|")
    for engine in ENGINES:
        for turn_ms, rounds in sorted(measure(engine, seconds).items()):
            logs, took = np.array(rounds).T
            low, high = np.quantile(logs, (0.16, 0.84))
            spread, round_s = (high - low) / 2, float(took.mean())
            print(
                f"| {ENGINE_NAMES[engine]} | {turn_ms} ms | {logs.size} | {round_s * 1e3:.0f} ms "
                f"| {spread:.1%} | {spread * math.sqrt(round_s):.1%} |",
                flush=True,
            )
    return 0


def measure(engine: EngineKind, seconds: float) -> Rounds:
    """Rounds of all lengths, through several launches."""
    found: Rounds = defaultdict(list)
    with tempfile.TemporaryDirectory() as models, tempfile.TemporaryDirectory() as folder:
        plan = plan_for(Path(models), engine, BLOCKS, seed=1, time_limit_s=seconds)
        group = LaneGroup(RunContext(plan, Path(folder), lambda: False, time.monotonic))
        try:
            for _ in (*group.load(), *group.warm_up()):
                pass
            started = launched = time.monotonic()
            while time.monotonic() - started < seconds:
                for turn_ms in random.sample(TURNS_MS, len(TURNS_MS)):
                    end = time.monotonic() + SAME_LENGTH_S
                    while time.monotonic() < end:
                        found[turn_ms].append(one_round(group, turn_ms))
                if time.monotonic() - launched > LAUNCH_S:
                    for _ in group.launch_again():
                        pass
                    launched = time.monotonic()
        finally:
            group.close()
    return found


def one_round(group: LaneGroup, turn_ms: int) -> tuple[float, float]:
    """Log of baseline / candidate, and the seconds that it took."""
    started = time.monotonic()
    medians = {}
    for lane in random.sample(list(group.lanes.values()), len(group.lanes)):
        for event in group.turn(lane, RoundKind.TIMED, 0, lane.calls_in(turn_ms * 1_000_000)):
            if isinstance(event, Round):
                medians[event.label] = float(np.median(event.latencies_ns))
    ratio = medians["baseline"] / medians["candidate"]
    return math.log(ratio), time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
