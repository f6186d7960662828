"""GPUs through the real pynvml, against a stand-in library: two GPUs, one of them troubled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.stand_in_nvml import build, run_with

READ = """
import json, sys
import msgspec
from profiler.nvml import Nvml
with Nvml() as nvml:
    found = {
        "status": nvml.status,
        "driver": nvml.driver,
        "names": nvml.names(),
        "settings": nvml.settings(),
        "samples": [msgspec.to_builtins(nvml.samples()) for _ in range(5)],
    }
print(json.dumps(found))
"""
FIELDS = {
    "gpu_utilization_pct",
    "memory_used_bytes",
    "memory_total_bytes",
    "power_mw",
    "temperature_c",
    "sm_clock_mhz",
    "memory_clock_mhz",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


def read(library: Path, **variables: str) -> dict[str, Any]:
    found, _ = run_with(library, READ, **variables)
    assert isinstance(found, dict)
    return found


def test_all_fields_are_read(library: Path) -> None:
    found = read(library)
    assert found["names"] == ["Stand-in A", "Stand-in B"]
    assert found["status"] == "Stand-in A, Stand-in B, driver 999.11"
    assert found["samples"][0][0] == {
        "index": 0,
        "name": "Stand-in A",
        "gpu_utilization_pct": 70.0,
        "memory_used_bytes": 4 << 30,
        "memory_total_bytes": 16 << 30,
        "power_mw": 250500,
        "temperature_c": 61,
        "sm_clock_mhz": 1980,
        "memory_clock_mhz": 2619,
        "throttle_reasons": ["power cap", "hardware thermal slowdown"],
        "process_memory_bytes": {"4242": 3 << 30},
        "lost": False,
    }


def test_what_steers_a_gpu_is_told(library: Path) -> None:
    assert read(library)["settings"] == {
        "driver": "999.11",
        "gpu 0": "Stand-in A, power limit 700 W, ECC on, SM clock up to 1980 MHz",
        "gpu 1": "Stand-in B",
    }


def test_an_unsupported_field_is_none_and_the_others_are_there(library: Path) -> None:
    troubled = read(library)["samples"][0][1]
    assert {name for name in FIELDS if troubled[name] is None} == {"power_mw"}
    assert not troubled["lost"]


def test_a_lost_gpu_says_so_and_the_other_goes_on(library: Path) -> None:
    samples = read(library)["samples"]
    assert [troubled["lost"] for _, troubled in samples] == [False, False, False, True, True]
    assert {samples[-1][1][name] for name in FIELDS} == {None}
    assert samples[-1][1]["name"] == "Stand-in B"
    assert all(healthy == samples[0][0] for healthy, _ in samples)


def test_a_gpu_lost_before_leaves_the_other_its_index(library: Path) -> None:
    found = read(library, STAND_IN_NEVER_OPENS="0")
    assert found["names"] == ["Stand-in B"]
    assert [gpu["index"] for gpu in found["samples"][0]] == [1]


@pytest.mark.parametrize(
    ("variables", "status"),
    [
        ({"STAND_IN_COUNT": "0"}, "no NVIDIA GPU"),
        ({"STAND_IN_INIT": "9"}, "no NVIDIA driver"),
        ({"STAND_IN_INIT": "4"}, "NVML: Insufficient Permissions"),
        ({"STAND_IN_INIT": "18"}, "NVML: RM has detected an NVML/RM version mismatch."),
    ],
)
def test_why_there_is_no_gpu(library: Path, variables: dict[str, str], status: str) -> None:
    found = read(library, **variables)
    assert found["status"] == status
    assert found["names"] == []
    assert found["samples"] == [[]] * 5


def test_a_library_that_cannot_be_loaded_is_no_driver(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("no library")
    assert read(tmp_path)["status"] == "no NVIDIA driver"


def test_nvml_is_shut_down(library: Path) -> None:
    _, errors = run_with(library, READ)
    assert errors.count("stand-in: shut down") == 1
    _, errors = run_with(library, READ, STAND_IN_INIT="9")
    assert "shut down" not in errors
