"""The suite as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io

import msgspec

from profiler.suite.planning import suite_plan
from profiler.suite.records import EntryResult
from profiler.suite.state import Suite
from profiler.suite.table import csv_text, markdown, milliseconds, notes, text, times
from profiler.types import EngineKind, Estimate, PointState
from tests.profiler.suite.driving import HERE
from tests.profiler.suite.test_claims import lane, row
from tests.suite_models import SMALL


def suite() -> Suite:
    """ResNet-50 measured, with a lane that failed; BERT not built; the others to come."""
    broken = msgspec.structs.replace(
        lane("bad", EngineKind.ORT, None), failure="no | library", latency_ns=None
    )
    measured = msgspec.structs.replace(row("resnet-50", (1.2, 1.4), broken), set_aside=3)
    return Suite(
        plan=suite_plan(SMALL, HERE, quick=True),
        environment={"cpu": "A CPU"},
        results={
            "resnet-50": EntryResult(
                key="resnet-50", state=PointState.DONE, rows=(measured,), wall_s=40.0
            ),
            "bert-base": EntryResult(
                key="bert-base", state=PointState.FAILED, reason="Not built.", wall_s=2.0
            ),
        },
    )


def test_markdown_has_the_machine_every_lane_and_every_claim() -> None:
    found = markdown(suite())
    assert "- CPU: A CPU" in found
    assert "| resnet-50 | batch 1 | eager | 10.00 [9.90–10.10] | – | baseline |" in found
    assert "| ort | 7.69 [7.62–7.77] | 1.30× [1.20–1.40] |" in found
    assert "failed: no \\| library" in found
    assert "| BERT-base | 16 tokens | – | – | – | Not built. |" in found
    assert "- 1 of 4 runs done, 42 s of 228 s (--quick)" in found
    assert "3 of 30 rounds set aside" in found
    assert found.count("**unresolved**") + found.count("**confirmed**") >= 7


def test_text_names_a_model_once_and_lines_columns_up() -> None:
    lines = text(suite()).splitlines()
    assert [line.startswith("resnet-50") for line in lines[1:4]] == [True, False, False]
    assert len({line.find("[") for line in lines[1:3]}) == 2
    start = lines[0].index("p50")
    assert lines[1][start:].startswith("10.00 [9.90")
    assert lines[2][start:].startswith("7.69 ")
    assert any(line.startswith("UNRESOLVED") for line in lines)


def test_csv_has_numbers_in_full_and_empty_cells_for_what_is_unknown() -> None:
    eager, ort, bad = csv.DictReader(io.StringIO(csv_text(suite())))
    assert (eager["lane"], eager["speedup"], eager["p50_ns"]) == ("eager", "", "10000000.0")
    assert (ort["speedup_low"], ort["speedup_high"]) == ("1.2", "1.4")
    assert (bad["p50_ns"], bad["failure"]) == ("", "no | library")
    assert csv_text(Suite()) == ""


def test_figures_without_an_interval() -> None:
    assert milliseconds(Estimate(value=2e6)) == "2 (no interval)"
    assert times(Estimate(value=1.5)) == "1.50× (no interval)"
    assert (milliseconds(None), times(None)) == ("–", "–")


def test_more_time_than_planned_reads_as_such() -> None:
    slow = suite()
    entry = slow.results["resnet-50"]
    slow.results["resnet-50"] = msgspec.structs.replace(entry, wall_s=400.0)
    assert notes(slow)[0] == "1 of 4 runs done, 402 s where 228 s were planned (--quick)"


def test_a_busy_machine_is_told_once() -> None:
    slow = suite()
    entry = slow.results["resnet-50"]
    rows = tuple(msgspec.structs.replace(entry.rows[0], busy=True, title=t) for t in ("A", "B"))
    slow.results["resnet-50"] = msgspec.structs.replace(entry, rows=rows)
    assert "The machine was busy in most rounds of every model: under that load only" in notes(slow)
    rows = (rows[0], msgspec.structs.replace(rows[1], busy=False))
    slow.results["resnet-50"] = msgspec.structs.replace(entry, rows=rows)
    assert "The machine was busy in most rounds of A: under that load only" in notes(slow)
