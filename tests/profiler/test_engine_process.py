"""Real engine processes: commands and replies, output in the log, death, hanging, the end."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from profiler.engine_process import EngineProcess
from profiler.errors import EngineError
from profiler.lane import Lane
from profiler.lanes import takes
from profiler.model_file import identify
from profiler.outputs import load_outputs
from profiler.types import (
    AnyCommand,
    AnyReply,
    EngineKind,
    EngineSpec,
    Failed,
    Infer,
    Latencies,
    Load,
    Loaded,
    ModelKind,
    OutputsSaved,
    SaveOutputs,
    Trace,
    Traced,
)
from tests.profiler.engine_commands import PIXELS, TOKENS, X, load_command
from tests.profiler.onnx_torch import models

ANSWER_S = 60.0
by_signal = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")


def ask(process: EngineProcess, command: AnyCommand) -> AnyReply:
    process.send(command)
    reply = process.receive(ANSWER_S)
    assert reply is not None
    return reply


def started(command: Load) -> EngineProcess:
    return EngineProcess(command.spec, Path(command.work_dir))


@pytest.fixture
def ort(tmp_path: Path) -> Iterator[EngineProcess]:
    """A process of ONNX Runtime with the two layers loaded."""
    command = load_command(EngineKind.ORT, models.mlp(), X, tmp_path)
    with started(command) as process:
        assert isinstance(ask(process, command), Loaded)
        yield process


TAKE_ONNX = [engine for engine in EngineKind if takes(engine, ModelKind.ONNX)]


@pytest.mark.parametrize("engine", TAKE_ONNX)
def test_a_whole_life(engine: EngineKind, tmp_path: Path) -> None:
    command = load_command(engine, models.mlp(), X, tmp_path)
    with started(command) as process:
        pid = process.pid
        loaded = ask(process, command)
        assert isinstance(loaded, Loaded)
        assert min(loaded.load_time_ns, loaded.first_iteration_ns) > 0
        assert loaded.output_names == ("y",)
        assert loaded.weights_bytes == 48 * 4
        assert 0 < loaded.baseline_rss_bytes <= loaded.rss_bytes + (1 << 24)
        latencies = ask(process, Infer(iterations=7))
        assert isinstance(latencies, Latencies)
        assert len(latencies.latencies_ns) == 7
        assert min(latencies.latencies_ns) > 0
        assert latencies.peak_rss_bytes >= 1 << 20
        traced = ask(process, Trace(iterations=2))
        assert isinstance(traced, Traced)
        if engine is not EngineKind.TORCH_COMPILE:
            # Its kernels are generated, and know nothing of nodes.
            assert [op.source_nodes for op in traced.ops] == [("hidden",), ("active",), ("y",)] * 2
        assert traced.ops
        saved = ask(process, SaveOutputs(path=str(tmp_path / "out.npz")))
        assert saved == OutputsSaved(path=str(tmp_path / "out.npz"))
        assert [a.shape for a in load_outputs(tmp_path / "out.npz")] == [(1, 4)]
        # Nothing but the engine's own words is in the log: the profiler's chatter is off.
        assert process.log_tail() == ()
    assert not process.alive
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_lanes_on_the_same_inputs_agree(tmp_path: Path) -> None:
    found = []
    for engine in TAKE_ONNX:
        command = load_command(engine, models.resnet(), PIXELS, tmp_path)
        with started(command) as process:
            assert isinstance(ask(process, command), Loaded)
            ask(process, SaveOutputs(path=str(tmp_path / f"{engine.value}.npz")))
        found.append(load_outputs(tmp_path / f"{engine.value}.npz")[0])
    for other in found[1:]:
        np.testing.assert_allclose(found[0], other, rtol=1e-3, atol=1e-4)


def test_errors_leave_the_process_ready(tmp_path: Path) -> None:
    wrong = load_command(EngineKind.ORT, models.bert(), TOKENS[:1], tmp_path)
    with started(wrong) as process:
        before = ask(process, Infer(iterations=1))
        assert before == Failed(error="EngineError", message="No model is loaded.")
        reply = ask(process, wrong)
        assert isinstance(reply, Failed)
        assert reply.error == "EngineError"
        assert "mask" in reply.message
        assert "Traceback" in reply.details
        assert any("Traceback" in line for line in process.log_lines())
        assert process.log_lines() == []
        right = load_command(EngineKind.ORT, models.bert(), TOKENS, tmp_path)
        assert isinstance(ask(process, right), Loaded)


def test_an_option_that_is_not_possible_keeps_its_hint(tmp_path: Path) -> None:
    command = load_command(
        EngineKind.ORT, models.mlp(), X, tmp_path, graph_optimization_level="most"
    )
    with started(command) as process:
        reply = ask(process, command)
    assert isinstance(reply, Failed)
    assert reply.hint == "It can be: disable, basic, extended, all."


@by_signal
@pytest.mark.parametrize(
    ("number", "reason", "hint"),
    [
        (signal.SIGKILL, "ort died with SIGKILL", "run out of memory"),
        (signal.SIGSEGV, "ort died with SIGSEGV", "in the log"),
    ],
    ids=["killed", "crashed"],
)
def test_a_process_that_dies_says_how(
    ort: EngineProcess, number: int, reason: str, hint: str
) -> None:
    ort.send(Infer(iterations=100_000_000))
    assert ort.receive(0.2) is None
    assert ort.pid is not None
    os.kill(ort.pid, number)
    with pytest.raises(EngineError) as caught:
        ort.receive(ANSWER_S)
    assert reason in caught.value.message
    assert hint in caught.value.hint
    with pytest.raises(EngineError, match=reason):
        ort.send(Infer(iterations=1))
    if number == signal.SIGSEGV:
        assert any("Segmentation fault" in line for line in ort.log_tail(200))
    ort.close()
    assert not ort.alive


@by_signal
def test_ctrl_c_of_the_group_does_not_end_it(ort: EngineProcess) -> None:
    assert ort.pid is not None
    os.kill(ort.pid, signal.SIGINT)
    assert isinstance(ask(ort, Infer(iterations=1)), Latencies)


def test_a_process_that_is_busy_is_ended_by_close(ort: EngineProcess) -> None:
    ort.send(Infer(iterations=100_000_000))
    assert ort.receive(0.1) is None
    ort.close(timeout_s=0.3)
    assert not ort.alive
    ort.close()


def test_a_lane_that_does_not_answer_in_time(tmp_path: Path) -> None:
    command = load_command(EngineKind.ORT, models.mlp(), X, tmp_path)
    lane = Lane(command.spec, command.model, tmp_path / "lane", lambda: False)
    try:
        assert isinstance(lane.request(command, ANSWER_S), Loaded)
        assert len(lane.infer(3, ANSWER_S).latencies_ns) == 3
        with pytest.raises(EngineError, match="ort did not answer within"):
            lane.infer(100_000_000, 0.2)
    finally:
        lane.process.close(timeout_s=0.3)
    assert not lane.process.alive


class Talking(torch.nn.Module):
    """Prints from native code: TorchScript's print writes to the process's own stdout."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("the model says hello")  # noqa: T201
        return x * 2


