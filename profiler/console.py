"""What the command line shows: progress on standard error, a summary as text."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from profiler.compare import plain
from profiler.decision_text import recommendation_lines
from profiler.divergence import sentence
from profiler.generation.summary import generation_summary
from profiler.insights import find_insights
from profiler.method import noise_note
from profiler.recommendation import recommend
from profiler.search.rows import lines as search_lines
from profiler.session import Session
from profiler.types import Event, Phase, Progress, RunStarted, ValuesCompared

PLAIN_INTERVAL_S = 5.0
MIB = 2**20
BAR_WIDTH = 24


class ProgressLine:
    """One line that is rewritten on a terminal; now and then a plain line elsewhere."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._phase = ""
        self._target: float | None = None
        self._written_at_s = 0.0

    def show(self, event: Event) -> None:
        """Progress; of a run's start its target is kept, and other events are passed over."""
        if isinstance(event, RunStarted):
            self._target = event.plan.stopping.target_width
        if not isinstance(event, Progress):
            return
        goes_on = event.phase is not Phase.FINISHED
        text = progress_text(event, self._target) if goes_on else ""
        if self._terminal:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
            return
        phase = f"{event.phase} {event.detail}"
        late = time.monotonic() - self._written_at_s >= PLAIN_INTERVAL_S
        if goes_on and (phase != self._phase or late):
            self._stream.write(f"{text}\n")
            self._phase, self._written_at_s = phase, time.monotonic()

    def clear(self) -> None:
        """Take the line away."""
        if self._terminal:
            self._stream.write("\r\x1b[K")

    def note(self, text: str) -> None:
        """A line of its own, which no bar overwrites. An empty text is passed over."""
        if text:
            clear = "\r\x1b[K" if self._terminal else ""
            self._stream.write(f"{clear}{printable(text)}\n")


def progress_text(event: Progress, target: float | None = None) -> str:
    """`measuring [#####---] round 12, interval 3.1 % of the ratio (target 2.0 %), 8 s left`."""
    if event.phase is not Phase.MEASURING:
        return f"{event.phase} {event.detail}".strip()
    full = round(BAR_WIDTH * (event.fraction or 0.0))
    parts = [f"round {event.round}", *filter(None, [event.detail])]
    if event.interval_width is not None and event.interval_width < 10:
        wanted = "" if target is None else f" (target {target:.1%})"
        parts.append(f"interval {event.interval_width:.1%} of the ratio{wanted}")
    if event.time_left_s is not None:
        parts.append(f"{event.time_left_s:.0f} s left at most")
    return f"measuring [{'#' * full}{'-' * (BAR_WIDTH - full)}] {', '.join(parts)}"


def summary(session: Session) -> str:
    """Verdict and one line a lane."""
    found = recommend(session)
    lines = [session.verdict() or "Nothing was measured."]
    if session.plan is not None and session.plan.generation is not None:
        generated = generation_summary(session).split("\n")
        lines += ["", *generated, "", *_startup_lines(session), noise_note(session)]
        return "\n".join(printable(line) for line in lines)
    lines += [found.sentence, ""] if found else [""]
    lines += search_lines(session)
    header = f"{'lane':<28}{'p50 ms':>10}{'p90 ms':>10}{'p99 ms':>10}{'per s':>10}{'calls':>8}"
    lines.append(header)
    for label in session.labels():
        stats = session.latency_stats(label)
        if stats is None:
            lines.append(f"{session.name(label):<28}{'not measured':>20}")
            continue
        figures = (stats.p50_ns / 1e6, stats.p90_ns / 1e6, stats.p99_ns / 1e6)
        text = "".join(f"{value:>10.4g}" for value in figures)
        rate = f"{plain(stats.throughput_per_s):>10}"
        lines.append(f"{session.name(label):<28}{text}{rate}{stats.iterations:>8}")
    lines += ["", *_startup_lines(session), noise_note(session)]
    lines += _traces(session)
    lines += [first_difference(session, found) for found in session.values.values()]
    lines += [f"{insight.sentence}. {insight.remedy}" for insight in find_insights(session)]
    for label in session.labels():
        rows = session.operators(label)[:5]
        if rows:
            top = ", ".join(f"{row.name} ({row.op_type}) {row.share:.0%}" for row in rows)
            lines.append(f"top operators of {session.name(label)}: {top}")
    if found:
        lines += ["", *recommendation_lines(found)]
    return "\n".join(printable(line) for line in lines)


def first_difference(session: Session, found: ValuesCompared) -> str:
    """What a look inside of the model gave, for two lanes."""
    names = f"{session.name(found.candidate)} against {session.name(found.baseline)}"
    return f"values inside, {names}: {sentence(found)}"


def _startup_lines(session: Session) -> list[str]:
    """What a lane costs before its first answer, and its memory."""
    lines = []
    for label, ready in session.ready.items():
        peak, device = session.peak_memory_bytes(label), session.device_memory_bytes(label)
        parts = [
            f"load {ready.load_time_ns / 1e6:.4g} ms",
            f"compile {ready.compile_time_ns / 1e6:.4g} ms" if ready.compile_time_ns else "",
            f"first iteration {ready.first_iteration_ns / 1e6:.4g} ms",
            # A server's own are not known.
            ""
            if "url" in session.spec(label).options
            else f"weights {ready.weights_bytes / MIB:.1f} MiB",
            "" if peak is None else f"peak {peak / MIB:.0f} MiB above the engine alone",
            "" if device is None else f"GPU {device / MIB:.0f} MiB",
            ready.graph_note,
        ]
        lines.append(f"{session.name(label)}: {', '.join(part for part in parts if part)}")
    return lines


def _traces(session: Session) -> list[str]:
    """How far operator times can be read: what they cover, what tracing cost."""
    lines = []
    for label in session.labels():
        figures = session.trace_figures(label)
        if figures is not None:
            lines.append(
                f"trace of {session.name(label)}: operators cover {figures.coverage:.1%}, the "
                f"engine's own time is {figures.outside()}; traced calls take "
                f"{figures.tracing_cost:.2f}x the time"
            )
    return lines


def printable(text: str) -> str:
    """One line without control characters: names in a model may hold a terminal's commands."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
