"""Does Dualscope's own work show in its numbers?

    python benchmarks/overhead.py [--launches 10] [--rounds 12] [--aligned]
    python benchmarks/overhead.py --window [--seconds 120]

Three models of about 0.1, 2 and 50 ms. A bare loop is a plain script that makes a session and times
`session.run` with `time.perf_counter_ns`; it and Dualscope's engine process take turns in random
order. Both are launched anew `--launches` times, and the paired ratios of their medians have the
interval of `profiler.stats`; rounds in which the machine was slow are left out, as in any run. With
`--aligned` the bare loop's inputs lie as Dualscope's do, and it begins on the same CPU.

With `--window`: one run of two equal lanes that the window shows and plots. Before every second
round it is told nothing, so that it has nothing to paint. The latencies of the same processes, in
rounds after it painted against those beside them, have the interval of the median of these pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np

from benchmarks.models import block_chain
from profiler.errors import ProfilerError
from profiler.inputs import make_arrays
from profiler.jobs import inspect_model
from profiler.lane import Lane
from profiler.noise import noise_rule, slow_rounds
from profiler.plan import default_plan
from profiler.recorder import record
from profiler.stats import launches_estimate, median_interval
from profiler.types import (
    LEAD_IN_NS,
    EngineKind,
    EngineSpec,
    Event,
    Load,
    ModelInfo,
    Round,
    RoundKind,
    RunPlan,
)

# Blocks, width and rows: about 0.1, 2 and 50 ms on two cores.
MODELS = ((30, 160, 8), (100, 480, 8), (110, 1024, 48))
TURN_NS = 50_000_000
# Between a turn's last call and the next turn. The threads of the bare loop, which has no wait for
# rest, spin for 50 ms here; and what went before has to be the same for both.
PAUSE_S = 0.1
LANES = ("one", "two")
NEVER_REACHED = 1e-9

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
    parser.add_argument("--window", action="store_true", help="with a window that shows the run")
    parser.add_argument("--seconds", type=float, default=120.0, help="of a run in the window")
    parser.add_argument("--only", type=int, help="of the models that of this width: 160, 480, 1024")
    parser.add_argument("--in-window", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_window:
        return run_in_window(arguments.in_window, arguments.seconds)
    what = "the window plots / waits" if arguments.window else "Dualscope / bare"
    more = "pairs of rounds" if arguments.window else "slow rounds, left out"
    print(f"| p50 | {what} | 95 % interval | difference | {more} |\n|{'---|' * 5}")
    with tempfile.TemporaryDirectory() as folder:
        for shape in MODELS:
            model = block_chain(Path(folder), *shape)
            if arguments.only and arguments.only != shape[1]:
                continue
            if arguments.window:
                compare_window(model, Path(folder), arguments.seconds)
            else:
                compare(
                    model,
                    Path(folder),
                    arguments.launches,
                    arguments.rounds,
                    ("--aligned",) * arguments.aligned,
                )
    return 0


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


def compare(
    model: Path, folder: Path, launches: int, rounds: int, options: tuple[str, ...]
) -> None:
    """Print one row."""
    info = inspect_model(model)
    values = folder / "values.npz"
    np.savez(values, allow_pickle=False, **make_arrays(info.inputs))
    pairs = [
        one_launch(model, info, values, folder / f"{model.stem}-{number}", rounds, options)
        for number in range(launches)
    ]
    measured = np.concatenate(pairs)
    lanes = {name: dict(enumerate(measured[:, i])) for i, name in enumerate(("lane", "bare"))}
    launch = np.repeat(np.arange(launches), rounds)
    slow = slow_rounds(lanes, noise_rule(os.cpu_count() or 1), dict(enumerate(launch)))
    quick = np.array([index not in slow for index in range(len(measured))])
    ratio, low, high = launches_estimate(
        [
            found[:, 0] / found[:, 1]
            for number in range(launches)
            if len(found := measured[quick & (launch == number)])
        ]
    )
    measured = measured[quick]
    difference_us = float(np.median(measured[:, 0] - measured[:, 1])) / 1e3
    print(
        f"| {np.median(measured[:, 1]) / 1e6:.3f} ms | {ratio:.4f} "
        f"| {low:.4f} – {high:.4f} | {difference_us:+.2f} µs | {len(slow)} of {len(quick)} |",
        flush=True,
    )


def one_launch(
    model: Path,
    info: ModelInfo,
    values: Path,
    folder: Path,
    rounds: int,
    options: tuple[str, ...],
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Medians in ns of [rounds, (Dualscope's lane, the bare loop)], both in new processes.

    They start in random order: of two equal bare loops the one that started later was faster.
    """
    spec = EngineSpec(label="ort", engine=EngineKind.ORT)
    load = Load(spec=spec, model=info.source, inputs=info.inputs, work_dir=str(folder))
    pairs = []
    with ExitStack() as stack:
        for name in random.sample(("lane", "bare"), 2):
            if name == "bare":
                bare = stack.enter_context(BareLoop(model, values, options))
            else:
                lane = Lane(spec, info.source, folder, lambda: False)
                stack.callback(lane.close)
                lane.request(load, 120.0)
        for _ in range(5):
            lane.infer(lane.calls_of_turn(TURN_NS), 120.0)
            bare.median_ns(lane.calls_of_turn(TURN_NS), 0)
            time.sleep(PAUSE_S)
        calls = lane.calls_of_turn(TURN_NS)
        for _ in range(rounds):
            found = {}
            for name in random.sample(("lane", "bare"), 2):
                if name == "lane":
                    timed = lane.infer(calls, 120.0, lane.lead_in(LEAD_IN_NS))
                    found[name] = float(np.median(timed.latencies_ns))
                    pause(timed.started_ns + sum(timed.latencies_ns))
                else:
                    found[name] = bare.median_ns(calls, lane.lead_in(LEAD_IN_NS))
                    pause(time.perf_counter_ns())
            pairs.append((found["lane"], found["bare"]))
    return np.array(pairs)


