"""The C library told to keep freed memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from profiler.errors import PlanError
from profiler.freed_memory import can_keep
from profiler.plan import check_plan
from profiler.types import EngineKind, EngineSpec, RunPlan
from tests.sample_session import MODEL

PROGRAM = """
import ctypes, resource, sys
from profiler.freed_memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
def call():
    blocks = [libc.malloc(64 << 20) for _ in range(2)]
    for block in blocks:
        ctypes.memset(block, 1, 64 << 20)
    for block in blocks:
        libc.free(block)
call()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
call()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(not can_keep(), reason="needs glibc")
def test_what_is_kept_has_no_page_faults() -> None:
    given_back = faults("default")
    assert given_back > 100
    assert faults("keep") < given_back / 10


def plan(**options: bool) -> RunPlan:
    spec = EngineSpec(label="one", engine=EngineKind.TORCH_EAGER, options=dict(options))
    return RunPlan(model=MODEL, inputs=(), engines=(spec,), baseline="one")


def test_where_there_is_no_glibc_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiler.freed_memory.can_keep", lambda: False)
    check_plan(plan(keep_memory=False))
    with pytest.raises(PlanError, match="keep_memory needs glibc"):
        check_plan(plan(keep_memory=True))
