"""Live strips over time: latency of each lane, GPUs, CPU and memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QLabel, QSizePolicy, QVBoxLayout, QWidget

from gui import theme
from gui.session_model import SessionModel
from profiler.types import Event, GpuSample, Round, RoundKind, RunFinished, TelemetrySample

GIB = 2**30


class Strip(QWidget):
    """A heading, a line of figures and one plot over seconds since the run began."""

    def __init__(
        self, title: str, unit: str, model: SessionModel, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.model = model
        heading = QLabel(title, self)
        heading.setProperty("role", "heading")
        self.figures = QLabel(self)
        self.figures.setTextFormat(Qt.TextFormat.RichText)
        self.figures.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.figures.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.figures.setWordWrap(True)
        self.plot = pg.PlotWidget(self, background=None)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(x=False, y=False)
        self.plot.getPlotItem().getAxis("left").setWidth(44)
        self.plot.getPlotItem().getAxis("left").enableAutoSIPrefix(False)
        self.plot.getPlotItem().getAxis("bottom").enableAutoSIPrefix(False)
        self.plot.setLabel("left", unit)
        self.plot.setLabel("bottom", "s")
        self.plot.setMinimumHeight(70)
        # Else half of the number at the axis's upper end is cut off.
        self.plot.getPlotItem().setContentsMargins(0, 8, 0, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 6, 10, 4)
        layout.setSpacing(2)
        layout.addWidget(heading)
        layout.addWidget(self.figures)
        layout.addWidget(self.plot, 100)
        layout.addStretch(1)
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._points: dict[str, tuple[list[float], list[float]]] = {}
        self._end_s = 1.0
        model.session_reset.connect(self._on_session_reset)
        model.events_applied.connect(self._on_events_applied)
        self.plot.hide()
        self.restyle()

    def restyle(self) -> None:
        """Take on the theme's colours."""
        # A plot without a ground of its own keeps the picture of the theme before.
        self.plot.setBackground(QApplication.palette().color(QPalette.ColorRole.Window))
        theme.style_plot(self.plot.getPlotItem())
        for name, curve in self._curves.items():
            curve.setPen(pg.mkPen(self.colour(name), width=1.6))
            if curve.opts["symbol"]:
                curve.setSymbolBrush(self.colour(name))

    def colour(self, name: str) -> QColor:
        """Of one curve."""
        raise NotImplementedError

    def take(self, events: Iterable[Event]) -> None:
        """Add points for these events."""
        raise NotImplementedError

    def show_figures(self) -> None:
        """Write the line of figures."""
        raise NotImplementedError

    def seconds(self, time_ns: int) -> float:
        """Since the run began."""
        return (time_ns - self.model.session.started_ns) / 1e9

    def add_point(self, name: str, x: float, y: float) -> None:
        """Append to a curve, which is made at its first point."""
        xs, ys = self._points.setdefault(name, ([], []))
        xs.append(x)
        ys.append(y)

    def add_curve(self, name: str, *, symbol: bool) -> None:
        """A curve that thins itself out when there are more points than pixels."""
        if name in self._curves:
            return
        colour = self.colour(name)
        curve = self.plot.plot(
            pen=pg.mkPen(colour, width=1.6),
            symbol="o" if symbol else None,
            symbolSize=4,
            symbolPen=None,
            symbolBrush=colour,
        )
        curve.setDownsampling(auto=True, method="peak")
        self._curves[name] = curve

    def _draw(self) -> None:
        top = 0.0
        for name, (xs, ys) in self._points.items():
            self._curves[name].setData(xs, ys)
            self._end_s = max(self._end_s, xs[-1])
            top = max(top, self.top(ys))
        # Axes without a point on them say nothing.
        self.plot.setVisible(bool(self._points))
        self.plot.setXRange(0, self._end_s, padding=0.01)
        if top > 0:
            self.plot.setYRange(0, top, padding=0.02)
        self.show_figures()

    def top(self, values: Sequence[float]) -> float:
        """The plot's upper end; a rare outlier may stand above it."""
        recent = np.asarray(values[-2000:])
        return 1.15 * min(float(recent.max()), 2.5 * float(np.percentile(recent, 75)))

    def _on_session_reset(self) -> None:
        for curve in self._curves.values():
            self.plot.removeItem(curve)
        self._curves.clear()
        self._points.clear()
        self._end_s = 1.0
        session = self.model.session
        self.take([*session.telemetry, *(r for found in session.rounds.values() for r in found)])
        self._draw()

    def _on_events_applied(self, events: list[Event]) -> None:
        before = sum(len(xs) for xs, _ in self._points.values())
        self.take(events)
        grown = sum(len(xs) for xs, _ in self._points.values()) > before
        if grown or any(isinstance(event, RunFinished) for event in events):
            self._draw()


