"""What a search leaves: its table, its words, and every format that it is exported to."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from profiler.console import summary
from profiler.exporters import formats
from profiler.search.result import found_by, sentences, winner
from profiler.session import Session
from profiler.session_file import read_session
from profiler.session_writer import SessionWriter
from profiler.types import ArmState
from tests.sample_search import BOUND, DISABLE, ONE, QUIET, search_events
from tests.sample_session import session_of


@pytest.fixture
def session() -> Session:
    return session_of(search_events())


def test_each_configuration_has_one_row_with_its_last_state(session: Session) -> None:
    tried = session.search.tried()
    assert [item.label for item in tried] == [
        "ort",
        "ort,intra_op_threads=1",
        "ort,graph_optimization_level=basic",
        "ort,graph_optimization_level=disable",
        "ort,io_binding=true",
        "ort,allow_spinning=false",
    ]
    assert [item.state.value for item in tried] == [
        "not faster",
        "racing",
        "slower",
        "failed",
        "racing",
        "racing",
    ]
    assert [item.axis for item in tried] == ["default", *["threads"] * 3, *["binding"] * 2]


def test_a_race_that_goes_on_has_standings(session: Session) -> None:
    """Six calm rounds have no interval yet: a launch tells something from seven on."""
    tried = {item.label: item for item in session.search.tried()}
    assert tried[BOUND.label].against == ""
    assert tried[ONE.label].against == BOUND.label
    assert tried[ONE.label].ratio == pytest.approx(1 / 0.9)
    assert tried[ONE.label].high == float("inf")
    assert tried[QUIET.label].ratio == pytest.approx(1.1 / 0.9)


def test_a_stopped_search_keeps_its_leader_and_says_so(session: Session) -> None:
    (found,) = found_by(session)
    assert found.leader == ONE.label
    assert (found.tried, found.gain) == (3, None)
    assert winner(session) is None
    assert sentences(session) == [
        "ONNX Runtime: ort,intra_op_threads=1 leads after 3 configurations, not confirmed yet",
        "The search was stopped before these leaders were confirmed",
    ]
    assert session.verdict() == ". ".join(sentences(session)) + "."


def test_it_comes_back_from_its_file(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "a.dualscope"
    with SessionWriter(path) as writer:
        for event in search_events():
            writer.append(event)
    found = read_session(path)
    assert found.search.tried() == session.search.tried()
    assert found.verdict() == session.verdict()
    # Consent is never read from a file.
    assert found.search.plan is not None
    assert not found.search.plan.model.trusted


def test_json_has_every_configuration_and_race(session: Session) -> None:
    report = json.loads(formats()["json"].render(session))
    found = report["search"]
    rows = {row["configuration"]: row for row in found["configurations"]}
    assert rows["ort,graph_optimization_level=basic"]["state"] == "slower"
    assert rows["ort,graph_optimization_level=basic"]["high"] is None
    assert rows["ort,graph_optimization_level=basic"]["p50_ns"] == 2e6
    assert rows[DISABLE.label]["p50_ns"] is None
    assert found["races"][0]["leader"] == ONE.label
    assert found["races"][1]["leader"] is None
    assert len(found["races"][0]["rounds"]) == 7
    assert found["winner"] is None
    assert found["summary"] == sentences(session)


def test_a_session_without_a_search_has_none() -> None:
    assert json.loads(formats()["json"].render(Session()))["search"] is None
    assert formats()["csv-search"].render(Session()).count("\n") == 1
    assert "Find the fastest" not in formats()["html"].render(Session())


def test_csv_has_a_row_each(session: Session) -> None:
    rows = list(csv.DictReader(io.StringIO(formats()["csv-search"].render(session))))
    assert [row["state"] for row in rows][:3] == ["not faster", "racing", "slower"]
    assert rows[2]["against"] == ONE.label
    assert (rows[2]["ratio"], rows[2]["low"], rows[2]["rounds"]) == ("5.0", "4.5", "7")
    assert rows[3]["calls"] == ""


def test_the_report_shows_it_and_runs_no_markup(session: Session) -> None:
    text = formats()["html"].render(session)
    assert "Find the fastest" in text
    assert "ort,intra_op_threads=1" in text
    assert "2.00 [1.80–2.20]" in text
    assert "<script>no" not in text
    assert "<b>net</b>" not in text


def test_the_terminal_gets_a_table(session: Session) -> None:
    text = summary(session)
    assert "2.00 [1.80–2.20]" in text
    (failed,) = [line for line in text.splitlines() if line.startswith(DISABLE.label)]
    assert failed.endswith("failed: while loading: <script>no</script>")
    assert ArmState.NOT_FASTER.value in text
