"""Sample GPUs (NVML), CPU and memory in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

import psutil

from profiler.nvml import Nvml
from profiler.types import TelemetrySample

INTERVAL_S = 0.1


class Telemetry:
    """Context manager: calls `on_sample` from its own thread, every `interval_s`, until left."""

    def __init__(
        self, on_sample: Callable[[TelemetrySample], None], *, interval_s: float = INTERVAL_S
    ) -> None:
        self._on_sample = on_sample
        self._interval_s = interval_s
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self._thread.join()

    def _run(self) -> None:
        with Nvml() as nvml:
            # The first reading has nothing to be relative to.
            psutil.cpu_percent()
            while not self._leave.wait(self._interval_s):
                self._on_sample(read_sample(nvml))


def read_sample(nvml: Nvml) -> TelemetrySample:
    """CPU % since the last reading, memory, and every GPU."""
    memory = psutil.virtual_memory()
    return TelemetrySample(
        time_ns=time.time_ns(),
        cpu_pct=float(psutil.cpu_percent()),
        memory_used_bytes=int(memory.total - memory.available),
        memory_total_bytes=int(memory.total),
        cpu_freq_mhz=_cpu_freq_mhz(),
        gpus=nvml.samples(),
    )


def gpu_status() -> str:
    """GPUs and driver, or in a word why there are none."""
    with Nvml() as nvml:
        return nvml.status


def _cpu_freq_mhz() -> float | None:
    if not hasattr(psutil, "cpu_freq"):
        return None
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return float(frequency.current) if frequency and frequency.current else None
