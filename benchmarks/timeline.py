"""How long does the timeline take to draw a frame of very many operators?

    xvfb-run python benchmarks/timeline.py [--events 1000000]

Median over frames at several zooms, two threads, drawn at 1600 x 500 into an image.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication

from gui.session_model import SessionModel
from gui.views.timeline_rows import Row
from gui.views.timeline_view import TimelineView
from profiler.types import OpTiming

FRAMES = 15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    arguments = parser.parse_args()
    application = QApplication(sys.argv[:1])
    view = TimelineView(SessionModel())
    view.resize(1600, 500)
    view.show_rows([_row(thread, arguments.events // 2) for thread in (0, 1)])
    whole_ns = view.end_ns
    print("| part of the time in view | ms a frame |\n|---|---|")
    for share in (1.0, 0.3, 0.01, 0.0001):
        view.show_span(0.2 * whole_ns, (0.2 + share) * whole_ns)
        print(f"| {share:.2%} | {statistics.median(_frames_ms(view)):.1f} |")
    del application
    return 0


def _row(thread: int, count: int) -> Row:
    random = np.random.default_rng(thread)
    durations = random.integers(1_000, 50_000, count)
    ends = np.cumsum(durations + random.integers(0, 5_000, count))
    op = OpTiming(name="conv", op_type="Conv", start_ns=0, duration_ns=1)
    return Row("lane", thread, ends - durations, ends, [op] * count)


def _frames_ms(view: TimelineView) -> list[float]:
    image = QPixmap(view.size())
    found = []
    for _ in range(FRAMES):
        started = time.perf_counter()
        view.render(image)
        found.append((time.perf_counter() - started) * 1e3)
    return found


if __name__ == "__main__":
    sys.exit(main())
