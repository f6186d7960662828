"""CSV exports, read back with the standard library's reader."""

from __future__ import annotations

import csv
import io

import pytest

from profiler.exporters import formats
from profiler.session import Session
from tests.sample_session import ROUNDS, sample_events, session_of


def rows(name: str, session: Session) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(formats()[name].render(session), newline="")))


def test_operators_have_a_row_each() -> None:
    found = rows("csv-operators", session_of(sample_events()))
    assert [row["operator"] for row in found] == ["conv", "inner"]
    assert found[0] == {
        "lane": "fast",
        "operator": "conv",
        "op_type": "Conv",
        "calls": "1",
        "traced_us": "5.000",
        "share": "0.666667",
        "provider": "CPUExecutionProvider",
        "scope": "stem.conv",
        "source_nodes": "conv_out relu_out",
        "shapes": "[1, 3]",
        "input_bytes": "0",
        "weights_bytes": "0",
        "output_bytes": "0",
        "threads": "0",
        "wait_us": "0.000",
        "flops": "",
        "moved_bytes": "",
        "flops_per_byte": "",
        "gflops_per_s": "",
        "gbytes_per_s": "",
        "ceiling_share": "",
        "bound": "",
    }


def test_rounds_have_a_row_an_iteration() -> None:
    session = session_of(sample_events())
    found = rows("csv-rounds", session)
    assert len(found) == 2 * (ROUNDS + 1) * 3
    assert {row["kind"] for row in found} == {"warmup", "timed"}
    for label in ("base", "fast"):
        latencies = [int(row["latency_ns"]) for row in found if row["lane"] == label]
        assert latencies == [n for item in session.rounds[label] for n in item.latencies_ns]
    assert found[0] == {
        "lane": "base",
        "round": "0",
        "kind": "warmup",
        "iteration": "0",
        "latency_ns": "3999998",
        "foreign_cpu_share": "0.1250",
        "set_aside": "0",
    }


@pytest.mark.parametrize("name", ['a,"b"', "line\nfeed", "carriage\r\nreturn", "名前", "<script>"])
def test_any_name_is_read_back(name: str) -> None:
    session = session_of(sample_events(fast=name, operator=name))
    assert rows("csv-operators", session)[0]["operator"] == name
    assert name in {row["lane"] for row in rows("csv-rounds", session)}


@pytest.mark.parametrize("name", ["csv-operators", "csv-rounds"])
def test_an_empty_session_has_a_header(name: str) -> None:
    text = formats()[name].render(Session())
    assert text.startswith("lane,")
    assert text.count("\n") == 1
