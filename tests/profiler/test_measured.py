"""Figures that decisions rest on."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from profiler.measured import batch_size, mean_ratio, p99, peak_memory, tokens_per_call
from profiler.types import EngineKind, EngineSpec, GpuSample, InputSpec, TelemetrySample
from tests.decision_sessions import MIB, rounds, session


def spec(
    name: str, *shape: int, symbols: tuple[str | None, ...] = (), dtype: str = "float32"
) -> InputSpec:
    return InputSpec(name=name, dtype=dtype, shape=shape, symbols=symbols)


@pytest.mark.parametrize(
    ("inputs", "size"),
    [
        ([], 1),
        ([spec("x", 4, 3, symbols=("batch", None))], 4),
        ([spec("x", 3, 4, symbols=(None, "batch_size"))], 4),
        ([spec("x", 8, 3)], 8),
        ([spec("x", 8, 3), spec("mask", 8, 1), spec("rate")], 8),
        # silero: a state of [layers, batch, width] beside [batch, samples].
        ([spec("input", 1, 512), spec("state", 2, 1, 128), spec("sr")], 1),
        ([spec("x", 6, 3), spec("y", 2, 3)], 1),
        ([spec("x", 512)], 1),
    ],
)
def test_batch_size(inputs: list[InputSpec], size: int) -> None:
    assert batch_size(inputs) == size


def test_tokens_per_call() -> None:
    ids = spec("input_ids", 2, 16, dtype="int64")
    mask = spec("attention_mask", 2, 64, dtype="int64")
    assert tokens_per_call([ids, mask]) == 32
    assert tokens_per_call([spec("image", 1, 3, 8, 8), mask]) is None


def test_rounds_that_were_set_aside_have_no_part() -> None:
    calm = rounds("eager", 8.0)
    found = session(*calm, *rounds("onnx", 4.0))
    ratio = mean_ratio(found, "eager", "onnx")
    assert ratio is not None and ratio.value == pytest.approx(2.0)
    slow: dict[str, Any] = {"foreign_cpu_share": 0.9, "latencies_ns": (10**9,) * 5}
    busy = [msgspec.structs.replace(turn, **slow) if turn.index % 5 == 0 else turn for turn in calm]
    disturbed = session(*busy, *rounds("onnx", 4.0))
    assert len(disturbed.set_aside()) == 32
    again = mean_ratio(disturbed, "eager", "onnx")
    assert again is not None and again.value == pytest.approx(2.0)
    tail = p99(disturbed, "eager")
    assert tail is not None and tail.value == pytest.approx(8e6)


def test_peaks_by_launch() -> None:
    small, large = rounds("eager", 4.0, peak_mib=100), rounds("eager", 4.0, peak_mib=120)
    found = session(*small[:20], *large[20:])
    peak = peak_memory(found, "eager")
    assert peak is not None
    assert (peak.low, peak.high, peak.value) == (100 * MIB, 120 * MIB, 120 * MIB)
    assert peak_memory(found, "onnx") is None


def test_on_a_gpu_its_memory_counts() -> None:
    lane = EngineSpec(label="eager", engine=EngineKind.TORCH_EAGER, device="cuda:0")
    gpu = GpuSample(index=0, name="Test GPU", process_memory_bytes={1: 5 * MIB, 99: 7 * MIB})
    sample = TelemetrySample(
        time_ns=1, cpu_pct=0, memory_used_bytes=1, memory_total_bytes=2, gpus=(gpu,)
    )
    peak = peak_memory(session(*rounds("eager", 4.0), sample, lanes=(lane,)), "eager")
    assert peak is not None and peak.value == 5 * MIB