def test_what_a_model_prints_becomes_log_lines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.script(Talking())
    module.save(tmp_path / "talking.pt")
    command = Load(
        spec=EngineSpec(label="script", engine=EngineKind.TORCH_SCRIPT),
        model=identify(tmp_path / "talking.pt"),
        inputs=X,
        work_dir=str(tmp_path),
    )
    with started(command) as process:
        assert isinstance(ask(process, command), Loaded)
        ask(process, Infer(iterations=2))
    lines = process.log_lines()
    assert lines.count("the model says hello") >= 3
    assert process.log_lines() == []
    assert "hello" not in capfd.readouterr().out


def test_a_line_is_told_when_it_is_whole(ort: EngineProcess, tmp_path: Path) -> None:
    log = tmp_path / "work-ort" / "engine-0.log"
    with log.open("ab", buffering=0) as file:
        file.write(b"first\nsec")
        assert ort.log_lines() == ["first"]
        file.write("ond ü".encode()[:-1])
        assert ort.log_lines() == []
        file.write("ü".encode()[1:] + b"\n\xff third\n")
        assert ort.log_lines() == ["second ü", "� third"]


@by_signal
def test_it_leaves_when_the_parent_is_gone(tmp_path: Path) -> None:
    """A parent that is killed can't close: the end of the pipe is enough."""
    import subprocess

    code = (
        "import os, sys, pathlib\n"
        "from profiler.engine_process import EngineProcess\n"
        "from profiler.types import EngineKind, EngineSpec\n"
        "if __name__ == '__main__':\n"
        "    spec = EngineSpec(label='ort', engine=EngineKind.ORT)\n"
        "    process = EngineProcess(spec, pathlib.Path(sys.argv[1]))\n"
        "    print(process.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        timeout=ANSWER_S,
        check=False,
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + ANSWER_S
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    """An orphan that has ended may stay a zombie where nobody reaps it."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
