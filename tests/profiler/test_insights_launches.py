"""Rules on a lane's processes: on sessions that have the fault and on ones that don't."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from profiler.insights.launches import memory_given_back, slow_processes
from profiler.session import Session
from profiler.types import EngineKind, EngineSpec, Round, RoundKind, RunPlan, RunStarted
from tests.sample_session import MODEL

US = 1000


def session(
    one: Sequence[int], other: Sequence[int], *, faults: Sequence[int] = (), **options: bool
) -> Session:
    """Two lanes' latencies in us, one a launch, and the first lane's page faults a call."""
    specs = (
        EngineSpec(label="one", engine=EngineKind.TORCH_EAGER, options=dict(options)),
        EngineSpec(label="other", engine=EngineKind.ORT),
    )
    plan = RunPlan(model=MODEL, inputs=(), engines=specs, baseline="one")
    made = Session()
    made.apply(RunStarted(time_ns=0, plan=plan, environment={}, dualscope_version=""))
    for launch, pair in enumerate(zip(one, other, strict=True)):
        for step in range(8):
            for label, latency in zip(("one", "other"), pair, strict=True):
                given = faults[launch] if faults and label == "one" else 0
                made.apply(
                    Round(
                        time_ns=0,
                        label=label,
                        index=8 * launch + step,
                        kind=RoundKind.TIMED,
                        started_ns=0,
                        latencies_ns=(latency * US, latency * US),
                        launch=launch,
                        minor_page_faults=2 * given,
                    )
                )
    return made


def test_a_process_that_is_slower_than_its_siblings_is_named() -> None:
    (found,) = slow_processes(session([1000, 1000, 1400, 1010, 990], [500] * 5))
    assert found.sentence == ("1 of 5 processes of one was slower as a whole, by up to 40%")
    assert found.evidence == "p50 1.4 ms in launch 3, 1 ms in the median launch"
    assert "keep_memory" not in found.remedy


def test_page_faults_are_named_where_they_explain_it() -> None:
    faults = [100, 100, 2000, 100, 100]
    (found,) = slow_processes(session([1000, 1000, 9000, 1010, 990], [500] * 5, faults=faults))
    assert found.evidence.endswith("2,000 page faults a call against 100")
    assert "keep_memory=true" in found.remedy and "MALLOC_TRIM_THRESHOLD_" in found.remedy


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([1000, 1030, 990, 1010, 1000], [500] * 5, id="alike"),
        pytest.param([1000, 1000, 1400, 1010, 990], [500, 500, 700, 500, 500], id="the machine"),
        pytest.param([1000, 1400, 1000], [500] * 3, id="too few to tell"),
        pytest.param([1000, 1400, 1400, 1000, 1400], [500] * 5, id="most"),
    ],
)
def test_no_process_is_called_slow(one: list[int], other: list[int]) -> None:
    assert not list(slow_processes(session(one, other)))


def test_memory_that_is_taken_anew_in_each_call() -> None:
    (found,) = memory_given_back(session([1000] * 4, [500] * 4, faults=[600] * 4))
    assert found.label == "one" and found.share == pytest.approx(0.3)
    assert "600 page faults a call" in found.evidence and "at least 30%" in found.evidence
    assert "keep_memory=true" in found.remedy


def test_memory_that_is_kept() -> None:
    assert not list(memory_given_back(session([1000] * 4, [500] * 4, faults=[20] * 4)))
    (found,) = memory_given_back(session([1000] * 4, [500] * 4, faults=[600] * 4, keep_memory=True))
    assert "keep_memory=true" not in found.remedy