def pause(ended_ns: int) -> None:
    """Until `PAUSE_S` after that time of `time.perf_counter_ns`, which processes share on Linux."""
    time.sleep(max(0.0, PAUSE_S - (time.perf_counter_ns() - ended_ns) / 1e9))


def compare_window(model: Path, folder: Path, seconds: float) -> None:
    """Print one row. The window is in a process of its own."""
    subprocess.run(
        [sys.executable, __file__, "--in-window", str(model), "--seconds", str(seconds)],
        env={**os.environ, "DUALSCOPE_CONFIG": str(folder), "DUALSCOPE_DATA": str(folder)},
        check=True,
    )


def run_in_window(model: Path, seconds: float) -> int:
    """Show the run, and print the row when it has ended."""
    from gui import app

    app.prepare()
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    app.set_up(application)
    from gui.main_window import MainWindow

    run = EveryOther()
    window = MainWindow()
    window.resize(1400, 880)
    window.show()
    window.graph.show_forms([("ONNX", model)])

    def ended(error: ProfilerError | None) -> None:
        if error is not None:
            print(error, file=sys.stderr)
        else:
            print(run.row(), flush=True)
        application.exit(1 if error else 0)

    window.runs.ended.connect(ended)
    plan = plan_of(model, seconds)
    QTimer.singleShot(8000, lambda: window.runs.start(plan))
    with mock.patch("gui.run_controller.record", run.record):
        return int(application.exec())


def plan_of(model: Path, seconds: float) -> RunPlan:
    """Two equal lanes, for as long as the time limit says."""
    specs = [EngineSpec(label=label, engine=EngineKind.ORT) for label in LANES]
    plan = default_plan(inspect_model(model), engines=specs, baseline="one", time_limit_s=seconds)
    stopping = msgspec.structs.replace(plan.stopping, target_width=NEVER_REACHED)
    return msgspec.structs.replace(plan, stopping=stopping)


class EveryOther:
    """The events of a run, of which the window is told before every second round.

    What it isn't told waits. Latencies are kept by lane, launch and round.
    """

    def __init__(self) -> None:
        self.medians: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)

    def record(
        self, plan: RunPlan, path: Path, *, cancelled: Callable[[], bool]
    ) -> Iterator[Event]:
        """In place of `profiler.recorder.record`."""
        waiting: list[Event] = []
        turns = 0
        for event in record(plan, path, cancelled=cancelled):
            waiting.append(event)
            if isinstance(event, Round) and event.kind is RoundKind.TIMED:
                turns += 1
                found = float(np.median(event.latencies_ns))
                self.medians[event.label, event.launch][event.index] = found
            if _is_told(turns // len(LANES)):
                yield from waiting
                waiting.clear()
        yield from waiting

    def row(self) -> str:
        """Each round before which the window was told, against the mean of those beside it."""
        told, not_told = [], []
        for process in self.medians.values():
            for index, median in process.items():
                beside = [process[n] for n in (index - 1, index + 1) if n in process]
                if _is_told(index) and beside:
                    told.append(median)
                    not_told.append(np.mean(beside))
        ratios = np.array(told) / np.array(not_told)
        low, high = median_interval(ratios)
        difference_us = float(np.median(np.array(told) - np.array(not_told))) / 1e3
        return (
            f"| {np.median(not_told) / 1e6:.3f} ms | {np.median(ratios):.4f} "
            f"| {low:.4f} – {high:.4f} | {difference_us:+.2f} µs | {ratios.size} |"
        )


def _is_told(index: int) -> bool:
    return index % 2 == 0


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(json.dumps({"took_s": round(time.monotonic() - started)}), file=sys.stderr)
    sys.exit(code)