class LatencyStrip(Strip):
    """Median latency of each timed round, one curve a lane."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__("Latency per round", "ms", model, parent)
        self.figures.setToolTip(
            "Median of the rounds so far; once a run has ended, p50 of its calls"
        )

    def colour(self, name: str) -> QColor:
        labels = self.model.session.labels()
        return theme.lane_colour(labels.index(name) if name in labels else 0)

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Round) and event.kind is RoundKind.TIMED:
                self.add_curve(event.label, symbol=True)
                median_ms = float(np.median(event.latencies_ns)) / 1e6
                self.add_point(event.label, self.seconds(event.time_ns), median_ms)

    def show_figures(self) -> None:
        parts = [
            f'<span style="color:{self.colour(label).name()}">●</span> '
            f"{_escaped(self.model.session.name(label))} <b>"
            f"{self._figure_ms(label, self._points[label][1]):.4g} ms</b>"
            for label in self.model.session.labels()
            if label in self._points
        ]
        self.figures.setText("<br>".join(parts) or _soft("no rounds yet"))

    def _figure_ms(self, label: str, medians_ms: Sequence[float]) -> float:
        """What costs little while a run goes on; then p50, as the verdict and reports have it."""
        stats = None if self.model.live else self.model.session.latency_stats(label)
        return float(np.median(medians_ms)) if stats is None else stats.p50_ns / 1e6


class GpuStrip(Strip):
    """NVML: utilization of each GPU, with memory, power, temperature and clock in figures."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__("GPU utilization", "%", model, parent)
        self._status = ""
        self._last: tuple[GpuSample, ...] = ()
        self.show_figures()

    def set_status(self, text: str) -> None:
        """Driver and GPUs in a word, or why there are none."""
        self._status = text
        self.show_figures()

    def colour(self, name: str) -> QColor:
        return theme.lane_colour(2 + int(name))

    def top(self, values: Sequence[float]) -> float:
        del values
        return 100.0

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if not isinstance(event, TelemetrySample):
                continue
            self._last = event.gpus
            for gpu in event.gpus:
                if gpu.gpu_utilization_pct is None or gpu.lost:
                    continue
                self.add_curve(str(gpu.index), symbol=False)
                x = self.seconds(event.time_ns)
                self.add_point(str(gpu.index), x, gpu.gpu_utilization_pct)

    def show_figures(self) -> None:
        if not self.model.session.telemetry:
            self._last = ()
        status = self.model.session.environment.get("gpu", "") or self._status
        if not self._last:
            self.figures.setText(_soft(status or "no NVIDIA driver"))
            return
        self.figures.setText("<br>".join(self._line(gpu) for gpu in self._last))

    def _line(self, gpu: GpuSample) -> str:
        dot = f'<span style="color:{self.colour(str(gpu.index)).name()}">●</span>'
        name = f"{dot} {gpu.index}: {_escaped(gpu.name)}"
        if gpu.lost:
            return f"{name} <b>lost</b>"
        return f"{name} {_gpu_figures(gpu)}"


class CpuStrip(Strip):
    """CPU of the whole machine, and memory in figures."""

    def __init__(self, model: SessionModel, parent: QWidget | None = None) -> None:
        super().__init__("CPU and memory", "%", model, parent)

    def colour(self, name: str) -> QColor:
        return theme.lane_colour(0 if name == "CPU" else 3)

    def top(self, values: Sequence[float]) -> float:
        del values
        return 100.0

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, TelemetrySample):
                x = self.seconds(event.time_ns)
                for name, value in (("CPU", event.cpu_pct), ("RAM", _memory_pct(event))):
                    self.add_curve(name, symbol=False)
                    self.add_point(name, x, value)

    def show_figures(self) -> None:
        samples = self.model.session.telemetry
        if not samples:
            self.figures.setText(_soft("nothing sampled yet"))
            return
        last = samples[-1]
        used, total = last.memory_used_bytes / GIB, last.memory_total_bytes / GIB
        dots = [f'<span style="color:{self.colour(n).name()}">●</span>' for n in ("CPU", "RAM")]
        self.figures.setText(
            f"{dots[0]} CPU <b>{last.cpu_pct:.0f} %</b>&nbsp;&nbsp; "
            f"{dots[1]} RAM <b>{used:.1f}</b> of {total:.1f} GiB"
        )


def _memory_pct(sample: TelemetrySample) -> float:
    return 100 * sample.memory_used_bytes / sample.memory_total_bytes


def _gpu_figures(gpu: GpuSample) -> str:
    parts = []
    if gpu.gpu_utilization_pct is not None:
        parts.append(f"<b>{gpu.gpu_utilization_pct:.0f} %</b>")
    if gpu.memory_used_bytes is not None:
        total = f" of {gpu.memory_total_bytes / GIB:.0f}" if gpu.memory_total_bytes else ""
        parts.append(f"{gpu.memory_used_bytes / GIB:.1f}{total} GiB")
    if gpu.power_mw is not None:
        parts.append(f"{gpu.power_mw / 1000:.0f} W")
    if gpu.temperature_c is not None:
        parts.append(f"{gpu.temperature_c} °C")
    if gpu.sm_clock_mhz is not None:
        parts.append(f"{gpu.sm_clock_mhz} MHz")
    parts += [f"<b>{_escaped(reason)}</b>" for reason in gpu.throttle_reasons]
    return ", ".join(parts) if parts else "no readings"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _soft(text: str) -> str:
    return f'<span style="color:{theme.soft_text().name()}">{_escaped(text)}</span>'
