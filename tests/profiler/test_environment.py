"""The description of machine and software that a session keeps."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import msgspec
import pytest

from profiler.environment import describe_environment
from profiler.telemetry import gpu_status
from profiler.version import VERSION


def test_it_names_machine_and_software() -> None:
    found = describe_environment()
    assert found["dualscope"] == VERSION
    assert found["python"] == platform.python_version()
    assert platform.system() in found["system"]
    assert found["gpu"] == gpu_status()
    assert found["memory"].endswith("GiB")
    assert "logical" in found["cores"]
    for package in ("torch", "onnx", "numpy", "netron"):
        assert found[package] == importlib.metadata.version(package)
    assert "onnxruntime" in found or "onnxruntime-gpu" in found


def test_every_value_is_a_text_that_says_something() -> None:
    found = describe_environment()
    assert all(isinstance(value, str) and value.strip() for value in found.values())
    assert not any("None" in value for value in found.values())
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


def test_variables_that_steer_threads_are_kept_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("API_TOKEN", "secret")
    found = describe_environment()
    assert (found["OMP_NUM_THREADS"], found["CUDA_VISIBLE_DEVICES"]) == ("3", "1")
    assert "secret" not in found.values()


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_the_cores_that_may_be_used_are_listed() -> None:
    expected = ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))
    assert describe_environment()["affinity"] == expected


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are the names of x86-64")
def test_instructions_that_decide_about_kernels_are_listed() -> None:
    (line, *_) = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")
    ]
    found = describe_environment().get("cpu instructions", "").split()
    assert ("avx2" in found) == (" avx2" in line)
    assert set(found) <= set(line.split())
