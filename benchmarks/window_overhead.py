"""Does a window that shows the run, and plots it, slow the calls that are timed?

    python benchmarks/window_overhead.py [--seconds 120] [--only 480]

One run of two equal lanes that the window shows, with models of about 0.1, 2 and 50 ms. Before a
quarter of the rounds the window is told what happened, and paints; before another quarter the run
waits for as long as a picture takes; before the others neither. The latencies of rounds after
either are compared with those of the same processes in the rounds beside them; the interval is that
of the median of these pairs. What waiting alone does is not the window's doing. The last column is
the CPU time that the window's process took in a turn, rest included, in the mean.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import msgspec
import numpy as np

from benchmarks.models import block_chain
from benchmarks.overhead import MODELS
from profiler.errors import ProfilerError
from profiler.jobs import inspect_model
from profiler.plan import default_plan
from profiler.recorder import record
from profiler.stats import median_interval
from profiler.types import EngineKind, EngineSpec, Event, Round, RoundKind, RunPlan

LANES = ("one", "two")
NEVER_REACHED = 1e-9
# What comes before a round, in turn.
BEFORE = ("paints", "", "waits", "")
PICTURE_S = 0.04
# Netron's page has been drawn by then.
SETTLE_MS = 8000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="of each run")
    parser.add_argument("--only", type=int, help="of the models that of this width: 160, 480, 1024")
    parser.add_argument("--in-window", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_window:
        return run_in_window(arguments.in_window, arguments.seconds)
    print(
        "| p50 | before the round | over rounds beside it | 95 % interval | difference | pairs "
        f"| CPU time |\n|{'---|' * 7}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        for shape in MODELS:
            if arguments.only in (None, shape[1]):
                compare(block_chain(Path(folder), *shape), Path(folder), arguments.seconds)
    return 0


def compare(model: Path, folder: Path, seconds: float) -> None:
    """Print the rows of a model. The window is in a process of its own."""
    subprocess.run(
        [sys.executable, __file__, "--in-window", str(model), "--seconds", str(seconds)],
        env={**os.environ, "DUALSCOPE_CONFIG": str(folder), "DUALSCOPE_DATA": str(folder)},
        check=True,
    )


def run_in_window(model: Path, seconds: float) -> int:
    """Show the run, and print its rows when it has ended."""
    from gui import app

    app.prepare()
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication

    application = QApplication(sys.argv[:1])
    app.set_up(application)
    from gui.main_window import MainWindow

    run = InTurn()
    window = MainWindow()
    window.resize(1400, 880)
    window.show()
    window.graph.show_forms([("ONNX", model)])

    def ended(error: ProfilerError | None) -> None:
        if error is not None:
            print(error, file=sys.stderr)
        else:
            run.print_rows()
        application.exit(1 if error else 0)

    window.runs.ended.connect(ended)
    plan = plan_of(model, seconds)
    QTimer.singleShot(SETTLE_MS, lambda: window.runs.start(plan))
    patches = {
        "gui.run_controller.record": run.record,
        # In a round before which it paints, it does so before each lane's turn.
        "gui.run_thread.SHOW_INTERVAL_S": 0.0,
        # It doesn't go and look by itself.
        "gui.run_controller.STILL_INTERVAL_S": seconds,
    }
    with ExitStack() as stack:
        for name, value in patches.items():
            stack.enter_context(mock.patch(name, value))
        return int(application.exec())


def plan_of(model: Path, seconds: float) -> RunPlan:
    """Two equal lanes, for as long as the time limit says."""
    specs = [EngineSpec(label=label, engine=EngineKind.ORT) for label in LANES]
    plan = default_plan(inspect_model(model), engines=specs, baseline="one", time_limit_s=seconds)
    stopping = msgspec.structs.replace(plan.stopping, target_width=NEVER_REACHED)
    return msgspec.structs.replace(plan, stopping=stopping)


class InTurn:
    """The events of a run, of which the window is told before some rounds, and which waits before
    others.

    Latencies are kept by lane, launch and round, CPU times by what came before.
    """

    def __init__(self) -> None:
        self.medians: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
        self.cpu_s: dict[str, list[float]] = defaultdict(list)

    def record(
        self, plan: RunPlan, path: Path, *, cancelled: Callable[[], bool]
    ) -> Iterator[Event]:
        """In place of `profiler.recorder.record`."""
        waiting: list[Event] = []
        turns, cpu_s = 0, 0.0
        for event in record(plan, path, cancelled=cancelled):
            cpu_s = time.process_time() - cpu_s
            waiting.append(event)
            timed = False
            if isinstance(event, Round) and event.kind is RoundKind.TIMED:
                timed = True
                turns += 1
                found = float(np.median(event.latencies_ns))
                self.medians[event.label, event.launch][event.index] = found
                self.cpu_s[BEFORE[event.index % len(BEFORE)]].append(cpu_s)
            # Of the round whose turn comes next.
            before = BEFORE[turns // len(LANES) % len(BEFORE)]
            if before == "paints":
                yield from waiting
                waiting.clear()
            elif before == "waits" and timed:
                time.sleep(PICTURE_S)
            cpu_s = time.process_time()
        yield from waiting

    def print_rows(self) -> None:
        """Each round after either, against the mean of those beside it; CPU time of all."""
        for before in ("paints", "waits"):
            after, beside = [], []
            for process in self.medians.values():
                for index, median in process.items():
                    near = [process[n] for n in (index - 1, index + 1) if n in process]
                    if BEFORE[index % len(BEFORE)] == before and near:
                        after.append(median)
                        beside.append(np.mean(near))
            ratios = np.array(after) / np.array(beside)
            low, high = median_interval(ratios)
            difference_us = float(np.median(np.array(after) - np.array(beside))) / 1e3
            print(
                f"| {np.median(beside) / 1e6:.3f} ms | the window {before} "
                f"| {np.median(ratios):.4f} | {low:.4f} – {high:.4f} | {difference_us:+.2f} µs "
                f"| {ratios.size} | {self._cpu_ms(before)} |",
                flush=True,
            )
        print(f"| | neither | | | | | {self._cpu_ms('')} |", flush=True)

    def _cpu_ms(self, before: str) -> str:
        return f"{np.mean(self.cpu_s[before]) * 1e3:.1f} ms"


if __name__ == "__main__":
    started = time.monotonic()
    code = main()
    print(json.dumps({"took_s": round(time.monotonic() - started)}), file=sys.stderr)
    sys.exit(code)
