"""The machine and the software that a run was made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

from profiler.nvml import Nvml
from profiler.version import VERSION

PACKAGES = (
    "torch",
    "onnxruntime-gpu",
    "onnxruntime",
    "onnx",
    "onnxscript",
    "numpy",
    "netron",
    "PySide6",
    "duckdb",
    "nvidia-ml-py",
    "transformers",
)
# As Linux spells them, in the order that it lists them.
INSTRUCTIONS = frozenset(
    [
        "fma",
        "avx2",
        "avx512f",
        "avx512bw",
        "avx_vnni",
        "avx512_vnni",
        "avx512_bf16",
        "avx512_fp16",
        "amx_bf16",
        "amx_tile",
        "amx_int8",
    ]
)
# Variables with these prefixes steer thread pools, memory and devices.
VARIABLES = (
    "OMP_",
    "MKL_",
    "KMP_",
    "GOMP_",
    "OPENBLAS_",
    "ONEDNN_",
    "DNNL_",
    "MALLOC_",
    "LD_PRELOAD",
    "CUDA_",
    "CUBLAS_",
    "CUDNN_",
    "ORT_",
    "TORCH_",
    "TORCHINDUCTOR_",
    "PYTORCH_",
    "NVIDIA_",
)


def describe_environment() -> dict[str, str]:
    """Names and values as a person reads them; imports no engine."""
    memory = psutil.virtual_memory()
    found = {
        "dualscope": VERSION,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cpu instructions": _cpu_instructions(),
        "cores": _cores(),
        "affinity": _affinity(),
        "memory": f"{memory.total / 2**30:.1f} GiB",
        **_gpus(),
        "container limit": _container_limit(),
    }
    found |= {name: version for name in PACKAGES if (version := _version(name))}
    found |= _linux_settings()
    found |= {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
    return {name: value for name, value in found.items() if value}


def _gpus() -> dict[str, str]:
    """Driver, and each GPU with what steers its speed; else why there is none."""
    with Nvml() as nvml:
        return nvml.settings() if nvml.names() else {"gpu": nvml.status}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _cpu_instructions() -> str:
    """Of x86-64 on Linux, those that decide which kernels an engine takes; else ""."""
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("flags"):
            return " ".join(flag for flag in line.split() if flag in INSTRUCTIONS)
    return ""


def _cores() -> str:
    counts = {"physical": psutil.cpu_count(logical=False), "logical": psutil.cpu_count()}
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _affinity() -> str:
    process = psutil.Process()
    if not hasattr(process, "cpu_affinity"):
        return ""
    return ",".join(str(core) for core in process.cpu_affinity())


def _container_limit() -> str:
    """Of a cgroup v2, as on today's Linux."""
    parts = {"cpu": _read("/sys/fs/cgroup/cpu.max"), "memory": _read("/sys/fs/cgroup/memory.max")}
    return ", ".join(
        f"{name} {value}" for name, value in parts.items() if value and "max" not in value
    )


def _linux_settings() -> dict[str, str]:
    return {
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "smt": _read("/sys/devices/system/cpu/smt/control"),
        "turbo": _turbo(),
        "hypervisor": "yes" if " hypervisor" in _read("/proc/cpuinfo")[:8000] else "",
        "swap": f"{psutil.swap_memory().total / 2**30:.1f} GiB",
        "transparent huge pages": _chosen(_read("/sys/kernel/mm/transparent_hugepage/enabled")),
    }


def _turbo() -> str:
    """Intel's driver and the general one say it the other way round."""
    intel = _read("/sys/devices/system/cpu/intel_pstate/no_turbo")
    boost = _read("/sys/devices/system/cpu/cpufreq/boost")
    found = {"0": "on", "1": "off"}.get(intel) or {"1": "on", "0": "off"}.get(boost)
    return found or ""


def _chosen(text: str) -> str:
    """The kernel writes "always [madvise] never"."""
    return text.partition("[")[2].partition("]")[0]
