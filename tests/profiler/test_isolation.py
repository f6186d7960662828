"""A child has no network; where it can't be taken, that is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from profiler import isolation
from profiler.engine_process import EngineProcess
from profiler.types import EngineKind, EngineSpec, Failed, Infer

ROOT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")

CONNECT = """
import ctypes, socket, sys
from profiler import isolation
if sys.argv[1] == "landlock":
    print(isolation._deny_tcp(ctypes.CDLL(None, use_errno=True)))
else:
    print(isolation.cut_network())
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=5)
    print("connected")
except OSError as error:
    print("refused")
"""


def tried(way: str, port: int) -> list[str]:
    command = [sys.executable, "-c", CONNECT, way, str(port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@linux
@pytest.mark.parametrize("way", ["namespace", "landlock"])
def test_a_process_can_not_reach_a_port_that_listens(way: str) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        outcome, result = tried(way, server.getsockname()[1])
    if outcome == "False" or "could not be taken" in outcome:
        pytest.skip(f"this system does not allow it: {outcome}")
    assert result == "refused"


def test_another_system_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "can't be taken" in isolation.cut_network()


@linux
def test_an_engine_process_has_left_the_network(tmp_path: Path) -> None:
    spec = EngineSpec(label="ort", engine=EngineKind.ORT)
    with EngineProcess(spec, tmp_path) as process:
        process.send(Infer(iterations=1))
        assert isinstance(process.receive(60.0), Failed), "there is no model, but it has started"
        theirs = Path(f"/proc/{process.pid}/ns/net").readlink()
    (outcome, _) = tried("namespace", 9)
    if "namespace" not in outcome:
        pytest.skip(f"this system does not allow it: {outcome}")
    assert theirs != Path("/proc/self/ns/net").readlink()
