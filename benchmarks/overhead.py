"""Does Dualscope's own work show in its numbers?

    python benchmarks/overhead.py [--launches 10] [--rounds 12] [--aligned]
    python benchmarks/overhead.py --window [--launches 8]

Three models of about 0.1, 2 and 50 ms. A bare loop is a plain script that makes a session and times
`session.run` with `time.perf_counter_ns`; it and Dualscope's engine process take turns in random
order. Both are launched anew `--launches` times, and the paired ratios of their medians have the
interval of `profiler.stats`; rounds in which the machine was slow are left out, as in any run. With
`--aligned` the bare loop's inputs lie as Dualscope's do, and it begins on the same CPU.

With `--window`: runs of two equal lanes that the window shows, against the same runs without a
window, `--launches` times in turn. A run's figure is the median over its processes of their p50;
the ratios of these have Student's interval.
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
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np

from benchmarks.models import block_chain
from benchmarks.ratios import geometric_mean
from profiler.errors import ProfilerError
from profiler.inputs import make_arrays
from profiler.jobs import inspect_model
from profiler.lane import Lane
from profiler.noise import noise_rule, slow_rounds
from profiler.plan import default_plan
from profiler.processes import judged_processes
from profiler.recorder import record
from profiler.session import Session
from profiler.stats import launches_estimate
from profiler.types import LEAD_IN_NS, EngineKind, EngineSpec, Load, ModelInfo, RunPlan

# Blocks, width and rows: about 0.1, 2 and 50 ms on two cores.
MODELS = ((30, 160, 8), (100, 480, 8), (110, 1024, 48))
TURN_NS = 50_000_000
# Until the threads of the bare loop, which has no wait for rest, have stopped spinning.
PAUSE_S = 0.02
RUN_S = 20.0
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
    parser.add_argument("--window", action="store_true", help="against runs in the window")
    parser.add_argument("--only", type=int, help="of the models that of this width: 160, 480, 1024")
    parser.add_argument("--in-window", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_window:
        return run_in_window(arguments.in_window)
    what = "in the window / without" if arguments.window else "Dualscope / bare"
    more = "" if arguments.window else " slow rounds, left out |"
    print(f"| p50 | {what} | 95 % interval | difference |{more}\n|{'---|' * (4 + bool(more))}")
    with tempfile.TemporaryDirectory() as folder:
        for shape in MODELS:
            model = block_chain(Path(folder), *shape)
            if arguments.only and arguments.only != shape[1]:
                continue
            if arguments.window:
                compare_window(model, Path(folder), arguments.launches)
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
    """Medians in ns of [rounds, (Dualscope's lane, the bare loop)], both in new processes."""
    spec = EngineSpec(label="ort", engine=EngineKind.ORT)
    lane = Lane(spec, info.source, folder, lambda: False)
    load = Load(spec=spec, model=info.source, inputs=info.inputs, work_dir=str(folder))
    pairs = []
    with BareLoop(model, values, options) as bare:
        try:
            lane.request(load, 120.0)
            for _ in range(5):
                lane.infer(lane.calls_in(TURN_NS), 120.0)
                bare.median_ns(lane.calls_in(TURN_NS), 0)
                time.sleep(PAUSE_S)
            calls = lane.calls_in(TURN_NS)
            for _ in range(rounds):
                found = {}
                for name in random.sample(("lane", "bare"), 2):
                    if name == "lane":
                        timed = lane.infer(calls, 120.0, lane.lead_in(LEAD_IN_NS))
                        found[name] = float(np.median(timed.latencies_ns))
                        continue
                    found[name] = bare.median_ns(calls, lane.lead_in(LEAD_IN_NS))
                    time.sleep(PAUSE_S)
                pairs.append((found["lane"], found["bare"]))
        finally:
            lane.close()
    return np.array(pairs)


def compare_window(model: Path, folder: Path, pairs: int) -> None:
    """Print one row."""
    plan = plan_of(model)
    measured = []
    process = subprocess.Popen(
        [sys.executable, __file__, "--in-window", str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DUALSCOPE_CONFIG": str(folder)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "ready"
        for number in range(pairs):
            found = {}
            for where in random.sample(("window", "alone"), 2):
                if where == "window":
                    process.stdin.write("run\n")
                    process.stdin.flush()
                    found[where] = float(process.stdout.readline())
                    continue
                session = Session()
                path = folder / f"{model.stem}-{number}.dualscope"
                for event in record(plan, path, cancelled=lambda: False):
                    session.apply(event)
                found[where] = p50_of(session)
            measured.append((found["window"], found["alone"]))
    finally:
        process.kill()
        process.communicate()
    values = np.array(measured)
    ratios = values[:, 0] / values[:, 1]
    ratio, low, high = geometric_mean(ratios)
    print(
        f"| {np.median(values[:, 1]) / 1e6:.3f} ms | {ratio:.4f} "
        f"| {low:.4f} – {high:.4f} "
        f"| {np.median(values[:, 0] - values[:, 1]) / 1e3:+.2f} µs |",
        flush=True,
    )


def plan_of(model: Path) -> RunPlan:
    """Two equal lanes, launched again and again for as long as the time limit says."""
    specs = [EngineSpec(label=label, engine=EngineKind.ORT) for label in ("one", "two")]
    plan = default_plan(inspect_model(model), engines=specs, baseline="one", time_limit_s=RUN_S)
    stopping = msgspec.structs.replace(plan.stopping, target_width=NEVER_REACHED)
    return msgspec.structs.replace(plan, stopping=stopping)


def p50_of(session: Session) -> float:
    found = [own for label in session.labels() for own in judged_processes(session, label)]
    return float(np.median([own.p50_ns for own in found]))


def run_in_window(model: Path) -> int:
    """Run the plan whenever a line comes; answer with the p50 in ns."""
    from gui import app

    app.prepare()
    from PySide6.QtCore import QSocketNotifier, QTimer
    from PySide6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    app.set_up(application)
    from gui.main_window import MainWindow

    plan = plan_of(model)
    window = MainWindow()
    window.resize(1400, 880)
    window.show()
    window.graph.show_forms([("ONNX", model)])

    def start() -> None:
        sys.stdin.readline()
        window.runs.start(plan)

    def answer(error: ProfilerError | None) -> None:
        if error is not None:
            print(error, file=sys.stderr)
            application.exit(1)
            return
        print(p50_of(window.session_model.session), flush=True)

    notifier = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Type.Read)
    notifier.activated.connect(start)
    window.runs.ended.connect(answer)
    QTimer.singleShot(8000, lambda: print("ready", flush=True))
    return int(application.exec())


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(json.dumps({"took_s": round(time.monotonic() - started)}), file=sys.stderr)
    sys.exit(code)
