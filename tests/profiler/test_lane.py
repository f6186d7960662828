"""How a lane's turn is planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiler import lane as lane_module
from profiler.lane import Lane
from profiler.types import LEAD_IN_NS, EngineKind, EngineSpec, ModelKind, ModelSource
from tests.scripted_engine import Script, scripted


@pytest.mark.parametrize(
    ("latency_ns", "lead_in", "calls"),
    [
        (10_000, 1_000, 5_000),
        (1_000_000, 10, 50),
        (40_000_000, 1, 3),
        (100_000_000, 1, 2),
        (900_000_000, 1, 1),
        (20_000_000_000, 0, 1),
    ],
)
def test_a_turn_begins_with_untimed_calls_unless_they_are_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, latency_ns: int, lead_in: int, calls: int
) -> None:
    make = scripted({"a": Script(latencies_ns=[latency_ns])}, [])
    monkeypatch.setattr(lane_module, "EngineProcess", make)
    spec = EngineSpec(label="a", engine=EngineKind.ORT)
    model = ModelSource(path="a.onnx", kind=ModelKind.ONNX, sha256="0", size_bytes=1)
    lane = Lane(spec, model, tmp_path, lambda: False)
    lane.infer(1, 10.0)
    assert (lane.lead_in(LEAD_IN_NS), lane.calls_of_turn(50_000_000)) == (lead_in, calls)
