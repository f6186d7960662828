"""Does Dualscope's own work show in its numbers?

    python benchmarks/overhead.py [--launches 10] [--rounds 12] [--aligned] [--one-session]

Three models of about 0.1, 2 and 50 ms. A bare loop is a plain script that makes a session and times
`session.run` with `time.perf_counter_ns`; it and Dualscope's engine process take turns in random
order. Both are launched anew `--launches` times, and the paired ratios of their medians have the
interval of `profiler.stats`; rounds in which the machine was slow are left out, as in any run. With
`--aligned` the bare loop's inputs lie as Dualscope's do, and it begins on the same CPU.

With `--one-session` the bare loop runs in the process in which Dualscope's engine answers, and on
its session: what is left out is how processes and sessions differ, several percent. The session has
one thread then, which needs no second core and leaves nothing to wait for.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.models import block_chain
from profiler.inputs import make_arrays
from profiler.jobs import inspect_model
from profiler.lane import Lane
from profiler.noise import noise_rule, slow_rounds
from profiler.placement import begin_on_first_cpu
from profiler.rest import wait_for_rest
from profiler.stats import LAUNCH_SPREAD, launches_estimate
from profiler.types import (
    LEAD_IN_NS,
    EngineKind,
    EngineSpec,
    Infer,
    Latencies,
    Load,
    Loaded,
    ModelInfo,
)
from profiler.worker import Worker

# Blocks, width and rows: about 0.1, 2 and 50 ms on two cores.
MODELS = ((30, 160, 8), (100, 480, 8), (110, 1024, 48))
TURN_NS = 50_000_000
# Between a turn's last call and the next turn. The threads of the bare loop, which has no wait for
# rest, spin for 50 ms here; and what went before has to be the same for both.
PAUSE_S = 0.1
# On one session both wait until the threads rest, and then for so long.
REST_S = 0.01
WARMUP_ROUNDS = 5
# What launches of one session against itself are taken to differ by, before anything is known.
ONE_SESSION_SPREAD = 0.002

# The plain script: nothing of Dualscope in it, and no options.
BARE = """
import os, statistics, sys, time, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
feeds = dict(numpy.load(sys.argv[2]))
if sys.argv[3:] == ["--aligned"]:
    for name, array in feeds.items():
        memory = numpy.empty(array.nbytes + 64, numpy.uint8)
        start = -memory.ctypes.data % 64
        feeds[name] = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        feeds[name][...] = array
    usable = os.sched_getaffinity(0)
