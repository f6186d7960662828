"""Read NVIDIA GPUs through NVML; a field that a GPU doesn't support is None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import pynvml

from profiler.types import GpuSample

# NVML's reason bits that slow a GPU down, in words.
THROTTLE_REASONS = {
    pynvml.nvmlClocksEventReasonSwPowerCap: "power cap",
    pynvml.nvmlClocksThrottleReasonHwSlowdown: "hardware slowdown",
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: "thermal slowdown",
    pynvml.nvmlClocksThrottleReasonHwThermalSlowdown: "hardware thermal slowdown",
    pynvml.nvmlClocksThrottleReasonHwPowerBrakeSlowdown: "power brake",
}
GONE = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_UNKNOWN)


class Nvml:
    """NVML opened and closed once. `gpus` is empty and `status` says why where there is none.

    Context manager.
    """

    def __init__(self) -> None:
        self._open = False
        # GPUs by NVML's index; one that was lost before has no handle, and the others keep theirs.
        self._handles: dict[int, tuple[str, Any]] = {}
        self.driver = ""
        self.status = "no NVIDIA driver"

    def __enter__(self) -> Self:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            if error.value not in (
                pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
                pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
            ):
                self.status = f"NVML: {error}"
            return self
        self._open = True
        self.driver = _text(_field(pynvml.nvmlSystemGetDriverVersion) or "")
        for index in range(int(_field(pynvml.nvmlDeviceGetCount) or 0)):
            handle = _field(pynvml.nvmlDeviceGetHandleByIndex, index)
            if handle is not None:
                name = _text(_field(pynvml.nvmlDeviceGetName, handle) or f"GPU {index}")
                self._handles[index] = (name, handle)
        names = ", ".join(self.names())
        self.status = f"{names}, driver {self.driver}" if names else "no NVIDIA GPU"
        return self

    def __exit__(self, *_: object) -> None:
        if self._open:
            _field(pynvml.nvmlShutdown)
            self._open = False

    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._handles.values())

    def samples(self) -> tuple[GpuSample, ...]:
        """One reading of each GPU; a GPU that was lost says so, and the others go on."""
        return tuple(
            self._sample(index, name, handle) for index, (name, handle) in self._handles.items()
        )

    def _sample(self, index: int, name: str, handle: Any) -> GpuSample:
        try:
            # Any call tells that a GPU is lost; this one is supported everywhere.
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        except pynvml.NVMLError as error:
            if error.value in GONE:
                return GpuSample(index=index, name=name, lost=True)
            memory = None
        utilization = _field(pynvml.nvmlDeviceGetUtilizationRates, handle)
        reasons = int(_field(pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle) or 0)
        return GpuSample(
            index=index,
            name=name,
            gpu_utilization_pct=None if utilization is None else float(utilization.gpu),
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            power_mw=_integer(pynvml.nvmlDeviceGetPowerUsage, handle),
            temperature_c=_integer(
                pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU
            ),
            sm_clock_mhz=_integer(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_SM),
            memory_clock_mhz=_integer(pynvml.nvmlDeviceGetClockInfo, handle, pynvml.NVML_CLOCK_MEM),
            throttle_reasons=tuple(
                words for bit, words in THROTTLE_REASONS.items() if reasons & bit
            ),
            process_memory_bytes={
                int(process.pid): int(process.usedGpuMemory or 0)
                for process in _field(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or ()
            },
        )

    def settings(self) -> dict[str, str]:
        """Driver, and what steers each GPU's speed: power limit, ECC, the highest clock."""
        found = {"driver": self.driver}
        for index, (name, handle) in self._handles.items():
            limit = _field(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)
            ecc = _field(pynvml.nvmlDeviceGetEccMode, handle)
            clock = _field(pynvml.nvmlDeviceGetMaxClockInfo, handle, pynvml.NVML_CLOCK_SM)
            parts = [
                name,
                "" if limit is None else f"power limit {limit / 1000:.0f} W",
                "" if ecc is None else f"ECC {'on' if ecc[0] else 'off'}",
                "" if clock is None else f"SM clock up to {clock} MHz",
            ]
            found[f"gpu {index}"] = ", ".join(part for part in parts if part)
        return found


def _field(read: Callable[..., Any], *arguments: Any) -> Any:
    """The value, or None where NVML has none for this GPU, or an older driver lacks the call."""
    try:
        return read(*arguments)
    except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError):
        return None


def _integer(read: Callable[..., Any], *arguments: Any) -> int | None:
    value = _field(read, *arguments)
    return None if value is None else int(value)


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
