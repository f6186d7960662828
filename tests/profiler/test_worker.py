"""What the engine process answers: timing, errors in words, and a pipe that carries junk."""

from __future__ import annotations

import contextlib
import gc
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import onnx
import psutil
import pytest

from profiler.callers import Callers
from profiler.engine_process import EngineProcess
from profiler.errors import EngineError, UnsafeModelError
from profiler.types import (
    AnyCommand,
    Close,
    EngineKind,
    EngineSpec,
    Examined,
    Failed,
    Infer,
    InputSpec,
    Latencies,
    Loaded,
    SaveOutputs,
    ThreadUse,
    Trace,
    Traced,
    TryInputs,
)
from profiler.worker import Worker
from tests.profiler.engine_commands import PIXELS, X, load_command
from tests.profiler.onnx_torch import models


class Counting:
    """An engine that counts its calls, notes whether the collector ran, and fails on demand."""

    version = "counting 1"
    graph_note = ""
    input_note = ""

    def __init__(self, fails: Exception | None = None) -> None:
        self.calls: list[str] = []
        self.collector: set[bool] = set()
        self.fails = fails

    def load(self) -> None:
        self.calls.append("load")

    def infer(self) -> object:
        self.calls.append("infer")
        self.collector.add(gc.isenabled())
        if self.fails:
            raise self.fails
        return None

    @contextlib.contextmanager
    def caller(self) -> Iterator[Callable[[], object]]:
        self.calls.append("caller")
        yield self.infer

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def after_first_call(self) -> int:
        self.calls.append("after first call")
        return 3

    def trace(self, iterations: int, warmup: int) -> Traced:
        del warmup
        return Traced(started_ns=0, latencies_ns=(1,) * iterations, ops=())

    def examine(self) -> Examined:
        self.calls.append("examine")
        return Examined(threads=ThreadUse(threads=1))

    def called_with(self, inputs: tuple[InputSpec, ...]) -> Callable[[], object]:
        return lambda: self.calls.append(f"call with {inputs[0].name}")

    def save_outputs(self, path: Path) -> None:
        raise PermissionError(f"can't write {path.name}\nsecond line")

    def save_values(self, names: Sequence[str], path: Path) -> tuple[str, ...]:
        path.write_bytes(b"four")
        return tuple(names)

    def output_names(self, outputs: object) -> tuple[str, ...]:
        del outputs
        return ("y",)

    def weights_bytes(self) -> int:
        return 4

    def close(self) -> None:
        self.calls.append("close")


def test_callers_share_the_engine_in_a_turn() -> None:
    engine = Counting()
    worker = worker_with(engine)
    worker._callers = Callers(2, engine.caller)
    reply = worker.answer(Infer(iterations=3, lead_in=4))
    assert isinstance(reply, Latencies)
    assert len(reply.latencies_ns) == 6
    assert engine.calls.count("infer") >= 2 * (4 + 3)
    assert reply.duration_ns >= max(reply.latencies_ns)
    assert engine.collector == {False}
    worker.close()
    assert engine.calls.count("caller") == 2


def worker_with(engine: Counting) -> Worker:
    worker = Worker()
    worker._engine = engine
    return worker


@pytest.mark.parametrize(
    "command", [Infer(iterations=1), Trace(iterations=1), SaveOutputs(path="out.npz")]
)
def test_nothing_runs_before_a_model_is_loaded(command: AnyCommand) -> None:
    expected = Failed(error="EngineError", message="No model is loaded.")
    assert Worker().answer(command) == expected


def test_a_real_engine_is_loaded_and_timed(tmp_path: Path) -> None:
    worker = Worker()
    loaded = worker.answer(load_command(EngineKind.ORT, models.mlp(), X, tmp_path))
    assert isinstance(loaded, Loaded)
    assert loaded.engine_version.startswith("onnxruntime")
    reply = worker.answer(Infer(iterations=5))
    assert isinstance(reply, Latencies)
    assert len(reply.latencies_ns) == 5
    assert reply.cpu_time_ns > 0
    assert reply.peak_rss_bytes > 1 << 20
    worker.close()