print("ready", flush=True)
for line in sys.stdin:
    latencies = []
    calls, warm = map(int, line.split())
    if sys.argv[3:] == ["--aligned"]:
        os.sched_setaffinity(0, {min(usable)})
        os.sched_setaffinity(0, usable)
    for _ in range(calls):
        start = time.perf_counter_ns()
        session.run(None, feeds)
        latencies.append(time.perf_counter_ns() - start)
    print(statistics.median(latencies[warm:]), flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--launches", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=12, help="of each launch")
    parser.add_argument(
        "--aligned", action="store_true", help="the bare loop's inputs at multiples of 64 bytes"
    )
    parser.add_argument(
        "--one-session", action="store_true", help="both in one process, on one session"
    )
    parser.add_argument("--only", type=int, help="of the models that of this width: 160, 480, 1024")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    rounds = arguments.rounds
    if arguments.here:
        print(json.dumps(rounds_here(arguments.here, rounds)))
        return 0
    print(
        "| bare p50 | Dualscope / bare | 95 % interval | difference | slow rounds, left out |\n"
        f"|{'---|' * 5}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for shape in MODELS:
            if arguments.only and arguments.only != shape[1]:
                continue
            model = block_chain(Path(folder), *shape)
            launches = []
            for _ in range(arguments.launches):
                if arguments.one_session:
                    launches.append(launch_one_session(model, rounds))
                else:
                    launches.append(launch_two_processes(model, rounds, arguments.aligned))
            print_row(launches, ONE_SESSION_SPREAD if arguments.one_session else LAUNCH_SPREAD)
    return 0


Pairs = np.ndarray[Any, np.dtype[np.float64]]
"""Medians in ns of [rounds, (Dualscope's lane, the bare loop)]."""


def print_row(launches: Sequence[Pairs], spread: float) -> None:
    """What launches have in common, without the rounds in which the machine was slow.

    `spread`: what launches are taken to differ by before anything is known of them.
    """
    measured = np.concatenate(launches)
    lanes = {name: dict(enumerate(measured[:, i])) for i, name in enumerate(("lane", "bare"))}
    launch = np.repeat(np.arange(len(launches)), [len(pairs) for pairs in launches])
    slow = slow_rounds(lanes, noise_rule(os.cpu_count() or 1), dict(enumerate(launch)))
    quick = np.array([index not in slow for index in range(len(measured))])
    ratio, low, high = launches_estimate(
        [
            found[:, 0] / found[:, 1]
            for number in range(len(launches))
            if len(found := measured[quick & (launch == number)])
        ],
        spread=spread,
    )
    measured = measured[quick]
    difference_us = float(np.median(measured[:, 0] - measured[:, 1])) / 1e3
    print(
        f"| {np.median(measured[:, 1]) / 1e6:.3f} ms | {ratio:.4f} "
        f"| {low:.4f} – {high:.4f} | {difference_us:+.2f} µs | {len(slow)} of {len(quick)} |",
        flush=True,
    )


class BareLoop:
    """The plain script in a process of its own. Context manager."""

    def __init__(self, model: Path, values: Path, options: tuple[str, ...]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BARE, str(model), str(values), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def median_ns(self, calls: int, warm: int) -> float:
        """Of the calls after the first `warm`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{warm + calls} {warm}\n")
        self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def launch_two_processes(model: Path, rounds: int, aligned: bool) -> Pairs:
    """Both in new processes.

    They start in random order: of two equal bare loops the one that started later was faster.
    """
    info = inspect_model(model)
    pairs = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        values = folder / "values.npz"
        np.savez(values, allow_pickle=False, **make_arrays(info.inputs))
        load = load_command(info, folder)
        for which in random.sample(("lane", "bare"), 2):
            if which == "bare":
                bare = stack.enter_context(BareLoop(model, values, ("--aligned",) * aligned))
            else:
                lane = Lane(load.spec, info.source, folder, lambda: False)
                stack.callback(lane.close)
                lane.request(load, 120.0)
        for _ in range(WARMUP_ROUNDS):
            lane.infer(lane.calls_of_turn(TURN_NS), 120.0)
            bare.median_ns(lane.calls_of_turn(TURN_NS), 0)
            time.sleep(PAUSE_S)
        calls = lane.calls_of_turn(TURN_NS)
        for _ in range(rounds):
            found = {}
            for which in random.sample(("lane", "bare"), 2):
                if which == "lane":
                    timed = lane.infer(calls, 120.0, lane.lead_in(LEAD_IN_NS))
                    found[which] = float(np.median(timed.latencies_ns))
                    pause(timed.started_ns + sum(timed.latencies_ns))
                else:
                    found[which] = bare.median_ns(calls, lane.lead_in(LEAD_IN_NS))
                    pause(time.perf_counter_ns())
            pairs.append((found["lane"], found["bare"]))
    return np.array(pairs)


def launch_one_session(model: Path, rounds: int) -> Pairs:
    """Both in one new process, on one session."""
    command = [sys.executable, __file__, "--here", str(model), "--rounds", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return np.array(json.loads(done.stdout))


def rounds_here(model: Path, rounds: int) -> list[tuple[float, float]]:
    """The pairs of a launch, in this process: what an engine process answers, and a bare loop."""
    from profiler.engines.ort import OrtEngine

    info = inspect_model(model)
    worker = Worker()
    with tempfile.TemporaryDirectory() as folder:
        load = load_command(info, Path(folder), intra_op_threads=1)
        engine = OrtEngine(load)
        with mock.patch("profiler.engines.create_engine", lambda _: engine):
            loaded = worker.answer(load)
        assert isinstance(loaded, Loaded), loaded
        # The engine goes on with this one.
        session = engine.open_session()
        feeds = make_arrays(info.inputs)

        def lane(calls: int, lead_in: int) -> float:
            timed = worker.answer(Infer(iterations=calls, lead_in=lead_in))
            assert isinstance(timed, Latencies), timed
            return statistics.median(timed.latencies_ns)

        def bare(calls: int, lead_in: int) -> float:
            latencies = []
            begin_on_first_cpu()
            for _ in range(lead_in + calls):
                start = time.perf_counter_ns()
                session.run(None, feeds)
                latencies.append(time.perf_counter_ns() - start)
            return statistics.median(latencies[lead_in:])

        turns = {"lane": lane, "bare": bare}
        expected_ns, found = 1e9, []
        for _ in range(WARMUP_ROUNDS + rounds):
            calls, lead_in = (max(1, int(ns / expected_ns)) for ns in (TURN_NS, LEAD_IN_NS))
            medians = {}
            for which in random.sample(list(turns), 2):
                medians[which] = turns[which](calls, lead_in)
                wait_for_rest()
                time.sleep(REST_S)
            expected_ns = medians["bare"]
            found.append((medians["lane"], medians["bare"]))
        worker.close()
    return found[WARMUP_ROUNDS:]


def load_command(info: ModelInfo, folder: Path, **options: int) -> Load:
    """Of a lane with these options."""
    spec = EngineSpec(label="ort", engine=EngineKind.ORT, options=dict(options))
    return Load(spec=spec, model=info.source, inputs=info.inputs, work_dir=str(folder))


def pause(ended_ns: int) -> None:
    """Until `PAUSE_S` after that time of `time.perf_counter_ns`, which processes share on Linux."""
    time.sleep(max(0.0, PAUSE_S - (time.perf_counter_ns() - ended_ns) / 1e9))


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    if "--here" not in sys.argv:
        print(json.dumps({"took_s": round(time.monotonic() - started)}), file=sys.stderr)
    sys.exit(code)
