"""Samples come from a thread of their own, with GPUs where there are some."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from profiler.nvml import Nvml
from profiler.telemetry import Telemetry, gpu_status, read_sample
from profiler.types import TelemetrySample
from tests.stand_in_nvml import build, run_with

SAMPLE = """
import json, queue
import msgspec
from profiler.telemetry import Telemetry, gpu_status
samples = queue.SimpleQueue()
with Telemetry(samples.put, interval_s=0.01):
    found = [samples.get(timeout=30) for _ in range(6)]
print(json.dumps({"status": gpu_status(), "samples": msgspec.to_builtins(found)}))
"""


def test_cpu_and_memory_are_read_everywhere() -> None:
    with Nvml() as nvml:
        sample = read_sample(nvml)
    assert 0 <= sample.cpu_pct <= 100
    assert 0 < sample.memory_used_bytes < sample.memory_total_bytes
    assert sample.time_ns > 1_600_000_000 * 10**9
    assert sample.cpu_freq_mhz is None or sample.cpu_freq_mhz > 0


def test_samples_come_from_a_thread_that_ends() -> None:
    threads: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    samples: queue.SimpleQueue[TelemetrySample] = queue.SimpleQueue()

    def on_sample(sample: TelemetrySample) -> None:
        threads.put(threading.current_thread())
        samples.put(sample)

    with Telemetry(on_sample, interval_s=0.01):
        found = [samples.get(timeout=30) for _ in range(4)]
        thread = threads.get()
    assert thread is not threading.current_thread()
    assert not thread.is_alive()
    times = [sample.time_ns for sample in found]
    assert times == sorted(times)
    assert len(set(times)) == 4


def test_leaving_does_not_wait_for_the_interval() -> None:
    samples: list[TelemetrySample] = []
    with Telemetry(samples.append, interval_s=3600):
        pass
    assert samples == []


def test_gpus_are_sampled_and_a_loss_is_seen(tmp_path: Path) -> None:
    found, _ = run_with(build(tmp_path), SAMPLE)
    assert found["status"] == "Stand-in A, Stand-in B, driver 999.11"
    assert [gpu["name"] for gpu in found["samples"][0]["gpus"]] == ["Stand-in A", "Stand-in B"]
    lost = [sample["gpus"][1]["lost"] for sample in found["samples"]]
    assert lost == [False] * 3 + [True] * 3
    assert {sample["gpus"][0]["gpu_utilization_pct"] for sample in found["samples"]} == {70.0}


def test_without_a_driver_the_status_says_so_in_a_word(tmp_path: Path) -> None:
    # A library that can't be loaded hides one that this machine may have.
    (tmp_path / "libnvidia-ml.so.1").touch()
    found, _ = run_with(tmp_path, SAMPLE)
    assert found["status"] == "no NVIDIA driver"
    assert all(sample["gpus"] == [] for sample in found["samples"])
    assert all(sample["memory_total_bytes"] > 0 for sample in found["samples"])


@pytest.mark.gpu
def test_a_real_gpu_is_read() -> None:
    if gpu_status().startswith("no NVIDIA"):
        pytest.skip("needs an NVIDIA GPU")
    with Nvml() as nvml:
        gpu = nvml.samples()[0]
    assert gpu.memory_total_bytes
    assert not gpu.lost