class Slow(Counting):
    """Its traces wait until a process of others has taken a good part of a core."""

    def __init__(self, other: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.other = psutil.Process(other.pid)

    def trace(self, iterations: int, warmup: int) -> Traced:
        before = self.other.cpu_times().user
        while self.other.cpu_times().user - before < 0.2:
            time.sleep(0.05)
        return super().trace(iterations, warmup)


def test_a_trace_tells_what_others_took_of_the_cpu_meanwhile() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            reply = worker_with(Slow(other)).answer(Trace(iterations=1))
        finally:
            other.kill()
    assert isinstance(reply, Traced)
    assert reply.foreign_cpu_share > 0


def test_each_call_is_waited_for_and_the_collector_rests() -> None:
    engine = Counting()
    reply = worker_with(engine).answer(Infer(iterations=3))
    assert isinstance(reply, Latencies)
    assert len(reply.latencies_ns) == 3
    assert engine.calls == ["infer", "synchronize"] * 3


def test_calls_of_the_lead_in_are_not_timed() -> None:
    engine = Counting()
    reply = worker_with(engine).answer(Infer(iterations=3, lead_in=2))
    assert isinstance(reply, Latencies)
    assert len(reply.latencies_ns) == 3
    assert engine.calls == ["infer", "synchronize"] * 5
    assert engine.collector == {False}
    assert gc.isenabled()


def test_the_collector_is_back_after_a_call_that_fails() -> None:
    reply = worker_with(Counting(RuntimeError("out of range"))).answer(Infer(iterations=3))
    assert isinstance(reply, Failed)
    assert reply.message == "RuntimeError: out of range"
    assert gc.isenabled()


def test_an_error_of_ours_keeps_its_class_message_and_hint() -> None:
    error = UnsafeModelError("It runs code.", "Don't.")
    reply = worker_with(Counting(error)).answer(Infer(iterations=1))
    assert reply == Failed(error="UnsafeModelError", message="It runs code.", hint="Don't.")


def test_any_other_error_is_told_in_one_line_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    reply = worker_with(Counting()).answer(SaveOutputs(path="out.npz"))
    assert isinstance(reply, Failed)
    assert (reply.error, reply.message) == ("EngineError", "PermissionError: can't write out.npz")
    assert "second line" in reply.details
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("message", ["", "\n", "x" * 5000])
def test_a_message_may_be_empty_or_long(message: str) -> None:
    reply = worker_with(Counting(ValueError(message))).answer(Infer(iterations=1))
    assert isinstance(reply, Failed)
    assert reply.message.startswith("ValueError: ")
    assert len(reply.message) < 600


def test_a_load_that_fails_leaves_no_engine(tmp_path: Path) -> None:
    worker = Worker()
    nodes = [onnx.helper.make_node("Special", ["x"], ["y"], domain="my.domain")]
    content = models.model_bytes(nodes, {"x": [1, 8]}, {"y": [1, 8]})
    reply = worker.answer(load_command(EngineKind.ORT, content, X, tmp_path))
    assert isinstance(reply, Failed)
    assert "my.domain" in reply.message
    after = worker.answer(Infer(iterations=1))
    assert isinstance(after, Failed)
    assert after.message == "No model is loaded."


def test_close_is_passed_on_and_may_come_before_a_model() -> None:
    engine = Counting()
    worker_with(engine).close()
    assert engine.calls == ["close"]
    Worker().close()


def test_a_broken_message_ends_the_process_with_the_reason_in_its_log(tmp_path: Path) -> None:
    spec = EngineSpec(label="lane", engine=EngineKind.ORT)
    with EngineProcess(spec, tmp_path) as process:
        process._connection.send_bytes(b"\xc1 junk")
        with pytest.raises(EngineError, match="lane ended with exit code 1"):
            process.receive(60)
        assert any("DecodeError" in line for line in process.log_tail())


def test_close_ends_the_process_in_order(tmp_path: Path) -> None:
    spec = EngineSpec(label="lane", engine=EngineKind.ORT)
    with EngineProcess(spec, tmp_path) as process:
        process.send(Close())
        with pytest.raises(EngineError, match="ended with exit code 0"):
            process.receive(60)
        assert process.log_tail() == ()


def test_the_peak_is_that_of_before_the_first_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace makes sessions and events of its own, and a peak never falls again."""
    readings = itertools.count(100)
    monkeypatch.setattr("profiler.worker._peak_rss_bytes", lambda _: next(readings))
    worker = worker_with(Counting())
    peaks = []
    for command in (Infer(iterations=1), Trace(iterations=1), Infer(iterations=1)):
        reply = worker.answer(command)
        if isinstance(reply, Latencies):
            peaks.append(reply.peak_rss_bytes)
    assert peaks == [100, 101]
    last = worker.answer(Infer(iterations=1))
    assert isinstance(last, Latencies) and last.peak_rss_bytes == 101


def test_a_collection_counts_as_the_engines_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would look like the work of other processes."""
    order: list[str] = []

    def clock() -> int:
        order.append("cpu")
        return 0

    monkeypatch.setattr(gc, "collect", lambda: order.append("collect"))
    monkeypatch.setattr(time, "process_time_ns", clock)
    worker_with(Counting()).answer(Infer(iterations=1))
    assert order == ["cpu", "collect", "cpu"]


def test_a_lane_is_examined_with_its_first_trace_alone() -> None:
    engine = Counting()
    first = worker_with(engine).answer(Trace(iterations=1, describe=True))
    assert isinstance(first, Traced)
    assert first.examined == Examined(threads=ThreadUse(threads=1))
    again = worker_with(engine).answer(Trace(iterations=1))
    assert isinstance(again, Traced)
    assert again.examined is None
    assert engine.calls == ["examine"]


def test_other_inputs_are_called_and_timed() -> None:
    engine = Counting()
    reply = worker_with(engine).answer(TryInputs(inputs=X, iterations=3))
    assert isinstance(reply, Latencies)
    assert len(reply.latencies_ns) == 3
    assert engine.calls == ["call with x", "synchronize"] * 3


def test_a_real_engine_takes_another_batch(tmp_path: Path) -> None:
    worker = Worker()
    for kind in (EngineKind.ORT, EngineKind.TORCH_EAGER):
        worker.answer(load_command(kind, models.resnet(), PIXELS, tmp_path))
        two = tuple(msgspec.structs.replace(spec, shape=(2, *spec.shape[1:])) for spec in PIXELS)
        reply = worker.answer(TryInputs(inputs=two, iterations=2))
        assert isinstance(reply, Latencies)
        assert all(latency > 0 for latency in reply.latencies_ns)
