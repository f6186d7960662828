"""Does Dualscope's own work show in its numbers? Its p50 against a bare loop's, interleaved.

    python benchmarks/overhead.py [--launches 10] [--rounds 12] [--window]

Three models of about 0.1, 2 and 50 ms. A bare loop is a plain script that makes a session and times
`session.run` with `time.perf_counter_ns`; it and Dualscope's engine process take turns in random
order. Both are launched anew `--launches` times, and the paired ratios of their medians have the
interval of `profiler.stats`. With `--window` Dualscope's window is open and plots a recorded run
again and again while Dualscope's lane has its turn; it is halted while the bare loop has its.
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

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import psutil  # noqa: E402

from benchmarks.models import block_chain  # noqa: E402
from profiler.inputs import make_arrays  # noqa: E402
from profiler.jobs import inspect_model  # noqa: E402
from profiler.lane import Lane  # noqa: E402
from profiler.stats import launches_estimate  # noqa: E402
from profiler.types import LEAD_IN_NS, EngineKind, EngineSpec, Load, ModelInfo  # noqa: E402

# Blocks, width and rows: about 0.1, 2 and 50 ms on two cores.
MODELS = ((30, 160, 8), (100, 480, 8), (110, 1024, 48))
TURN_NS = 100_000_000
# Until the threads of the bare loop, which has no wait for rest, have stopped spinning.
PAUSE_S = 0.02

# The plain script: nothing of Dualscope in it, and no options.
BARE = """
import statistics, sys, time, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
feeds = dict(numpy.load(sys.argv[2]))
print("ready", flush=True)
for line in sys.stdin:
    latencies = []
    calls, warm = map(int, line.split())
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
    parser.add_argument("--window", action="store_true", help="with the window open and plotting")
    parser.add_argument("--plot-for", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plot_for:
        return plot_again_and_again(arguments.plot_for)
    print("| bare p50 | Dualscope / bare | 95 % interval | difference |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        window = Window(Path(folder)) if arguments.window else None
        try:
            for shape in MODELS:
                model = block_chain(Path(folder), *shape)
                compare(model, Path(folder), arguments.launches, arguments.rounds, window)
        finally:
            if window:
                window.close()
    return 0


class BareLoop:
    """The plain script in a process of its own. Context manager."""

    def __init__(self, model: Path, values: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", BARE, str(model), str(values)],
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


def compare(model: Path, folder: Path, launches: int, rounds: int, window: Window | None) -> None:
    """Print one row."""
    info = inspect_model(model)
    values = folder / "values.npz"
    np.savez(values, allow_pickle=False, **make_arrays(info.inputs))
    pairs = [
        one_launch(model, info, values, folder / f"{model.stem}-{number}", rounds, window)
        for number in range(launches)
    ]
    ratio, low, high = launches_estimate([found[:, 0] / found[:, 1] for found in pairs])
    measured = np.concatenate(pairs)
    difference_us = float(np.median(measured[:, 0] - measured[:, 1])) / 1e3
    print(
        f"| {np.median(measured[:, 1]) / 1e6:.3f} ms | {ratio:.4f} "
        f"| {low:.4f} – {high:.4f} | {difference_us:+.2f} µs |",
        flush=True,
    )


def one_launch(
    model: Path, info: ModelInfo, values: Path, folder: Path, rounds: int, window: Window | None
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Medians in ns of [rounds, (Dualscope's lane, the bare loop)], both in new processes."""
    spec = EngineSpec(label="ort", engine=EngineKind.ORT)
    lane = Lane(spec, info.source, folder, lambda: False)
    load = Load(spec=spec, model=info.source, inputs=info.inputs, work_dir=str(folder))
    pairs = []
    with BareLoop(model, values) as bare:
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
                    if window:
                        window.halt()
                    found[name] = bare.median_ns(calls, lane.lead_in(LEAD_IN_NS))
                    time.sleep(PAUSE_S)
                    if window:
                        window.go_on()
                pairs.append((found["lane"], found["bare"]))
        finally:
            lane.close()
    return np.array(pairs)


class Window:
    """Dualscope's window in a process of its own, plotting as in a run."""

    def __init__(self, folder: Path) -> None:
        demo = ROOT / "resources" / "demo" / "demo.onnx"
        session = folder / "replayed.dualscope"
        subprocess.run(
            [
                *(sys.executable, str(ROOT / "main.py"), "profile", str(demo)),
                *("--time-limit", "10s", "-o", str(session)),
            ],
            check=True,
            capture_output=True,
        )
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--plot-for", str(session)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "DUALSCOPE_CONFIG": str(folder)},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "plotting"
        process = psutil.Process(self._process.pid)
        self._family = [process, *process.children(recursive=True)]

    def halt(self) -> None:
        for process in self._family:
            process.suspend()

    def go_on(self) -> None:
        for process in self._family:
            process.resume()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def plot_again_and_again(path: Path) -> int:
    """Feed the window with a recorded run's events at the rate of a real one."""
    from gui import app

    app.prepare()
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    app.set_up(application)
    from gui.main_window import MainWindow
    from profiler.session import Session
    from profiler.session_file import read_session
    from profiler.types import Event, RunStarted

    stored = read_session(path)
    assert stored.plan is not None
    first = RunStarted(
        time_ns=stored.started_ns,
        plan=stored.plan,
        environment=stored.environment,
        dualscope_version=stored.version,
    )
    rounds = [r for found in stored.rounds.values() for r in found]
    traces = [t for found in stored.traces.values() for t in found]
    events: list[Event] = sorted(
        [*rounds, *traces, *stored.telemetry], key=lambda event: event.time_ns
    )
    window = MainWindow()
    window.resize(1400, 880)
    window.show()
    window.graph.show_forms([("ONNX", Path(stored.plan.model.path))])
    position = len(events)

    def feed() -> None:
        nonlocal position
        if position >= len(events):
            window.session_model.show(Session(), None)
            window.session_model.apply([first])
            position = 0
        window.session_model.apply(events[position : position + 2])
        position += 2

    timer = QTimer()
    timer.timeout.connect(feed)
    timer.start(50)
    QTimer.singleShot(3000, lambda: print("plotting", flush=True))
    return int(application.exec())


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(json.dumps({"took_s": round(time.monotonic() - started)}), file=sys.stderr)
    sys.exit(code)
