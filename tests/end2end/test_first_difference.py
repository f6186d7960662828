"""Runs that name the layer with a fault, from start to session file, and on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import onnx
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from profiler.cli import run as dualscope
from profiler.divergence import locate, sentence
from profiler.jobs import inspect_model
from profiler.lanes import parse_lane
from profiler.model_file import identify
from profiler.plan import default_plan
from profiler.recorder import record
from profiler.session import Session
from profiler.session_file import read_session
from profiler.types import Locate, WarmupRule
from tests.profiler.faults import dense_chain, export_small, with_fault


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_small(tmp_path_factory.mktemp("small"))


def measured(
    model: Path, lanes: list[str], path: Path, *, locate: Locate = Locate.DIFFER
) -> Session:
    """A short run of these lanes; the first is the baseline."""
    engines = [parse_lane(text) for text in lanes]
    plan = default_plan(
        inspect_model(model), engines=engines, baseline=engines[0].label, time_limit_s=0.3
    )
    plan = msgspec.structs.replace(plan, warmup=WarmupRule(time_limit_s=0.2), locate=locate)
    for _ in record(plan, path, cancelled=lambda: False):
        pass
    return read_session(path)


def first_region(session: Session, baseline: str, candidate: str) -> str:
    found = locate(session.values[(baseline, candidate)]).first
    assert found is not None, sentence(session.values[(baseline, candidate)])
    return found.region


def test_a_changed_weight_is_found_between_two_files_and_two_engines(
    small: Path, tmp_path: Path
) -> None:
    """The exported program against ONNX Runtime and against the import of the faulty file."""
    faulty = with_fault(small, "mixer.linear1.bias")
    session = measured(
        small,
        ["good=ort", f"bad=ort,model={faulty}", f"torch=torch-eager,model={faulty}"],
        tmp_path / "run.dualscope",
    )
    assert not any(found.agree for found in session.outputs)
    for label in ("bad", "torch"):
        assert first_region(session, "good", label).startswith("mixer.linear1")
    assert "first at mixer.linear1" in session.verdict()


def test_without_a_fault_nothing_diverges(small: Path, tmp_path: Path) -> None:
    program = small.with_name("small.pt2")
    session = measured(
        small,
        ["ort", "torch-eager", f"program=torch-export,model={program}"],
        tmp_path / "run.dualscope",
        locate=Locate.ALWAYS,
    )
    for label in ("torch-eager", "program"):
        found = session.values[("ort", label)]
        result = locate(found)
        assert result.first is None
        assert result.compared >= 0.9 * len(found.points) > 20
        assert sentence(found).startswith("Nothing diverges")


def test_int8_differs_from_its_first_quantized_layer_on(tmp_path: Path) -> None:
    """Only the third product is quantized."""
    model = dense_chain(tmp_path / "chain.onnx")
    graph = onnx.load(model)
    for number, node in enumerate(graph.graph.node):
        node.name = f"node{number}"
    onnx.save(graph, model)
    int8 = tmp_path / "int8.onnx"
    quantize_dynamic(model, int8, weight_type=QuantType.QInt8, nodes_to_quantize=["node4"])
    session = measured(model, ["fp32=ort", f"int8=ort,model={int8}"], tmp_path / "run.dualscope")
    found = locate(session.values[("fp32", "int8")]).first
    assert found is not None
    assert found.values[0] in ("m2", "r2")


def test_on_demand_a_session_is_looked_at_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The finding goes into the session's file, and into every export."""
    model = dense_chain(tmp_path / "chain.onnx")
    faulty = with_fault(model, "w1")
    path = tmp_path / "run.dualscope"
    lanes = ["good=ort", f"bad=torch-eager,model={faulty}"]
    assert measured(model, lanes, path, locate=Locate.NEVER).values == {}
    assert dualscope(["locate", str(path), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["candidate"] == "bad"
    assert "m1" in found["first_difference"]["nodes"]
    session = read_session(path)
    assert list(session.values) == [("good", "bad")]
    report, page = tmp_path / "run.json", tmp_path / "run.html"
    assert dualscope(["export", str(path), "--format", "json", "-o", str(report)]) == 0
    (comparison,) = json.loads(report.read_text())["comparisons"]
    assert comparison["first_difference"]["region"] == found["first_difference"]["region"]
    assert dualscope(["export", str(path), "--format", "html", "-o", str(page)]) == 0
    assert "First differs at" in page.read_text()
    assert dualscope(["locate", str(path), "--lane", "none"]) == 2
    assert "has no lane 'none'" in capsys.readouterr().err


def test_a_model_that_changed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = dense_chain(tmp_path / "chain.onnx")
    path = tmp_path / "run.dualscope"
    measured(model, ["ort", "torch-eager"], path)
    with_fault(model, "w0").replace(model)
    assert identify(model).sha256
    assert dualscope(["locate", str(path)]) != 0
    assert "changed" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DUALSCOPE_CACHE", str(tmp_path / "cache"))
    yield
